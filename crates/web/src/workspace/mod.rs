//! What was opened: the series in the user's files, the one in view, and the segmentation on each. It answers all that is
//! asked about them, engine work included, and knows no browser: files come as sources, answers go to the outbox.
//!
//! `listing` finds series, `pictures` sends pixels, `run` segments, `document` edits and measures, `exchange` writes and
//! reads files, `convert` puts the libraries' types into the page's.

mod ahead;
mod convert;
mod document;
mod exchange;
mod listing;
mod pictures;
mod run;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use medsam3_imaging::series::{PictureReader, Place, Series, SharedSource};
use medsam3_segmentation::Editor;

use crate::failure;
use crate::jobs::Jobs;
use crate::outbox::Outbox;
use crate::protocol::Failure;

pub use ahead::Ahead;
pub use run::{Ask, Model};

/// A series of the listing.
struct Listed {
    series: Rc<Series>,
    /// Among the pictures that embeddings are kept of: no other picture ever has it.
    picture: u32,
    /// Series in one space have the same number.
    frame_of_reference: Option<u32>,
    /// Keeps the file in view open.
    reader: RefCell<PictureReader<Rc<Series>>>,
    editor: RefCell<Editor>,
    /// What is compared with; without segments where nothing was imported.
    reference: RefCell<Editor>,
}

impl Listed {
    /// Of a cine the frames are what slices are of a volume.
    fn runs_along_frames(&self) -> bool {
        self.series.slices() == 1
    }

    /// Picture `number` along what a run goes along; of a volume with several frames per slice that of `frame`.
    fn place_along(&self, number: usize, frame: usize) -> Place {
        if self.runs_along_frames() {
            Place {
                slice: 0,
                frame: number,
            }
        } else {
            Place {
                slice: number,
                frame,
            }
        }
    }
}

/// What was opened. Nothing is borrowed across an await: requests interleave.
pub struct Workspace {
    out: Outbox,
    jobs: Jobs,
    listed: RefCell<Vec<Rc<Listed>>>,
    /// Segmentations among the files, with their modality.
    found: RefCell<Vec<(SharedSource, String)>>,
    open: RefCell<Option<Rc<Listed>>>,
    /// Counts series, so that an embedding is never taken for that of another one.
    pictures: Cell<u32>,
}

impl Workspace {
    /// Nothing open.
    pub fn new(out: Outbox, jobs: Jobs) -> Self {
        Self {
            out,
            jobs,
            listed: RefCell::default(),
            found: RefCell::default(),
            open: RefCell::default(),
            pictures: Cell::default(),
        }
    }

    /// The series in view.
    fn opened(&self) -> Result<Rc<Listed>, Failure> {
        self.open.borrow().clone().ok_or_else(failure::no_series)
    }

    /// A series of the listing.
    fn listed(&self, index: u32) -> Result<Rc<Listed>, Failure> {
        let listed = self.listed.borrow();
        listed
            .get(index as usize)
            .cloned()
            .ok_or_else(failure::no_series)
    }
}

#[cfg(test)]
mod tests;

//! From files to a list of series, and the choice of one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use medsam3_imaging::ImagingError;
use medsam3_imaging::series::{Listing, PictureReader, Search, Series, SharedSource};
use medsam3_segmentation::Editor;
use web_time::{Duration, Instant};

use super::{Listed, Workspace, convert};
use crate::answers::{imaging_failure, pixel_kind, window_level};
use crate::event_loop::breathe;
use crate::protocol::{
    CountedFailure, Failure, FoundSegmentation, ListingInfo, OpenSeries, Response, Stage,
};

/// How long files are looked into before messages are read.
const SLICE_OF_TIME: Duration = Duration::from_millis(40);

impl Workspace {
    /// Lists the series in some files, in place of what was listed and open.
    ///
    /// # Errors
    ///
    /// None: what cannot be read is part of the listing.
    pub async fn open_files(&self, id: u32, sources: Vec<SharedSource>) -> Result<(), Failure> {
        self.out.progress(id, Stage::List, Some(0.0));
        breathe().await;
        let mut search = Search::new(sources);
        let mut heard = Instant::now();
        while search.step() {
            if heard.elapsed() > SLICE_OF_TIME {
                let (done, total) = search.progress();
                let fraction = done as f32 / total.max(1) as f32;
                self.out.progress(id, Stage::List, Some(fraction));
                breathe().await;
                heard = Instant::now();
            }
        }
        let (files, _) = search.progress();
        let listing = self.list(search.finish(), files);
        self.out.send(&Response::Listed { id, listing });
        Ok(())
    }

    fn list(&self, found: Listing, files: usize) -> ListingInfo {
        let Listing {
            series,
            others,
            failures,
            skipped,
        } = found;
        let mut spaces = BTreeMap::new();
        let listed: Vec<Rc<Listed>> = series
            .into_iter()
            .map(|series| Rc::new(self.keep(series, &mut spaces)))
            .collect();
        let (segmentations, others): (Vec<_>, Vec<_>) = others.into_iter().partition(|object| {
            object.is_segmentation || object.modality.as_deref() == Some("RTSTRUCT")
        });
        let found: Vec<(SharedSource, String)> = segmentations
            .into_iter()
            .map(|object| (object.source, object.modality.unwrap_or_default()))
            .collect();
        let info = ListingInfo {
            series: listed
                .iter()
                .zip(0..)
                .map(|(listed, index)| convert::series_info(&listed.series, index))
                .collect(),
            segmentations: found
                .iter()
                .zip(0..)
                .map(|((_, modality), index)| FoundSegmentation {
                    index,
                    modality: modality.clone(),
                })
                .collect(),
            others: others.len() as u32,
            failures: counted(failures.iter().map(|failure| &failure.error)),
            skipped: skipped as u32,
            files: files as u32,
        };
        self.open.replace(None);
        self.listed.replace(listed);
        self.found.replace(found);
        info
    }

    fn keep(&self, series: Series, spaces: &mut BTreeMap<String, u32>) -> Listed {
        self.pictures.set(self.pictures.get().wrapping_add(1));
        let next = spaces.len() as u32;
        let space = series.frame_of_reference_uid().map(str::to_owned);
        let frame_of_reference = space.map(|uid| *spaces.entry(uid).or_insert(next));
        let series = Rc::new(series);
        Listed {
            editor: RefCell::new(Editor::new(&series)),
            reference: RefCell::new(Editor::new(&series)),
            reader: RefCell::new(PictureReader::new(Rc::clone(&series))),
            picture: self.pictures.get(),
            frame_of_reference,
            series,
        }
    }

    /// Opens a series of the listing.
    ///
    /// # Errors
    ///
    /// There is no such series, or neither its middle nor its first picture can be shown.
    pub fn open_series(&self, id: u32, index: u32) -> Result<(), Failure> {
        let listed = self.listed(index)?;
        let series = &listed.series;
        let mut reader = listed.reader.borrow_mut();
        // Of many volumes the first slices are empty.
        let middle = reader.picture(series.slices() / 2, 0).is_ok();
        let slice = if middle { series.slices() / 2 } else { 0 };
        let (picture, frame) = reader
            .picture(slice, 0)
            .map_err(|error| imaging_failure(&error))?;
        let opened = OpenSeries {
            info: convert::series_info(series, index),
            pixels: pixel_kind(picture),
            window: picture.shown_window(frame, None).map(window_level),
            inverted: picture.inverted(),
            affine: series.affine().map(|affine| affine.0),
            planes: convert::planes(series),
            frame_of_reference: listed.frame_of_reference,
            notes: picture
                .notes()
                .iter()
                .map(|&note| note.to_owned())
                .collect(),
        };
        drop(reader);
        let document = convert::document(&listed, Vec::new());
        self.open.replace(Some(listed));
        self.out.send(&Response::SeriesOpened {
            id,
            series: Box::new(opened),
            document,
        });
        Ok(())
    }
}

/// Reasons by their codes, with the number of files that each holds for.
fn counted<'a>(errors: impl Iterator<Item = &'a ImagingError>) -> Vec<CountedFailure> {
    let mut by_code: BTreeMap<&str, CountedFailure> = BTreeMap::new();
    for error in errors {
        let known = by_code
            .entry(error.code())
            .or_insert_with(|| CountedFailure {
                count: 0,
                failure: imaging_failure(error),
            });
        known.count += 1;
    }
    by_code.into_values().collect()
}

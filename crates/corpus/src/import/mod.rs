//! Adds a published dataset to a corpus by its manifest, without code: reads the layout it is published in and writes the
//! format that training and evaluation read.
//!
//! ```text
//! manifest -> reader of its layout (folders | coco | nifti | dicom) -> drawn images
//!          -> select, shrink, indices -> hidden folder -> renamed, listed in index.json
//! ```

mod canvas;
mod coco;
mod dataset;
mod dicom;
mod dicom_file;
mod error;
mod files;
mod folders;
mod layout;
pub mod manifest;
mod masked;
mod masks;
mod nifti;
mod nifti_file;
mod notes;
mod orientation;
mod pattern;
mod polygon;
mod raster;
mod split;
mod unit;
mod window;
mod write;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use medsam3_files::{ScratchFolder, check_output_folder};
use rayon::prelude::*;

pub use dataset::Summary;
pub use error::ImportError;
use manifest::{Layout, Manifest};
use notes::Notes;
pub use notes::{Kind, Note};
use unit::{Drawn, Reader};
use write::{Item, Ready};

use crate::Split;
use crate::error::CorpusError;

/// A disk with less space in bytes holds no dataset.
const LEAST_SPACE: u64 = 16 << 20;

/// What the caller decides.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Longest side of the images in pixels, in place of the manifest's.
    pub max_side: Option<u32>,
    /// Write a dataset anew that is already there.
    pub replace: bool,
}

/// How far an import is, and whether it should stop.
pub trait Watch: Sync {
    /// `done` of `total` images or volumes are read.
    fn progress(&self, done: usize, total: usize);
    /// Whether to stop.
    fn cancelled(&self) -> bool;
}

/// Imports the dataset of `manifest`, whose published files are in `from`, into the corpus at `out`.
///
/// Everything is written into a hidden folder of the corpus, which takes its name once it is complete; an import that fails or is
/// stopped leaves the corpus as it was.
///
/// # Errors
/// The first file that is wrong, by name; see [`ImportError`].
pub fn import(
    manifest: &Manifest,
    from: &Path,
    out: &Path,
    options: &Options,
    watch: &dyn Watch,
) -> Result<Summary, CorpusError> {
    let target = out.join(&manifest.name);
    if target.exists() && !options.replace {
        return Err(ImportError::Exists { path: target }.into());
    }
    // Before the work: a folder that cannot be written.
    check_output_folder(out, LEAST_SPACE).map_err(|source| CorpusError::Write {
        path: out.to_owned(),
        source,
    })?;
    let files = files::list(from)?;
    let reader: Box<dyn Reader + '_> = match &manifest.layout {
        Layout::Folders(layout) => {
            Box::new(folders::FolderReader::new(manifest, layout, from, files)?)
        }
        Layout::Coco(layout) => Box::new(coco::CocoReader::new(manifest, layout, from, &files)?),
        Layout::Nifti(layout) => Box::new(nifti::NiftiReader::new(manifest, layout, from, files)?),
        Layout::Dicom(layout) => Box::new(dicom::DicomReader::new(manifest, layout, from, &files)?),
    };
    let scratch = ScratchFolder::beside(&target).map_err(|source| CorpusError::Write {
        path: target.clone(),
        source,
    })?;
    let reader = reader.as_ref();
    let filled = fill_folder(manifest, from, scratch.path(), reader, options, watch)?;
    dataset::publish(manifest, out, scratch, filled, reader.objects(), options)
}

/// Items, and the indices of the combinations of their labels.
struct Filled {
    items: Vec<Item>,
    indices: canvas::Indices,
    overlapped: usize,
    notes: Notes,
}

fn fill_folder(
    manifest: &Manifest,
    from: &Path,
    hidden: &Path,
    reader: &dyn Reader,
    options: &Options,
    watch: &dyn Watch,
) -> Result<Filled, CorpusError> {
    prepare(hidden, reader.objects())?;
    let labels = u8::try_from(manifest.labels.len()).unwrap_or(u8::MAX);
    let mut filled = Filled {
        items: Vec::new(),
        indices: canvas::Indices::new(labels),
        overlapped: 0,
        notes: Notes::default(),
    };
    let mut chosen = Chooser::new(manifest, reader.volumes());
    let mut named: BTreeMap<String, Option<Split>> = BTreeMap::new();
    let mut origin: BTreeMap<String, PathBuf> = BTreeMap::new();
    let max_side = options.max_side.or(manifest.images.max_side);
    let together = if reader.volumes() {
        1
    } else {
        4 * rayon::current_num_threads()
    };
    let (total, mut read) = (reader.units(), 0);
    for start in (0..total).step_by(together) {
        if watch.cancelled() {
            return Err(ImportError::Cancelled.into());
        }
        let end = (start + together).min(total);
        let units: Vec<Vec<Drawn>> = (start..end)
            .into_par_iter()
            .map(|unit| reader.read(unit))
            .collect::<Result<_, _>>()?;
        let mut ready = Vec::new();
        for drawn in units.into_iter().flatten() {
            read += 1;
            filled.notes.merge(&drawn.notes);
            if !chosen.takes(&drawn) {
                continue;
            }
            if let Some(first) = origin.insert(drawn.id.clone(), drawn.path.clone()) {
                return Err(ImportError::Duplicate {
                    id: drawn.id,
                    first,
                    second: drawn.path,
                }
                .into());
            }
            let part = part_of(manifest, &drawn)?;
            named
                .entry(drawn.subject.clone())
                .and_modify(|old| *old = strictest(*old, part))
                .or_insert(part);
            filled.overlapped += drawn.canvas.overlapped;
            ready.push(Ready::new(drawn, max_side, &mut filled.indices)?);
        }
        // The part is known when all subjects are; until then every item is of the first.
        let items: Vec<Item> = ready
            .into_par_iter()
            .map(|ready| ready.write(hidden, Split::Train, reader.objects()))
            .collect::<Result<_, _>>()?;
        filled.items.extend(items);
        watch.progress(end, total);
    }
    if filled.items.iter().all(|item| item.single.is_empty()) {
        let folder = from.to_owned();
        let error = match filled.notes.count(Kind::Crowds) {
            0 => ImportError::NothingDrawn {
                folder,
                images: read,
            },
            objects => ImportError::OnlyCrowds {
                folder,
                images: read,
                objects,
            },
        };
        return Err(error.into());
    }
    let parts = split::assign(&manifest.name, &manifest.split, &named);
    for item in &mut filled.items {
        item.split = parts.get(&item.subject).copied().unwrap_or(Split::Train);
        // The label's own index is enough: combinations belong to prompts of other labels as well.
        item.unlabelled = item.unseen.iter().copied().collect();
    }
    Ok(filled)
}

/// The folders of an empty dataset.
fn prepare(hidden: &Path, objects: bool) -> Result<(), CorpusError> {
    let write = |source| CorpusError::Write {
        path: hidden.to_owned(),
        source,
    };
    let folders = ["images", "masks"]
        .into_iter()
        .chain(objects.then_some("instances"));
    for folder in folders {
        fs::create_dir_all(hidden.join(folder)).map_err(write)?;
    }
    Ok(())
}

/// What the path says about the part.
fn part_of(manifest: &Manifest, drawn: &Drawn) -> Result<Option<Split>, ImportError> {
    let Some(group) = &manifest.split.group else {
        return Ok(None);
    };
    let value = drawn.groups.get(group).cloned().unwrap_or_default();
    match manifest.split.names.get(&value) {
        Some(part) => Ok(Some(*part)),
        None => Err(ImportError::UnknownValue {
            path: drawn.path.clone(),
            value: format!("`{value}` for the split by {{{group}}}"),
        }),
    }
}

/// A subject in two parts belongs to the one that is kept from training.
fn strictest(one: Option<Split>, other: Option<Split>) -> Option<Split> {
    let rank = |part: &Option<Split>| match part {
        None => 0,
        Some(Split::Train) => 1,
        Some(Split::Val) => 2,
        Some(Split::Test) => 3,
    };
    [one, other].into_iter().max_by_key(rank).flatten()
}

/// Which of the drawn images are taken.
struct Chooser {
    every: usize,
    empty_every: usize,
    least: usize,
    seen: usize,
    empty: usize,
}

impl Chooser {
    fn new(manifest: &Manifest, volumes: bool) -> Self {
        let select = &manifest.select;
        Self {
            every: select.every.unwrap_or(1).max(1),
            empty_every: select.empty_every.unwrap_or(usize::from(!volumes)),
            least: select.least_pixels.unwrap_or(1).max(1),
            seen: 0,
            empty: 0,
        }
    }

    fn takes(&mut self, drawn: &Drawn) -> bool {
        self.seen += 1;
        if !(self.seen - 1).is_multiple_of(self.every) {
            return false;
        }
        match drawn.canvas.labelled() {
            // An image of which nobody looked at a label is not empty.
            0 if drawn.unlabelled.is_empty() => {
                self.empty += 1;
                self.empty_every > 0 && (self.empty - 1).is_multiple_of(self.empty_every)
            }
            labelled => labelled >= self.least,
        }
    }
}

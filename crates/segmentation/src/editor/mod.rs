//! A segmentation under work, with one history over runs of a model, edits, deletions and renames: whatever was done
//! can be taken back and brought back, to the same bytes. Segments have ids, as their places change.
//!
//! A run of a model is one step that stays open while masks come in; steps of a person may lie on top of it.

mod history;
mod run;

use std::collections::BTreeSet;

use medsam3_imaging::series::Series;

use crate::document::{Grid, Place, Segment, Segmentation};
use crate::edit::Edit;
use crate::error::SegmentationError;
use crate::runs::Runs;
use crate::terms;

pub use history::StepKind;
use history::{Action, Description, Step};
use run::OpenRun;
pub use run::{OnProtected, Taken};

/// Steps that can be taken back; older ones are forgotten.
const MAX_STEPS: usize = 1000;

/// What a segment is called as long as the document is there, whatever becomes of its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub u32);

/// A mask that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangedMask {
    /// Of this segment, which may be gone.
    pub segment: SegmentId,
    /// On this picture.
    pub place: Place,
}

/// What is kept of a segment beside the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    id: SegmentId,
    locked: bool,
}

/// A segmentation and its history.
#[derive(Debug, Clone)]
pub struct Editor {
    segmentation: Segmentation,
    /// One per segment.
    entries: Vec<Entry>,
    next_id: u32,
    done: Vec<Step>,
    undone: Vec<Step>,
    run: Option<OpenRun>,
    version: u32,
}

impl Editor {
    /// Nothing on the pictures of a series.
    pub fn new(series: &Series) -> Self {
        Self::on(Grid::of(series))
    }

    /// Nothing on pictures.
    pub fn on(grid: Grid) -> Self {
        Self {
            segmentation: Segmentation::on(grid),
            entries: Vec::new(),
            next_id: 1,
            done: Vec::new(),
            undone: Vec::new(),
            run: None,
            version: 0,
        }
    }

    /// The document as it is now.
    pub fn segmentation(&self) -> &Segmentation {
        &self.segmentation
    }

    /// The segments with their ids and whether they are locked, in the order of the document.
    pub fn segments(&self) -> impl Iterator<Item = (SegmentId, bool, &Segment)> {
        let segments = self.segmentation.segments().iter();
        let entries = self.entries.iter();
        entries
            .zip(segments)
            .map(|(entry, segment)| (entry.id, entry.locked, segment))
    }

    /// Grows with every change.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The place of a segment in the document.
    ///
    /// # Errors
    ///
    /// [`SegmentationError::NoSuchSegment`].
    pub fn index(&self, id: SegmentId) -> Result<usize, SegmentationError> {
        let found = self.entries.iter().position(|entry| entry.id == id);
        found.ok_or(SegmentationError::NoSuchSegment {
            index: id.0 as usize,
        })
    }

    /// Locks or unlocks a segment: no step of the history.
    ///
    /// # Errors
    ///
    /// [`SegmentationError::NoSuchSegment`].
    pub fn set_locked(&mut self, id: SegmentId, locked: bool) -> Result<(), SegmentationError> {
        let index = self.index(id)?;
        if let Some(entry) = self.entries.get_mut(index) {
            entry.locked = locked;
            self.version = self.version.wrapping_add(1);
        }
        Ok(())
    }

    /// Adds segments as one step. With `recolour` each takes the next colour of the palette.
    pub fn add(
        &mut self,
        kind: StepKind,
        segments: Vec<Segment>,
        recolour: bool,
    ) -> Vec<SegmentId> {
        let mut step = Step::new(kind, segments.first().map(|first| first.name.clone()));
        let ids = self.insert(segments, recolour, &mut step);
        self.push(step);
        ids
    }

    fn insert(
        &mut self,
        segments: Vec<Segment>,
        recolour: bool,
        step: &mut Step,
    ) -> Vec<SegmentId> {
        let mut ids = Vec::new();
        for segment in segments {
            let id = SegmentId(self.next_id);
            self.next_id += 1;
            let at = if recolour {
                self.segmentation.add(segment)
            } else {
                self.segmentation.push(segment)
            };
            self.entries.push(Entry { id, locked: false });
            step.actions.push(Action::Insert { at, id, held: None });
            ids.push(id);
        }
        ids
    }

    /// Changes the pixels of a segment by an edit that `make` makes of the document and the place of the segment in
    /// it, and notes that a person did so. Gives the pictures that changed.
    ///
    /// # Errors
    ///
    /// [`SegmentationError::NoSuchSegment`], [`SegmentationError::Locked`], and what `make` and applying give.
    pub fn edit(
        &mut self,
        kind: StepKind,
        id: SegmentId,
        make: impl FnOnce(&Segmentation, usize) -> Result<Edit, SegmentationError>,
    ) -> Result<Vec<ChangedMask>, SegmentationError> {
        let index = self.unlocked(id)?;
        let edit = make(&self.segmentation, index)?;
        if edit.is_empty() {
            return Ok(Vec::new());
        }
        edit.apply(&mut self.segmentation)?;
        let mut step = Step::new(kind, self.name(index));
        let changed = places(id, edit.changes.iter().map(|change| change.place));
        step.actions.push(Action::Masks {
            id,
            changes: edit.changes,
        });
        self.describe(&mut step, id, index, |segment| {
            segment.origin = std::mem::take(&mut segment.origin).edited();
        });
        self.push(step);
        Ok(changed)
    }

    /// Adds pixels to a segment on one picture, or takes them away.
    ///
    /// # Errors
    ///
    /// As [`Editor::edit`], [`SegmentationError::NoSuchPicture`] and [`SegmentationError::MaskSize`].
    pub fn paint(
        &mut self,
        id: SegmentId,
        place: Place,
        pixels: &Runs,
        erase: bool,
    ) -> Result<Vec<ChangedMask>, SegmentationError> {
        let kind = if erase {
            StepKind::Erase
        } else {
            StepKind::Paint
        };
        self.edit(kind, id, |document, index| {
            if !document.grid().contains(place) {
                return Err(SegmentationError::NoSuchPicture {
                    slice: place.slice,
                    frame: place.frame,
                });
            }
            let segment = document.segments().get(index);
            let segment = segment.ok_or(SegmentationError::NoSuchSegment { index })?;
            let old = segment.runs(place).cloned().unwrap_or_default();
            let new = if erase {
                old.difference(pixels)
            } else {
                old.union(pixels)
            };
            Ok(Edit::between(index, segment, [(place, new)].into()))
        })
    }

    /// Renames a segment, whose code follows from the name, or gives it another colour.
    ///
    /// # Errors
    ///
    /// [`SegmentationError::NoSuchSegment`].
    pub fn change(
        &mut self,
        id: SegmentId,
        name: Option<String>,
        color: Option<[u8; 3]>,
    ) -> Result<(), SegmentationError> {
        let index = self.index(id)?;
        let mut step = Step::new(StepKind::Change, self.name(index));
        self.describe(&mut step, id, index, |segment| {
            if let Some(name) = name {
                segment.coding = terms::coding(&name);
                segment.name = name;
            }
            if let Some(color) = color {
                segment.color = color;
            }
        });
        self.push(step);
        Ok(())
    }

    /// Takes a segment out. Gives the pictures where it was.
    ///
    /// # Errors
    ///
    /// [`SegmentationError::NoSuchSegment`], [`SegmentationError::Locked`].
    pub fn delete(&mut self, id: SegmentId) -> Result<Vec<ChangedMask>, SegmentationError> {
        let index = self.unlocked(id)?;
        let mut step = Step::new(StepKind::Delete, self.name(index));
        let mut changed = BTreeSet::new();
        let mut action = Action::Remove {
            at: index,
            id,
            held: None,
        };
        action.redo(self, &mut changed)?;
        step.actions.push(action);
        self.push(step);
        Ok(changed.into_iter().collect())
    }

    /// Changes what is said of a segment, and notes it in a step if it is something else.
    fn describe(
        &mut self,
        step: &mut Step,
        id: SegmentId,
        index: usize,
        change: impl FnOnce(&mut Segment),
    ) {
        let Some(segment) = self.segmentation.segment_mut(index) else {
            return;
        };
        let before = Description::of(segment);
        change(segment);
        let after = Description::of(segment);
        if before != after {
            let (before, after) = (Box::new(before), Box::new(after));
            step.actions.push(Action::Describe { id, before, after });
        }
    }

    fn name(&self, index: usize) -> Option<String> {
        let segment = self.segmentation.segments().get(index);
        segment.map(|segment| segment.name.clone())
    }

    fn unlocked(&self, id: SegmentId) -> Result<usize, SegmentationError> {
        let index = self.index(id)?;
        match self.entries.get(index) {
            Some(Entry { locked: true, .. }) => Err(SegmentationError::Locked),
            _ => Ok(index),
        }
    }
}

fn places(segment: SegmentId, places: impl Iterator<Item = Place>) -> Vec<ChangedMask> {
    places.map(|place| ChangedMask { segment, place }).collect()
}

#[cfg(test)]
mod tests;

//! Steps of the history as data, taken back and brought back.

use std::collections::BTreeSet;

use super::{ChangedMask, Editor, Entry, MAX_STEPS, SegmentId};
use crate::document::Segment;
use crate::edit::Change;
use crate::error::SegmentationError;
use crate::origin::Origin;
use crate::terms::Coding;

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// Masks of a model.
    Run,
    /// Pixels added by hand.
    Paint,
    /// Pixels taken away by hand.
    Erase,
    /// [`crate::fill_holes`].
    FillHoles,
    /// [`crate::remove_islands`].
    RemoveIslands,
    /// [`crate::keep_largest`].
    KeepLargest,
    /// [`crate::interpolate`].
    Interpolate,
    /// [`crate::union`].
    Union,
    /// [`crate::difference`].
    Difference,
    /// A segment to draw in.
    NewSegment,
    /// Another name or colour.
    Change,
    /// A segment taken out.
    Delete,
    /// Segments of a file.
    Import,
}

/// What a person did at once.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) kind: StepKind,
    /// Name of the segment that it is about.
    pub(super) name: Option<String>,
    pub(super) actions: Vec<Action>,
    /// The run that still adds to it.
    pub(super) open: bool,
}

impl Step {
    pub(super) fn new(kind: StepKind, name: Option<String>) -> Self {
        Self {
            kind,
            name,
            actions: Vec::new(),
            open: false,
        }
    }
}

/// What is said of a segment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Description {
    name: String,
    color: [u8; 3],
    coding: Coding,
    origin: Origin,
}

impl Description {
    pub(super) fn of(segment: &Segment) -> Self {
        Self {
            name: segment.name.clone(),
            color: segment.color,
            coding: segment.coding.clone(),
            origin: segment.origin.clone(),
        }
    }

    fn put(&self, segment: &mut Segment) {
        let Self {
            name,
            color,
            coding,
            origin,
        } = self.clone();
        (segment.name, segment.color) = (name, color);
        (segment.coding, segment.origin) = (coding, origin);
    }
}

/// One change of the document. What is not in the document at the moment is held here.
#[derive(Debug, Clone)]
pub(super) enum Action {
    Masks {
        id: SegmentId,
        changes: Vec<Change>,
    },
    Describe {
        id: SegmentId,
        before: Box<Description>,
        after: Box<Description>,
    },
    Insert {
        at: usize,
        id: SegmentId,
        held: Option<Box<(Segment, Entry)>>,
    },
    Remove {
        at: usize,
        id: SegmentId,
        held: Option<Box<(Segment, Entry)>>,
    },
}

impl Action {
    /// Does it, again.
    pub(super) fn redo(
        &mut self,
        editor: &mut Editor,
        changed: &mut BTreeSet<ChangedMask>,
    ) -> Result<(), SegmentationError> {
        match self {
            Self::Masks { id, changes } => {
                let new = changes.iter().map(|change| (change.place, &change.after));
                set(editor, *id, new, changed)
            }
            Self::Describe { id, after, .. } => describe(editor, *id, after),
            Self::Insert { at, held, .. } => put_in(editor, *at, held, changed),
            Self::Remove { id, held, .. } => take_out(editor, *id, held, changed),
        }
    }

    /// Takes it back.
    fn undo(
        &mut self,
        editor: &mut Editor,
        changed: &mut BTreeSet<ChangedMask>,
    ) -> Result<(), SegmentationError> {
        match self {
            Self::Masks { id, changes } => {
                let old = changes.iter().rev();
                let old = old.map(|change| (change.place, &change.before));
                set(editor, *id, old, changed)
            }
            Self::Describe { id, before, .. } => describe(editor, *id, before),
            Self::Insert { id, held, .. } => take_out(editor, *id, held, changed),
            Self::Remove { at, held, .. } => put_in(editor, *at, held, changed),
        }
    }
}

fn set<'a>(
    editor: &mut Editor,
    id: SegmentId,
    masks: impl Iterator<Item = (crate::document::Place, &'a crate::runs::Runs)>,
    changed: &mut BTreeSet<ChangedMask>,
) -> Result<(), SegmentationError> {
    let index = editor.index(id)?;
    for (place, runs) in masks {
        editor.segmentation.set_runs(index, place, runs.clone())?;
        changed.insert(ChangedMask { segment: id, place });
    }
    Ok(())
}

fn describe(
    editor: &mut Editor,
    id: SegmentId,
    description: &Description,
) -> Result<(), SegmentationError> {
    let index = editor.index(id)?;
    if let Some(segment) = editor.segmentation.segment_mut(index) {
        description.put(segment);
    }
    Ok(())
}

fn take_out(
    editor: &mut Editor,
    id: SegmentId,
    held: &mut Option<Box<(Segment, Entry)>>,
    changed: &mut BTreeSet<ChangedMask>,
) -> Result<(), SegmentationError> {
    let index = editor.index(id)?;
    let entry = editor.entries.remove(index);
    if let Some(segment) = editor.segmentation.remove(index) {
        let places = segment.masks().map(|(place, _)| place);
        changed.extend(super::places(id, places));
        *held = Some(Box::new((segment, entry)));
    }
    Ok(())
}

fn put_in(
    editor: &mut Editor,
    at: usize,
    held: &mut Option<Box<(Segment, Entry)>>,
    changed: &mut BTreeSet<ChangedMask>,
) -> Result<(), SegmentationError> {
    let (segment, entry) = *held
        .take()
        .ok_or(SegmentationError::NoSuchSegment { index: at })?;
    let places = segment.masks().map(|(place, _)| place);
    changed.extend(super::places(entry.id, places));
    let at = editor.segmentation.insert(at, segment);
    editor.entries.insert(at.min(editor.entries.len()), entry);
    Ok(())
}

impl Editor {
    /// Puts a step on the history, unless it does nothing. What was taken back is forgotten.
    pub(super) fn push(&mut self, step: Step) {
        if step.actions.is_empty() && !step.open {
            return;
        }
        self.done.push(step);
        self.undone.clear();
        // A run that is under way stays, whatever was done on top of it.
        if self.done.len() > MAX_STEPS && !self.done.first().is_some_and(|step| step.open) {
            self.done.remove(0);
        }
        self.version = self.version.wrapping_add(1);
    }

    /// What would be taken back: what it did and the name of the segment that it is about.
    pub fn undo_step(&self) -> Option<(StepKind, Option<&str>)> {
        let step = self.done.last()?;
        Some((step.kind, step.name.as_deref()))
    }

    /// What would be brought back.
    pub fn redo_step(&self) -> Option<(StepKind, Option<&str>)> {
        let step = self.undone.last()?;
        Some((step.kind, step.name.as_deref()))
    }

    /// Undoes the last step; gives the masks that changed, none where there is no step.
    ///
    /// # Errors
    ///
    /// [`SegmentationError::RunUnderWay`] where a run is the last step and still adds to it.
    pub fn undo(&mut self) -> Result<Vec<ChangedMask>, SegmentationError> {
        let Some(mut step) = self.done.pop() else {
            return Ok(Vec::new());
        };
        if step.open {
            self.done.push(step);
            return Err(SegmentationError::RunUnderWay);
        }
        let mut changed = BTreeSet::new();
        for action in step.actions.iter_mut().rev() {
            action.undo(self, &mut changed)?;
        }
        self.undone.push(step);
        self.version = self.version.wrapping_add(1);
        Ok(changed.into_iter().collect())
    }

    /// Applies the step that was undone last again; gives the masks that changed.
    ///
    /// # Errors
    ///
    /// As [`Editor::undo`], but for a run under way.
    pub fn redo(&mut self) -> Result<Vec<ChangedMask>, SegmentationError> {
        let Some(mut step) = self.undone.pop() else {
            return Ok(Vec::new());
        };
        let mut changed = BTreeSet::new();
        for action in &mut step.actions {
            action.redo(self, &mut changed)?;
        }
        self.done.push(step);
        self.version = self.version.wrapping_add(1);
        Ok(changed.into_iter().collect())
    }
}

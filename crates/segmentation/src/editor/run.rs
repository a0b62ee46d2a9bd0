//! A run of a model as a step of the history: which segments its masks go into, and which masks are not taken because a
//! person was there first.

use std::collections::BTreeMap;

use super::history::{Action, Description, Step, StepKind};
use super::{ChangedMask, Editor, Entry, SegmentId};
use crate::document::{Place, Segment};
use crate::edit::Change;
use crate::error::SegmentationError;
use crate::origin::{Method, Origin};
use crate::runs::Runs;

/// What becomes of a segment of the same prompt that is locked, or that a person corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnProtected {
    /// The run does not begin.
    Refuse,
    /// A new segment is made beside it.
    Add,
    /// It is overwritten, unless it is locked.
    Replace,
}

/// What became of a mask of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is in the document.
    Yes,
    /// A person changed the segment on that picture since the run began, or locked it.
    LeftAlone,
    /// The segment was deleted.
    Gone,
}

/// The run that is under way.
#[derive(Debug, Clone)]
pub(super) struct OpenRun {
    /// The masks that were there when it began.
    before: BTreeMap<SegmentId, Segment>,
}

impl Editor {
    /// Begins a run by the prompts of `origins`, and gives for each the segment that its masks go into: one of the same
    /// prompt where there is one, else a new one. A run that was under way is ended.
    ///
    /// # Errors
    ///
    /// [`SegmentationError::Protected`] with [`OnProtected::Refuse`], [`SegmentationError::Locked`] for a locked segment
    /// that would be replaced.
    pub fn begin_run(
        &mut self,
        origins: Vec<Origin>,
        on_protected: OnProtected,
    ) -> Result<Vec<SegmentId>, SegmentationError> {
        let mut chosen = Vec::new();
        for origin in &origins {
            chosen.push(self.target(origin, on_protected)?);
        }
        self.end_run();
        let first = origins.first().and_then(|origin| origin.prompt.clone());
        let mut step = Step::new(StepKind::Run, first.filter(|_| origins.len() == 1));
        step.open = true;
        let mut ids = Vec::new();
        for (origin, chosen) in origins.into_iter().zip(chosen) {
            let name = origin.prompt.clone().unwrap_or_default();
            let id = match chosen {
                Some(id) => Some(id),
                None => {
                    let new = vec![Segment::new(name, origin)];
                    self.insert(new, true, &mut step).first().copied()
                }
            };
            ids.extend(id);
        }
        let segments = self.segments().map(|(id, _, segment)| (id, segment));
        let before = segments
            .filter(|(id, _)| ids.contains(id))
            .map(|(id, segment)| (id, segment.clone()))
            .collect();
        self.run = Some(OpenRun { before });
        self.push(step);
        Ok(ids)
    }

    /// The segment of the same prompt that the run may write into.
    fn target(
        &self,
        origin: &Origin,
        on_protected: OnProtected,
    ) -> Result<Option<SegmentId>, SegmentationError> {
        let words =
            |prompt: &Option<String>| prompt.as_deref().map(|text| text.trim().to_lowercase());
        let wanted = words(&origin.prompt);
        // The last one: where a person kept an earlier one by `Add`, the newer one is the model's.
        let same = self
            .segments()
            .filter(|(_, _, segment)| words(&segment.origin.prompt) == wanted)
            .last();
        let Some((id, locked, segment)) = same else {
            return Ok(None);
        };
        let corrected = segment.origin.method != Method::Automatic;
        match on_protected {
            _ if !locked && !corrected => Ok(Some(id)),
            OnProtected::Refuse => Err(SegmentationError::Protected),
            OnProtected::Add => Ok(None),
            OnProtected::Replace if locked => Err(SegmentationError::Locked),
            OnProtected::Replace => Ok(Some(id)),
        }
    }

    /// Takes a mask of the run, and what is known of its origin by now.
    ///
    /// # Errors
    ///
    /// [`SegmentationError::NoSuchPicture`], [`SegmentationError::MaskSize`].
    pub fn take(
        &mut self,
        id: SegmentId,
        place: Place,
        runs: Runs,
        update: impl FnOnce(&mut Origin),
    ) -> Result<Taken, SegmentationError> {
        let Ok(index) = self.index(id) else {
            return Ok(Taken::Gone);
        };
        let segment = self.segmentation.segments().get(index);
        let now = segment.and_then(|segment| segment.runs(place));
        let then = self.run.as_ref().and_then(|run| run.before.get(&id));
        let untouched = now == then.and_then(|segment| segment.runs(place));
        let locked = matches!(self.entries.get(index), Some(Entry { locked: true, .. }));
        if locked || !untouched {
            return Ok(Taken::LeftAlone);
        }
        let Some(at) = self.done.iter().rposition(|step| step.open) else {
            return Ok(Taken::LeftAlone);
        };
        let before = self.segmentation.set_runs(index, place, runs.clone())?;
        let change = Change {
            place,
            before,
            after: runs,
        };
        self.note(at, id, change);
        self.update_origin(at, id, index, update);
        // What was taken back lay on the document as it was.
        self.undone.clear();
        self.version = self.version.wrapping_add(1);
        Ok(Taken::Yes)
    }

    fn note(&mut self, at: usize, id: SegmentId, change: Change) {
        if change.before == change.after {
            return;
        }
        let Some(step) = self.done.get_mut(at) else {
            return;
        };
        let known = step.actions.iter_mut().find_map(|action| match action {
            Action::Masks { id: of, changes } if *of == id => Some(changes),
            _ => None,
        });
        match known {
            Some(changes) => changes.push(change),
            None => step.actions.push(Action::Masks {
                id,
                changes: vec![change],
            }),
        }
    }

    /// Changes the origin, unless a person changed something about the segment since the run did.
    fn update_origin(
        &mut self,
        at: usize,
        id: SegmentId,
        index: usize,
        update: impl FnOnce(&mut Origin),
    ) {
        let Some(step) = self.done.get_mut(at) else {
            return;
        };
        let Some(segment) = self.segmentation.segment_mut(index) else {
            return;
        };
        let now = Description::of(segment);
        let known = step.actions.iter_mut().find_map(|action| match action {
            Action::Describe { id: of, after, .. } if *of == id => Some(after),
            _ => None,
        });
        match known {
            Some(after) if **after == now => {
                update(&mut segment.origin);
                **after = Description::of(segment);
            }
            Some(_) => {}
            None => {
                let then = self.run.as_ref().and_then(|run| run.before.get(&id));
                if then.map(Description::of).as_ref() != Some(&now) {
                    return;
                }
                update(&mut segment.origin);
                step.actions.push(Action::Describe {
                    id,
                    before: Box::new(now),
                    after: Box::new(Description::of(segment)),
                });
            }
        }
    }

    /// Ends the run, if one is under way; a run that did nothing leaves no step.
    pub fn end_run(&mut self) -> Vec<ChangedMask> {
        self.run = None;
        let Some(at) = self.done.iter().rposition(|step| step.open) else {
            return Vec::new();
        };
        let mut changed = Vec::new();
        if let Some(step) = self.done.get_mut(at) {
            step.open = false;
            for action in &step.actions {
                if let Action::Masks { id, changes } = action {
                    changed.extend(super::places(
                        *id,
                        changes.iter().map(|change| change.place),
                    ));
                }
            }
            if step.actions.is_empty() {
                self.done.remove(at);
            }
        }
        changed
    }

    /// Whether a run is under way.
    pub fn is_running(&self) -> bool {
        self.run.is_some()
    }
}

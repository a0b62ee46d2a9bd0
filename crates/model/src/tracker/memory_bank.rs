//! Which frames a frame looks back at, and when they are (reference: `sam3_tracker_base.py`, `frame_filter` and
//! `_prepare_memory_conditioned_features`; the selection of frames follows SAM2Long). No tensor, so that it can be checked
//! frame by frame.
//!
//! Conditioning frames were prompted, the others were tracked. A frame's score says how sure the tracker was of its objects.

use super::config::MemoryConfig;
use std::collections::BTreeMap;

/// The frame in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Its index.
    pub frame: usize,
    /// Frames of the whole sequence.
    pub frames: usize,
    /// Whether the sequence is followed backwards.
    pub reverse: bool,
}

/// Two kinds of remembered frames by index; no frame is both.
#[derive(Debug, Clone)]
pub struct MemoryBank<T> {
    conditioning: BTreeMap<usize, T>,
    /// Each with its score.
    tracked: BTreeMap<usize, (T, f32)>,
}

impl<T> Default for MemoryBank<T> {
    fn default() -> Self {
        Self {
            conditioning: BTreeMap::new(),
            tracked: BTreeMap::new(),
        }
    }
}

/// What a frame looks back at, in the order of its tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Frames with spatial memory, each with its row of the temporal encoding.
    pub spatial: Vec<(usize, usize)>,
    /// Frames with pointers, each with its distance in time or, where frames are selected, its rank.
    pub pointers: Vec<(usize, usize)>,
    /// What the distances are divided by.
    pub pointer_divisor: usize,
}

impl<T> MemoryBank<T> {
    /// Remembers a prompted frame.
    pub fn insert_prompted(&mut self, frame: usize, memory: T) {
        self.tracked.remove(&frame);
        self.conditioning.insert(frame, memory);
    }

    /// Remembers a tracked frame with its score; see [`super::memory_score`].
    pub fn insert_tracked(&mut self, frame: usize, memory: T, score: f32) {
        self.conditioning.remove(&frame);
        self.tracked.insert(frame, (memory, score));
    }

    /// A remembered frame of either kind.
    pub fn get(&self, frame: usize) -> Option<&T> {
        let tracked = self.tracked.get(&frame).map(|(memory, _)| memory);
        tracked.or_else(|| self.conditioning.get(&frame))
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.conditioning.is_empty() && self.tracked.is_empty()
    }

    /// Forgets tracked frames that no later frame of the same direction will look back at: all but the latest frames that
    /// spatial memories and pointers can come from. What was prompted stays.
    pub fn forget_before(&mut self, moment: Moment, config: &MemoryConfig) {
        let most = moment.frames.min(config.pointers);
        let valid = if config.selection {
            self.valid(moment, most, config.threshold)
        } else {
            Vec::new()
        };
        let recent = |index: usize| index.abs_diff(moment.frame) < config.pointers;
        self.tracked
            .retain(|index, _| recent(*index) || valid.contains(index));
    }

    /// What `moment` looks back at.
    pub fn select(&self, moment: Moment, config: &MemoryConfig) -> Selection {
        let Moment {
            frame,
            frames,
            reverse,
        } = moment;
        let chosen = self.closest_conditioning(frame, config.conditioning_frames);
        let is_known = |index: usize| {
            self.tracked.contains_key(&index)
                || self.conditioning.contains_key(&index) && !chosen.contains(&index)
        };
        let most = frames.min(config.pointers);
        let valid = config
            .selection
            .then(|| self.valid(moment, most, config.threshold));
        // The frame `steps` back in the order of tracking, whether it is remembered or not.
        let back = |steps: usize| {
            if reverse {
                frame.checked_add(steps).filter(|index| *index < frames)
            } else {
                frame.checked_sub(steps)
            }
        };
        let from_latest = |rank: usize| match &valid {
            Some(valid) => valid.len().checked_sub(rank).map(|at| valid[at]),
            None => back(rank),
        };

        let mut spatial: Vec<(usize, usize)> = chosen
            .iter()
            .map(|index| (*index, config.frames - 1))
            .collect();
        spatial.extend(
            (1..config.frames)
                .rev()
                .filter_map(|rank| Some((from_latest(rank)?, rank - 1)))
                .filter(|(index, _)| is_known(*index)),
        );

        let past = |index: &&usize| {
            if reverse {
                **index >= frame
            } else {
                **index <= frame
            }
        };
        let mut pointers: Vec<(usize, usize)> = chosen
            .iter()
            .filter(past)
            .map(|index| (*index, index.abs_diff(frame)))
            .collect();
        // Where frames are selected, the oldest of them gives no pointer.
        let end = valid.as_ref().map_or(most, |valid| most.min(valid.len()));
        pointers.extend(
            (1..end)
                .filter_map(|rank| Some((from_latest(rank)?, rank)))
                .filter(|(index, _)| is_known(*index)),
        );
        Selection {
            spatial,
            pointers,
            pointer_divisor: most.saturating_sub(1),
        }
    }

    /// Conditioning frames to attend to: all, or of too many the closest before, the closest from here on and then those
    /// closest in time.
    fn closest_conditioning(&self, frame: usize, most: usize) -> Vec<usize> {
        let all: Vec<usize> = self.conditioning.keys().copied().collect();
        if all.len() <= most {
            return all;
        }
        let before = all.iter().copied().filter(|index| *index < frame).max();
        let after = all.iter().copied().filter(|index| *index >= frame).min();
        let mut chosen: Vec<usize> = before.into_iter().chain(after).collect();
        let mut others: Vec<usize> = all
            .into_iter()
            .filter(|index| !chosen.contains(index))
            .collect();
        others.sort_by_key(|index| index.abs_diff(frame));
        chosen.extend(others.into_iter().take(most.saturating_sub(chosen.len())));
        chosen
    }

    /// Tracked frames whose score is above the threshold, oldest first, and the neighbour in any case. Frame 0 is never one
    /// of them when the sequence is followed forwards.
    fn valid(&self, moment: Moment, most: usize, threshold: f32) -> Vec<usize> {
        let Moment {
            frame,
            frames,
            reverse,
        } = moment;
        let last = frames.saturating_sub(1);
        if (frame == 0 && !reverse) || (frame == last && reverse) {
            return Vec::new();
        }
        let (neighbour, candidates): (usize, Vec<usize>) = if reverse {
            (frame + 1, (frame + 1..frames).collect())
        } else {
            (frame - 1, (1..frame).rev().collect())
        };
        let mut valid: Vec<usize> = Vec::new();
        for index in candidates {
            let Some((_, score)) = self.tracked.get(&index) else {
                continue;
            };
            if *score > threshold {
                valid.push(index);
            }
            if valid.len() + 1 >= most {
                break;
            }
        }
        valid.reverse();
        if !valid.contains(&neighbour) {
            valid.push(neighbour);
        }
        valid
    }
}

#[cfg(test)]
mod tests;

//! What of a segment hangs together through slices: pieces by faces, edges and corners (26 neighbours in a
//! volume, 8 in a picture), found on the runs of rows and not on voxels.

use std::collections::BTreeMap;

use crate::document::Place;
use crate::document::Segment;
use crate::runs::{Run, Runs};

/// A run within one row of one slice.
#[derive(Debug, Clone, Copy)]
struct RowRun {
    slice: usize,
    row: usize,
    /// First column, and one past the last.
    left: usize,
    right: usize,
}

/// The pieces of a segment at one frame.
pub(crate) struct Pieces {
    runs: Vec<RowRun>,
    /// Of each run, its piece from 0, in the order of their first pixels.
    of: Vec<usize>,
    /// Voxels of each piece.
    pub(crate) sizes: Vec<usize>,
    width: usize,
    frame: usize,
}

impl Pieces {
    /// Of the masks of `segment` at `frame`, on pictures `width` pixels wide. Slices that follow each other
    /// in number are neighbours.
    pub(crate) fn of(segment: &Segment, frame: usize, width: usize) -> Self {
        let mut runs = Vec::new();
        for (place, mask) in segment.masks().filter(|(place, _)| place.frame == frame) {
            runs.extend(mask.rows(width).map(|(row, left, right)| RowRun {
                slice: place.slice,
                row,
                left,
                right,
            }));
        }
        let mut joined = Joined::new(runs.len());
        // Where the runs of each row begin.
        let mut rows: BTreeMap<(usize, usize), std::ops::Range<usize>> = BTreeMap::new();
        for (index, run) in runs.iter().enumerate() {
            rows.entry((run.slice, run.row))
                .and_modify(|range| range.end = index + 1)
                .or_insert(index..index + 1);
        }
        for (&(slice, row), range) in &rows {
            let above = row.checked_sub(1).map(|row| (slice, row));
            let before = slice
                .checked_sub(1)
                .into_iter()
                .flat_map(|slice| (row.saturating_sub(1)..=row + 1).map(move |row| (slice, row)));
            for other in above.into_iter().chain(before) {
                if let Some(others) = rows.get(&other) {
                    touch(&runs, range.clone(), others.clone(), &mut joined);
                }
            }
        }
        let (of, count) = joined.numbers();
        let mut sizes = vec![0; count];
        for (run, &piece) in runs.iter().zip(&of) {
            if let Some(size) = sizes.get_mut(piece) {
                *size += run.right - run.left;
            }
        }
        Self {
            runs,
            of,
            sizes,
            width,
            frame,
        }
    }

    /// The masks of the pieces that are kept, on every picture where the segment had any.
    pub(crate) fn keep(&self, kept: impl Fn(usize) -> bool) -> BTreeMap<Place, Runs> {
        let mut masks: BTreeMap<Place, Vec<Run>> = BTreeMap::new();
        for (run, &piece) in self.runs.iter().zip(&self.of) {
            let place = Place {
                slice: run.slice,
                frame: self.frame,
            };
            let mask = masks.entry(place).or_default();
            if kept(piece) {
                let start = run.row * self.width;
                mask.push(Run {
                    start: (start + run.left) as u32,
                    end: (start + run.right) as u32,
                });
            }
        }
        masks
            .into_iter()
            .map(|(place, runs)| (place, Runs::of_sorted(runs)))
            .collect()
    }
}

/// Joins the runs of two neighbouring rows that touch, corners counted.
fn touch(
    runs: &[RowRun],
    first: std::ops::Range<usize>,
    second: std::ops::Range<usize>,
    joined: &mut Joined,
) {
    let (mut a, mut b) = (first.start, second.start);
    while a < first.end && b < second.end {
        let (Some(one), Some(other)) = (runs.get(a), runs.get(b)) else {
            return;
        };
        if one.left <= other.right && other.left <= one.right {
            joined.join(a, b);
        }
        if one.right < other.right {
            a += 1;
        } else {
            b += 1;
        }
    }
}

/// Disjoint sets.
struct Joined(Vec<usize>);

impl Joined {
    fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn root(&mut self, mut at: usize) -> usize {
        while let Some(&parent) = self.0.get(at) {
            if parent == at {
                break;
            }
            let next = self.0.get(parent).copied().unwrap_or(parent);
            if let Some(slot) = self.0.get_mut(at) {
                *slot = next;
            }
            at = next;
        }
        at
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        let (low, high) = (a.min(b), a.max(b));
        if let Some(slot) = self.0.get_mut(high) {
            *slot = low;
        }
    }

    /// The number of the set of each, in the order of their first members, and how many there are.
    fn numbers(mut self) -> (Vec<usize>, usize) {
        let mut numbers = vec![usize::MAX; self.0.len()];
        let mut count = 0;
        let mut of = Vec::with_capacity(self.0.len());
        for at in 0..self.0.len() {
            let root = self.root(at);
            let number = match numbers.get_mut(root) {
                Some(number) if *number == usize::MAX => {
                    *number = count;
                    count += 1;
                    *number
                }
                Some(number) => *number,
                None => 0,
            };
            of.push(number);
        }
        (of, count)
    }
}

//! A mask on one picture, kept as the runs of its pixels (row-major, `index = row * width + column`):
//! sorted, apart from each other, none empty. Small for what organs look like, quick to count and combine.

use medsam3_imaging::Mask;
use serde::{Deserialize, Serialize};

/// Consecutive pixels inside of a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Run {
    /// Index of the first pixel.
    pub start: u32,
    /// One past the last pixel.
    pub end: u32,
}

/// The runs of one mask.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Runs(Vec<Run>);

impl Runs {
    /// Of a mask with fewer than 2^32 pixels.
    pub fn of_mask(mask: &Mask) -> Self {
        Self::of_bits(mask.bits.iter().map(|&bit| bit != 0))
    }

    /// Of pixels in row-major order.
    pub fn of_bits(bits: impl Iterator<Item = bool>) -> Self {
        let mut runs = Vec::new();
        let mut start = None;
        let mut at = 0;
        for bit in bits {
            match (bit, start) {
                (true, None) => start = Some(at),
                (false, Some(first)) => {
                    runs.push(Run {
                        start: first,
                        end: at,
                    });
                    start = None;
                }
                _ => {}
            }
            at += 1;
        }
        if let Some(first) = start {
            runs.push(Run {
                start: first,
                end: at,
            });
        }
        Self(runs)
    }

    /// Of runs in order that do not overlap; those that meet become one.
    pub(crate) fn of_sorted(runs: impl IntoIterator<Item = Run>) -> Self {
        let mut joined: Vec<Run> = Vec::new();
        for run in runs {
            match joined.last_mut() {
                Some(last) if run.start <= last.end => last.end = last.end.max(run.end),
                _ => joined.push(run),
            }
        }
        Self(joined)
    }

    /// Of a box of pixels, a byte each, 0 outside of the mask, row by row, that lies at `left` and `top` on a picture of
    /// `width` by `height` pixels; what lies beyond is cut off.
    pub fn of_patch(
        pixels: &[u8],
        [left, top]: [usize; 2],
        columns: usize,
        [width, height]: [usize; 2],
    ) -> Self {
        let rows = pixels.chunks(columns.max(1)).zip(top..height);
        let inside = width.saturating_sub(left);
        Self::of_sorted(rows.flat_map(|(pixels, row)| {
            let start = (row * width).saturating_add(left) as u32;
            let visible = pixels.iter().take(inside).map(|&pixel| pixel != 0);
            let runs = Self::of_bits(visible);
            runs.0.into_iter().map(move |run| Run {
                start: start + run.start,
                end: start + run.end,
            })
        }))
    }

    /// The runs in order.
    pub fn iter(&self) -> impl Iterator<Item = Run> + '_ {
        self.0.iter().copied()
    }

    /// Whether no pixel is inside.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of pixels inside.
    pub fn count(&self) -> usize {
        self.iter().map(|run| (run.end - run.start) as usize).sum()
    }

    /// Indices of the pixels inside, in order.
    pub fn pixels(&self) -> impl Iterator<Item = usize> + '_ {
        self.iter()
            .flat_map(|run| run.start as usize..run.end as usize)
    }

    /// The mask on a picture of `width` by `height` pixels; what lies beyond is cut off.
    pub fn to_mask(&self, width: usize, height: usize) -> Mask {
        let mut mask = Mask::empty(width, height);
        let count = mask.bits.len();
        for run in self.iter() {
            let range = (run.start as usize).min(count)..(run.end as usize).min(count);
            mask.bits.get_mut(range).unwrap_or_default().fill(1);
        }
        mask
    }

    /// The runs row by row: row, first column, one past the last column.
    pub fn rows(&self, width: usize) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
        let width = width.max(1);
        self.iter().flat_map(move |run| {
            let (start, end) = (run.start as usize, run.end as usize);
            (start / width..=(end - 1) / width).map(move |row| {
                let left = start.max(row * width) - row * width;
                let right = end.min((row + 1) * width) - row * width;
                (row, left, right)
            })
        })
    }

    /// Pixels in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all: Vec<Run> = self.iter().chain(other.iter()).collect();
        all.sort_unstable_by_key(|run| run.start);
        Self::of_sorted(all)
    }

    /// Pixels in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut a, mut b) = (self.iter().peekable(), other.iter().peekable());
        let mut both = Vec::new();
        while let (Some(first), Some(second)) = (a.peek(), b.peek()) {
            let start = first.start.max(second.start);
            let end = first.end.min(second.end);
            if start < end {
                both.push(Run { start, end });
            }
            if first.end < second.end {
                a.next();
            } else {
                b.next();
            }
        }
        Self(both)
    }

    /// Pixels in this one and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut rest = Vec::new();
        let mut cuts = other.iter().peekable();
        for run in self.iter() {
            let mut start = run.start;
            while let Some(cut) = cuts.peek() {
                if cut.end <= start {
                    cuts.next();
                    continue;
                }
                if cut.start >= run.end {
                    break;
                }
                if cut.start > start {
                    rest.push(Run {
                        start,
                        end: cut.start,
                    });
                }
                start = cut.end.min(run.end);
                if cut.end > run.end {
                    break;
                }
                cuts.next();
            }
            if start < run.end {
                rest.push(Run {
                    start,
                    end: run.end,
                });
            }
        }
        Self(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All pairs of masks on five pixels, against the operations on bits.
    #[test]
    fn operations_on_runs_are_those_on_bits() {
        let of = |bits: u32| Runs::of_bits((0..5).map(move |at| bits >> at & 1 == 1));
        for a in 0..32 {
            assert_eq!(of(a).count(), a.count_ones() as usize);
            for b in 0..32 {
                assert_eq!(of(a).union(&of(b)), of(a | b));
                assert_eq!(of(a).intersection(&of(b)), of(a & b));
                assert_eq!(of(a).difference(&of(b)), of(a & !b), "{a:b} {b:b}");
            }
        }
    }

    #[test]
    fn a_patch_lies_where_it_is_put_and_is_cut_at_the_edge() {
        let patch = [1, 1, 0, 2, 0, 1];
        let runs = Runs::of_patch(&patch, [2, 1], 3, [4, 3]);
        assert_eq!(
            runs.to_mask(4, 3).bits,
            [0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0]
        );
        assert!(Runs::of_patch(&patch, [9, 0], 3, [4, 3]).is_empty());
        assert!(Runs::of_patch(&patch, [0, 9], 3, [4, 3]).is_empty());
    }

    #[test]
    fn runs_become_masks_and_rows() {
        let mask = Mask {
            width: 3,
            height: 3,
            bits: vec![0, 1, 1, 1, 1, 1, 0, 0, 1],
        };
        let runs = Runs::of_mask(&mask);
        assert_eq!(runs.to_mask(3, 3), mask);
        assert_eq!(
            runs.rows(3).collect::<Vec<_>>(),
            [(0, 1, 3), (1, 0, 3), (2, 2, 3)]
        );
        assert_eq!(runs.pixels().collect::<Vec<_>>(), [1, 2, 3, 4, 5, 8]);
        // A smaller picture cuts off.
        assert_eq!(runs.to_mask(2, 2).bits, [0, 1, 1, 1]);
    }
}

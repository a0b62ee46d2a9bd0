//! Changes to a segment as data: what was on each picture and what is there after, so that undo and redo need
//! no copy of the document. The operations here make changes and apply nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::components::Pieces;
use crate::document::Place;
use crate::document::{Segment, Segmentation};
use crate::error::SegmentationError;
use crate::runs::{Run, Runs};

/// The pixels of one picture before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The picture.
    pub place: Place,
    /// What is taken away.
    pub before: Runs,
    /// What is put in its place.
    pub after: Runs,
}

/// A change of one segment; empty where nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// Index of the segment.
    pub segment: usize,
    /// The pictures that change, in order.
    pub changes: Vec<Change>,
}

impl Edit {
    /// What turns the masks of a segment into others; pictures that are not among them stay.
    pub fn between(segment: usize, old: &Segment, new: BTreeMap<Place, Runs>) -> Self {
        let changes = new
            .into_iter()
            .filter_map(|(place, after)| {
                let before = old.runs(place).cloned().unwrap_or_default();
                (before != after).then_some(Change {
                    place,
                    before,
                    after,
                })
            })
            .collect();
        Self { segment, changes }
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Puts the new pixels in place.
    ///
    /// # Errors
    ///
    /// [`SegmentationError::NoSuchSegment`], [`SegmentationError::NoSuchPicture`],
    /// [`SegmentationError::MaskSize`].
    pub fn apply(&self, segmentation: &mut Segmentation) -> Result<(), SegmentationError> {
        for change in &self.changes {
            segmentation.set_runs(self.segment, change.place, change.after.clone())?;
        }
        Ok(())
    }

    /// The edit that takes this one back.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let changes = self.changes.iter().map(|change| Change {
            place: change.place,
            before: change.after.clone(),
            after: change.before.clone(),
        });
        Self {
            segment: self.segment,
            changes: changes.collect(),
        }
    }
}

fn segment(segmentation: &Segmentation, index: usize) -> Result<&Segment, SegmentationError> {
    segmentation
        .segments()
        .get(index)
        .ok_or(SegmentationError::NoSuchSegment { index })
}

/// Fills what a segment encloses in each picture: background without a path of edges to the border.
///
/// # Errors
///
/// [`SegmentationError::NoSuchSegment`].
pub fn fill_holes(segmentation: &Segmentation, index: usize) -> Result<Edit, SegmentationError> {
    let old = segment(segmentation, index)?;
    let grid = segmentation.grid();
    let filled = old
        .masks()
        .map(|(place, runs)| (place, fill(runs, grid.columns, grid.rows)))
        .collect();
    Ok(Edit::between(index, old, filled))
}

/// Takes away the pieces of a segment with fewer than `least` voxels, pieces through slices counted as one.
///
/// # Errors
///
/// [`SegmentationError::NoSuchSegment`].
pub fn remove_islands(
    segmentation: &Segmentation,
    index: usize,
    least: usize,
) -> Result<Edit, SegmentationError> {
    of_pieces(segmentation, index, |sizes, piece| {
        sizes.get(piece).is_some_and(|&size| size >= least)
    })
}

/// Keeps the largest piece of a segment at every frame, the first of equal ones.
///
/// # Errors
///
/// [`SegmentationError::NoSuchSegment`].
pub fn keep_largest(segmentation: &Segmentation, index: usize) -> Result<Edit, SegmentationError> {
    of_pieces(segmentation, index, |sizes, piece| {
        let most = sizes.iter().copied().max();
        sizes.iter().position(|&size| Some(size) == most) == Some(piece)
    })
}

fn of_pieces(
    segmentation: &Segmentation,
    index: usize,
    kept: impl Fn(&[usize], usize) -> bool,
) -> Result<Edit, SegmentationError> {
    let old = segment(segmentation, index)?;
    let grid = segmentation.grid();
    let mut masks = BTreeMap::new();
    for frame in 0..grid.frames {
        let pieces = Pieces::of(old, frame, grid.columns);
        let kept: Vec<bool> = (0..pieces.sizes.len())
            .map(|piece| kept(&pieces.sizes, piece))
            .collect();
        masks.extend(pieces.keep(|piece| kept.get(piece) == Some(&true)));
    }
    Ok(Edit::between(index, old, masks))
}

/// Adds the pixels of another segment.
///
/// # Errors
///
/// [`SegmentationError::NoSuchSegment`].
pub fn union(
    segmentation: &Segmentation,
    index: usize,
    other: usize,
) -> Result<Edit, SegmentationError> {
    let (old, other) = (segment(segmentation, index)?, segment(segmentation, other)?);
    let masks = other.masks().map(|(place, more)| {
        let joined = old.runs(place).map(|runs| runs.union(more));
        (place, joined.unwrap_or_else(|| more.clone()))
    });
    Ok(Edit::between(index, old, masks.collect()))
}

/// Takes away the pixels of another segment.
///
/// # Errors
///
/// [`SegmentationError::NoSuchSegment`].
pub fn difference(
    segmentation: &Segmentation,
    index: usize,
    other: usize,
) -> Result<Edit, SegmentationError> {
    let (old, other) = (segment(segmentation, index)?, segment(segmentation, other)?);
    let masks = old.masks().filter_map(|(place, runs)| {
        let rest = runs.difference(other.runs(place)?);
        Some((place, rest))
    });
    Ok(Edit::between(index, old, masks.collect()))
}

/// A mask with its holes filled.
fn fill(runs: &Runs, width: usize, height: usize) -> Runs {
    let whole = Runs::of_sorted([Run {
        start: 0,
        end: (width * height) as u32,
    }]);
    let background = whole.difference(runs);
    // Pieces of background by edges alone, found on runs; what touches the border stays background.
    let rows: Vec<(usize, usize, usize)> = background.rows(width).collect();
    let mut outside: Vec<bool> = rows
        .iter()
        .map(|&(row, left, right)| row == 0 || row + 1 == height || left == 0 || right == width)
        .collect();
    let mut starts = vec![rows.len(); height + 1];
    for (index, &(row, ..)) in rows.iter().enumerate().rev() {
        if let Some(start) = starts.get_mut(row) {
            *start = index;
        }
    }
    let mut waiting: Vec<usize> = (0..rows.len())
        .filter(|&index| outside.get(index) == Some(&true))
        .collect();
    while let Some(index) = waiting.pop() {
        let Some(&(row, left, right)) = rows.get(index) else {
            continue;
        };
        for neighbour in [row.checked_sub(1), Some(row + 1)].into_iter().flatten() {
            let Some(&start) = starts.get(neighbour) else {
                continue;
            };
            for (at, &(other, first, last)) in rows.iter().enumerate().skip(start) {
                if other != neighbour || first >= right {
                    break;
                }
                if last > left
                    && let Some(reached) = outside.get_mut(at)
                    && !*reached
                {
                    *reached = true;
                    waiting.push(at);
                }
            }
        }
    }
    let holes = rows
        .iter()
        .zip(&outside)
        .filter(|&(_, &outside)| !outside)
        .map(|(&(row, left, right), _)| Run {
            start: (row * width + left) as u32,
            end: (row * width + right) as u32,
        });
    runs.union(&Runs::of_sorted(holes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Grid;
    use crate::origin::Origin;

    const GRID: Grid = Grid {
        columns: 5,
        rows: 5,
        slices: 3,
        frames: 1,
    };

    fn runs(rows: [&str; 5]) -> Runs {
        Runs::of_bits(
            rows.concat()
                .chars()
                .map(|letter| letter == '#')
                .collect::<Vec<_>>()
                .into_iter(),
        )
    }

    fn document(slices: &[(usize, [&str; 5])]) -> Segmentation {
        let mut document = Segmentation::on(GRID);
        let index = document.add(Segment::new("liver", Origin::of_person()));
        for &(slice, rows) in slices {
            document
                .set_runs(index, Place { slice, frame: 0 }, runs(rows))
                .unwrap();
        }
        document
    }

    #[test]
    fn holes_are_what_no_edge_leads_out_of() {
        // scipy.ndimage.binary_fill_holes: a diagonal gap is none.
        let document = document(&[(1, ["####.", "#..#.", "#.#..", "##..#", "....#"])]);
        let edit = fill_holes(&document, 0).unwrap();
        let expected = runs(["####.", "####.", "###..", "##..#", "....#"]);
        assert_eq!(edit.changes.len(), 1);
        assert_eq!(edit.changes[0].after, expected);
    }

    #[test]
    fn pieces_hang_together_through_slices_and_edits_come_back() {
        let mut document = document(&[
            (0, ["##...", ".....", ".....", ".....", "....#"]),
            (1, ["..#..", ".....", ".....", ".....", "....."]),
            (2, [".....", ".....", ".....", "#....", "##..."]),
        ]);
        let before = document.clone();
        // 26-connected: the first piece has 3 voxels over two slices, as the third has in one.
        let largest = keep_largest(&document, 0).unwrap();
        largest.apply(&mut document).unwrap();
        assert_eq!(document.segments()[0].count(), 3);
        assert!(document.mask(0, 2, 0).is_none());
        largest.inverse().apply(&mut document).unwrap();
        assert_eq!(document, before);
        let islands = remove_islands(&document, 0, 2).unwrap();
        islands.apply(&mut document).unwrap();
        assert_eq!(document.segments()[0].count(), 6);
        assert!(remove_islands(&document, 0, 2).unwrap().is_empty());
    }

    #[test]
    fn union_and_difference_of_segments() {
        let mut document = document(&[(0, ["##...", ".....", ".....", ".....", "....."])]);
        let other = document.add(Segment::new("tumor", Origin::of_person()));
        let tumor = runs([".#...", ".#...", ".....", ".....", "....."]);
        document
            .set_runs(other, Place { slice: 0, frame: 0 }, tumor.clone())
            .unwrap();
        document
            .set_runs(other, Place { slice: 2, frame: 0 }, tumor)
            .unwrap();
        let joined = union(&document, 0, other).unwrap();
        assert_eq!(joined.changes.len(), 2);
        let cut = difference(&document, 0, other).unwrap();
        assert_eq!(cut.changes[0].after.count(), 1);
        joined.apply(&mut document).unwrap();
        assert_eq!(document.segments()[0].count(), 5);
        assert!(document.has_overlaps());
    }
}

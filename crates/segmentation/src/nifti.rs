//! Segments as NIfTI-1 volumes on the grid of the series, with its affine: one file per segment (0 and 1), or
//! one label map (0 and the numbers of the segments) for segments that do not overlap.

use std::io::Write;

use medsam3_imaging::series::{Kind, Problem, Series, Volume, Voxels};
use medsam3_imaging::write_nifti;

use crate::document::{Segment, Segmentation};
use crate::error::SegmentationError;

const FORMAT: &str = "NIfTI";
/// Label maps are of 16 bits with a sign, as most readers expect.
const MAX_LABEL: usize = i16::MAX as usize;

/// Writes one segment as `.nii.gz`.
///
/// # Errors
///
/// [`SegmentationError::NotWritable`] for a series that is no volume in right angles,
/// [`SegmentationError::NoSuchSegment`], [`SegmentationError::OtherSeries`], and failures of writing.
pub fn write_segment_nifti(
    series: &Series,
    segmentation: &Segmentation,
    index: usize,
    output: impl Write,
) -> Result<(), SegmentationError> {
    segmentation.check_series(series)?;
    let segment = segmentation
        .segments()
        .get(index)
        .ok_or(SegmentationError::NoSuchSegment { index })?;
    Ok(write_nifti(&volume(series, [(1, segment)])?, output)?)
}

/// Writes all segments as one label map, `.nii.gz`; [`crate::label_table`] says what the labels are.
///
/// # Errors
///
/// As [`write_segment_nifti`], and [`SegmentationError::Overlap`], [`SegmentationError::TooLarge`].
pub fn write_label_map(
    series: &Series,
    segmentation: &Segmentation,
    output: impl Write,
) -> Result<(), SegmentationError> {
    segmentation.check_series(series)?;
    let segments = segmentation.segments();
    if segments.len() > MAX_LABEL {
        return Err(SegmentationError::TooLarge {
            format: FORMAT,
            needed: segments.len() as u64,
            limit: MAX_LABEL as u64,
        });
    }
    if segmentation.has_overlaps() {
        return Err(SegmentationError::Overlap);
    }
    let numbered = (1i16..).zip(segments);
    Ok(write_nifti(&volume(series, numbered)?, output)?)
}

/// The grid of the series with the labels of segments on it.
fn volume<'a>(
    series: &Series,
    segments: impl IntoIterator<Item = (i16, &'a Segment)>,
) -> Result<Volume, SegmentationError> {
    let refuse = |detail| SegmentationError::NotWritable {
        format: FORMAT,
        detail,
        next_step: "Write DICOM SEG, which keeps the place of every slice, or PNG.",
    };
    let has = |problem| series.problems().contains(&problem);
    if has(Problem::Tilt) {
        return Err(refuse("its slices are tilted against their direction"));
    }
    if series.kind() == Kind::Stack {
        return Err(refuse("its pictures make no volume"));
    }
    let grid: Vec<usize> = (0..series.slices())
        .map(|slice| {
            let place = series.places().get(slice);
            place.and_then(|place| place.grid_index).unwrap_or(slice)
        })
        .collect();
    let slices = grid.last().map_or(1, |last| last + 1);
    let (columns, rows, frames) = (series.columns(), series.rows(), series.frames());
    let pixels = columns.saturating_mul(rows);
    let count = pixels.saturating_mul(slices).saturating_mul(frames);
    // A grid of mostly missing slices would take memory for nothing.
    if slices > series.slices().saturating_mul(3) {
        return Err(refuse("most of its slices are missing"));
    }
    let mut voxels = vec![0i16; count];
    for (label, segment) in segments {
        for (place, runs) in segment.masks() {
            let slice = grid.get(place.slice).copied().unwrap_or(place.slice);
            let start = (place.frame * slices + slice) * pixels;
            for run in runs.iter() {
                let range = start + run.start as usize..start + run.end as usize;
                voxels.get_mut(range).unwrap_or_default().fill(label);
            }
        }
    }
    Ok(Volume {
        columns,
        rows,
        slices,
        frames,
        voxels: Voxels::I16(voxels),
        affine: series.affine(),
        spacing_mm: series.spacing_mm().unwrap_or_default(),
        missing: Vec::new(),
    })
}

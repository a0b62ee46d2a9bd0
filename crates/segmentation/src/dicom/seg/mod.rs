//! DICOM segmentations out (PS3.3 A.51 and C.8.20; label maps: Supplement 243): a frame for every segment
//! and picture with pixels, sparse, overlaps kept. Frames refer to the pictures that they were made on, and
//! have planes of their own where the series has places in the patient.

mod data_set;
mod describe;
mod groups;

use std::collections::BTreeMap;
use std::io::Write;

use medsam3_imaging::series::Series;

use super::file;
use super::header::DicomOptions;
use super::pixels::{Packer, packed_length};
use super::source::SourceSeries;
use crate::document::{Place, Segmentation};
use crate::error::SegmentationError;
use crate::runs::Runs;

use data_set::data_set;
pub(super) use describe::description;

const FORMAT: &str = "DICOM SEG";
/// Pixels of one element, whose length has 32 bits and is even.
const MAX_BYTES: u64 = 0xFFFF_FFFE;
/// Segment Number has 16 bits, and 0 is no segment.
const MAX_SEGMENTS: usize = 0xFFFF;

/// One frame in the making.
struct Frame<'a> {
    /// Number of its segment; `None` in label maps.
    segment: Option<u16>,
    place: Place,
    /// What is in it: of each segment number its pixels.
    parts: Vec<(u16, &'a Runs)>,
}

/// Writes a segmentation of a series as one DICOM file.
///
/// # Errors
///
/// [`SegmentationError::Empty`] without a pixel, [`SegmentationError::NotWritable`] where the series has
/// nothing to refer to, [`SegmentationError::Overlap`] for a label map of overlapping segments,
/// [`SegmentationError::TooLarge`], [`SegmentationError::OtherSeries`], [`SegmentationError::Write`].
pub fn write_seg(
    series: &Series,
    segmentation: &Segmentation,
    options: &DicomOptions,
    mut output: impl Write,
) -> Result<(), SegmentationError> {
    let source = SourceSeries::of(series, segmentation, FORMAT)?;
    let frames = frames(segmentation, options.label_map)?;
    let grid = segmentation.grid();
    let bytes_per_pixel = if segmentation.segments().len() > 255 {
        2
    } else {
        1
    };
    let length = if options.label_map {
        let pixels = (grid.pixels() as u64).saturating_mul(bytes_per_pixel);
        let bytes = pixels.saturating_mul(frames.len() as u64);
        bytes.next_multiple_of(2)
    } else {
        packed_length(frames.len(), grid.pixels())
    };
    let too_large = SegmentationError::TooLarge {
        format: FORMAT,
        needed: length,
        limit: MAX_BYTES,
    };
    let length = u32::try_from(length)
        .ok()
        .filter(|&length| u64::from(length) <= MAX_BYTES);
    let length = length.ok_or(too_large)?;
    let data_set = data_set(&source, segmentation, options, &frames)?;
    file::write(&data_set.into_object(), &mut output)?;
    file::write_pixel_header(length, &mut output)?;
    if options.label_map {
        let wide = bytes_per_pixel == 2;
        write_labels(&frames, grid.pixels(), wide, length, &mut output)?;
    } else {
        let mut packer = Packer::new(&mut output, grid.pixels());
        for frame in &frames {
            for (_, runs) in &frame.parts {
                packer.frame(runs)?;
            }
        }
        packer.finish()?;
    }
    output.flush()?;
    Ok(())
}

/// The frames in the order of segments and pictures; of a label map, of pictures.
fn frames(
    segmentation: &Segmentation,
    label_map: bool,
) -> Result<Vec<Frame<'_>>, SegmentationError> {
    let segments = segmentation.segments();
    if segments.len() > MAX_SEGMENTS {
        return Err(SegmentationError::TooLarge {
            format: FORMAT,
            needed: segments.len() as u64,
            limit: MAX_SEGMENTS as u64,
        });
    }
    let numbered = segments.iter().zip(1u16..).flat_map(|(segment, number)| {
        segment
            .masks()
            .map(move |(place, runs)| (number, place, runs))
    });
    let frames: Vec<Frame<'_>> = if label_map {
        if segmentation.has_overlaps() {
            return Err(SegmentationError::Overlap);
        }
        let mut by_place: BTreeMap<Place, Vec<(u16, &Runs)>> = BTreeMap::new();
        for (number, place, runs) in numbered {
            by_place.entry(place).or_default().push((number, runs));
        }
        by_place
            .into_iter()
            .map(|(place, parts)| Frame {
                segment: None,
                place,
                parts,
            })
            .collect()
    } else {
        numbered
            .map(|(number, place, runs)| Frame {
                segment: Some(number),
                place,
                parts: vec![(number, runs)],
            })
            .collect()
    };
    if frames.is_empty() {
        return Err(SegmentationError::Empty);
    }
    Ok(frames)
}

fn write_labels(
    frames: &[Frame<'_>],
    pixels: usize,
    wide: bool,
    length: u32,
    output: &mut impl Write,
) -> Result<(), SegmentationError> {
    let mut written = 0u64;
    for frame in frames {
        let mut labels = vec![0u16; pixels];
        for (number, runs) in &frame.parts {
            for run in runs.iter() {
                let range = run.start as usize..run.end as usize;
                labels.get_mut(range).unwrap_or_default().fill(*number);
            }
        }
        let bytes: Vec<u8> = if wide {
            labels
                .iter()
                .flat_map(|label| label.to_le_bytes())
                .collect()
        } else {
            labels.iter().map(|&label| label as u8).collect()
        };
        output.write_all(&bytes)?;
        written += bytes.len() as u64;
    }
    if written < u64::from(length) {
        output.write_all(&[0])?;
    }
    Ok(())
}

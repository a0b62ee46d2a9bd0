//! What a segmentation says of each frame: its segment (PS3.3 C.8.20.3.1), its plane (C.7.6.16.2), the images
//! it was drawn on, and its place in a whole of tiles (C.8.12.14, C.7.6.17.3).

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::super::attributes::Attributes;
use super::super::groups::{Group, Groups};
use super::super::summary::{pair, vector};
use super::{SegmentInfo, malformed, uid};
use crate::ImagingError;
use crate::geometry::{Orientation, Vector};

/// An image that a frame was drawn on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceImage {
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Its frames, counted from 0; none where the file names none, which means all of them.
    pub frames: Vec<usize>,
}

/// One frame as it is described. What is absent the file does not say.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentationFrame {
    /// Number of its segment; `None` in label maps, whose values are the numbers.
    pub segment: Option<u16>,
    /// Centre of the first pixel in mm, in the patient's axes (LPS).
    pub position: Option<Vector>,
    /// Directions of its rows and columns, in the patient's axes (LPS).
    pub orientation: Option<Orientation>,
    /// Between columns, between rows.
    pub spacing_mm: Option<[f64; 2]>,
    /// Slice Thickness.
    pub thickness_mm: Option<f64>,
    /// Spacing Between Slices.
    pub slice_spacing_mm: Option<f64>,
    /// First column and row in the whole that tiles are cut from, counted from 0.
    pub tile: Option<[usize; 2]>,
    /// In-Stack Position Number and Temporal Position Index, counted from 0: which picture it was drawn on, where
    /// a reference alone does not say it.
    pub stack_position: Option<usize>,
    /// See `stack_position`.
    pub temporal_position: Option<usize>,
    /// The images that it was drawn on.
    pub sources: Vec<SourceImage>,
}

/// What the frames are read from.
pub(super) struct Described<'a> {
    pub(super) groups: Groups<'a>,
    /// The data set, which says of its only frame what groups do not.
    pub(super) whole: Attributes<'a>,
    pub(super) segments: &'a [SegmentInfo],
    pub(super) count: usize,
    pub(super) label_map: bool,
}

impl Described<'_> {
    /// All frames, of `size` columns and rows.
    ///
    /// # Errors
    ///
    /// [`ImagingError::SegmentationMalformed`] for a frame without a description, and for one whose segment is
    /// unknown.
    pub(super) fn read(
        &self,
        size: [usize; 2],
        total_size: Option<[usize; 2]>,
    ) -> Result<Vec<SegmentationFrame>, ImagingError> {
        let organization = self.whole.text(tags::DIMENSION_ORGANIZATION_TYPE);
        let tiles = match total_size {
            Some(total) if organization.as_deref() == Some("TILED_FULL") => {
                Some(self.full_tiles(size, total)?)
            }
            _ => None,
        };
        // The only frame may be described by the data set itself.
        let described = match self.groups.len() {
            0 => self.count == 1,
            groups => groups == self.count,
        };
        if tiles.is_none() && !described {
            return Err(malformed(
                "it describes another number of frames than it has",
            ));
        }
        (0..self.count)
            .map(|frame| {
                let group = self.groups.frame(frame);
                let full = tiles.as_ref().and_then(|tiles| tiles.of(frame));
                let segment = match (self.label_map, &full) {
                    (true, _) => None,
                    (false, Some((segment, _))) => Some(*segment),
                    (false, None) => Some(self.segment_of(group)?),
                };
                let tile = full.map(|(_, tile)| tile).or_else(|| tile(group));
                Ok(self.frame(group, segment, tile))
            })
            .collect()
    }

    fn segment_of(&self, group: Group<'_>) -> Result<u16, ImagingError> {
        let identified = group
            .item(tags::SEGMENT_IDENTIFICATION_SEQUENCE)
            .and_then(|item| item.integer(tags::REFERENCED_SEGMENT_NUMBER));
        let known = |number: i64| {
            let mut known = self.segments.iter().map(|segment| segment.number);
            known.find(|&known| i64::from(known) == number)
        };
        match (identified, self.segments) {
            (Some(number), _) => {
                known(number).ok_or(malformed("a frame is of a segment that is not described"))
            }
            (None, [only]) => Ok(only.number),
            (None, _) => Err(malformed("a frame does not say which segment it is of")),
        }
    }

    fn frame(
        &self,
        group: Group<'_>,
        segment: Option<u16>,
        tile: Option<[usize; 2]>,
    ) -> SegmentationFrame {
        let decimals = |sequence, tag: Tag| {
            let grouped = group.item(sequence).map(|item| item.decimals(tag));
            grouped.unwrap_or_else(|| self.whole.decimals(tag))
        };
        let measures = group.item(tags::PIXEL_MEASURES_SEQUENCE);
        let positive = |tag| {
            let value = measures?.decimal(tag)?.abs();
            (value > 0.0).then_some(value)
        };
        let content = |tag| {
            let number = group.item(tags::FRAME_CONTENT_SEQUENCE)?.integer(tag)?;
            usize::try_from(number).ok()?.checked_sub(1)
        };
        let position = decimals(tags::PLANE_POSITION_SEQUENCE, tags::IMAGE_POSITION_PATIENT);
        let orientation = decimals(
            tags::PLANE_ORIENTATION_SEQUENCE,
            tags::IMAGE_ORIENTATION_PATIENT,
        );
        SegmentationFrame {
            segment,
            position: vector(&position),
            orientation: Orientation::from_cosines(&orientation),
            spacing_mm: pair(measures.unwrap_or(self.whole), tags::PIXEL_SPACING),
            thickness_mm: positive(tags::SLICE_THICKNESS),
            slice_spacing_mm: positive(tags::SPACING_BETWEEN_SLICES),
            tile,
            stack_position: content(tags::IN_STACK_POSITION_NUMBER),
            temporal_position: content(tags::TEMPORAL_POSITION_INDEX),
            sources: sources(group),
        }
    }

    /// Tiles without a description of their own: of every segment all focal planes, of these all rows of tiles.
    fn full_tiles(&self, size: [usize; 2], total: [usize; 2]) -> Result<Tiles, ImagingError> {
        let [width, height] = size;
        let columns = total[0].div_ceil(width.max(1));
        let rows = total[1].div_ceil(height.max(1));
        let planes = self
            .whole
            .integer(tags::TOTAL_PIXEL_MATRIX_FOCAL_PLANES)
            .and_then(|planes| usize::try_from(planes).ok())
            .unwrap_or(1);
        let numbers: Vec<u16> = if self.label_map {
            vec![0]
        } else {
            self.segments.iter().map(|segment| segment.number).collect()
        };
        let tiles = Tiles {
            size,
            columns,
            per_plane: columns.saturating_mul(rows),
            planes,
            numbers,
        };
        if tiles.count() == self.count {
            Ok(tiles)
        } else {
            Err(malformed(
                "its tiles do not add up to the whole that it describes",
            ))
        }
    }
}

/// Frames of which tiles follow by a rule.
struct Tiles {
    size: [usize; 2],
    /// Tiles in a row.
    columns: usize,
    per_plane: usize,
    planes: usize,
    numbers: Vec<u16>,
}

impl Tiles {
    fn count(&self) -> usize {
        self.per_plane
            .saturating_mul(self.planes)
            .saturating_mul(self.numbers.len())
    }

    /// Segment, and first column and row of a frame.
    fn of(&self, frame: usize) -> Option<(u16, [usize; 2])> {
        let tile = frame.checked_rem(self.per_plane)?;
        let of_segment = self.per_plane.saturating_mul(self.planes);
        let segment = self.numbers.get(frame.checked_div(of_segment)?)?;
        let [width, height] = self.size;
        let row = tile.checked_div(self.columns)?;
        let column = tile.checked_rem(self.columns)?;
        let start = [column.saturating_mul(width), row.saturating_mul(height)];
        Some((*segment, start))
    }
}

/// Columns and rows of the whole that tiles are cut from.
pub(super) fn total_size(attributes: Attributes<'_>) -> Option<[usize; 2]> {
    let side = |tag| {
        let side = usize::try_from(attributes.integer(tag)?).ok()?;
        (side > 0).then_some(side)
    };
    Some([
        side(tags::TOTAL_PIXEL_MATRIX_COLUMNS)?,
        side(tags::TOTAL_PIXEL_MATRIX_ROWS)?,
    ])
}

/// The place that a tile names, which the standard counts from 1.
fn tile(group: Group<'_>) -> Option<[usize; 2]> {
    let position = group.item(tags::PLANE_POSITION_SLIDE_SEQUENCE)?;
    let start = |tag| usize::try_from(position.integer(tag)?).ok()?.checked_sub(1);
    Some([
        start(tags::COLUMN_POSITION_IN_TOTAL_IMAGE_PIXEL_MATRIX)?,
        start(tags::ROW_POSITION_IN_TOTAL_IMAGE_PIXEL_MATRIX)?,
    ])
}

fn sources(group: Group<'_>) -> Vec<SourceImage> {
    group
        .items(tags::DERIVATION_IMAGE_SEQUENCE)
        .flat_map(|derivation| derivation.items(tags::SOURCE_IMAGE_SEQUENCE))
        .filter_map(|source| {
            let frames = source.integers(tags::REFERENCED_FRAME_NUMBER);
            Some(SourceImage {
                sop_instance_uid: uid(source, tags::REFERENCED_SOP_INSTANCE_UID)?,
                frames: frames
                    .into_iter()
                    // The standard counts from 1.
                    .filter_map(|number| usize::try_from(number).ok()?.checked_sub(1))
                    .collect(),
            })
        })
        .collect()
}

//! DICOM segmentations (PS3.3 A.51 and C.8.20; label maps: supplement 243): the bytes of one file go in, the
//! described segments and the frames with their places come out. A frame is decoded when it is asked for,
//! `[rows, columns]`, by the same codecs and limits as every image.
//!
//! Nothing is put together here: frames stay sparse and in the order of the file.

mod frame;
mod segment;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};

pub use frame::{SegmentationFrame, SourceImage};
pub use segment::{Code, SegmentInfo};

use super::attributes::{self, Attributes};
use super::frames::Frames;
use super::groups::Groups;
use super::{header, layout};
use crate::{ImagingError, Mask};

/// Label Map Segmentation Storage (PS3.4 B.5).
const LABEL_MAP_STORAGE: &str = "1.2.840.10008.5.1.4.1.1.66.7";

/// What is read beside the description of the pixels.
const WANTED: &[Tag] = &[
    tags::SPECIFIC_CHARACTER_SET,
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::SERIES_DESCRIPTION,
    tags::FRAME_OF_REFERENCE_UID,
    tags::REFERENCED_SERIES_SEQUENCE,
    tags::SEGMENTATION_TYPE,
    tags::SEGMENT_SEQUENCE,
    tags::MAXIMUM_FRACTIONAL_VALUE,
    tags::DIMENSION_ORGANIZATION_TYPE,
    tags::TOTAL_PIXEL_MATRIX_COLUMNS,
    tags::TOTAL_PIXEL_MATRIX_ROWS,
    tags::TOTAL_PIXEL_MATRIX_FOCAL_PLANES,
    tags::IMAGE_POSITION_PATIENT,
    tags::IMAGE_ORIENTATION_PATIENT,
];

/// What a stored value means (Segmentation Type, 0062,0001).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentationKind {
    /// 1 inside of the frame's segment, 0 outside.
    Binary,
    /// How much or how surely a pixel is inside of the frame's segment: from 0 to `maximum`, which is 1.
    Fractional {
        /// Maximum Fractional Value, from 1 to 255.
        maximum: u16,
    },
    /// The number of the segment that a pixel belongs to.
    LabelMap,
}

/// A series that was segmented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferencedSeries {
    /// Series Instance UID.
    pub series_instance_uid: String,
    /// SOP Instance UIDs of the images of it that are named, in the order of the file.
    pub sop_instance_uids: Vec<String>,
}

/// A segmentation, its pixels not yet decoded.
#[derive(Debug)]
pub struct SegmentationFile {
    /// What a stored value means.
    pub kind: SegmentationKind,
    /// Rows of every frame.
    pub rows: usize,
    /// Columns of every frame.
    pub columns: usize,
    /// Columns and rows of the whole that tiles are cut from (PS3.3 C.8.12.4), `None` where there are no tiles.
    pub total_size: Option<[usize; 2]>,
    /// The described segments, in the order of the file; their numbers differ.
    pub segments: Vec<SegmentInfo>,
    /// One for each frame, at least one, in the order of the file.
    pub frames: Vec<SegmentationFrame>,
    /// SOP Instance UID of this file.
    pub sop_instance_uid: Option<String>,
    /// Series Instance UID of this file.
    pub series_instance_uid: Option<String>,
    /// Series Description, a text for people.
    pub series_description: Option<String>,
    /// Frame of Reference UID: positions of another file with the same one can be compared.
    pub frame_of_reference_uid: Option<String>,
    /// The series that were segmented.
    pub referenced_series: Vec<ReferencedSeries>,
    pixels: Frames,
}

impl SegmentationFile {
    /// Reads everything but the pixels.
    ///
    /// # Errors
    ///
    /// [`ImagingError::NotASegmentation`] for another DICOM object, [`ImagingError::SegmentationMalformed`]
    /// where segments and frames contradict each other, else as [`crate::open`].
    pub fn open(bytes: &[u8]) -> Result<Self, ImagingError> {
        let file = layout::read(bytes, WANTED)?;
        let object = attributes::parse(&file.scan.header, file.syntax.encoding)?;
        let attributes = Attributes::new(&object);
        if !is_segmentation(attributes) {
            return Err(ImagingError::NotASegmentation);
        }
        let header = header::read(&file)?;
        let kind = kind(attributes)?;
        let fits = match kind {
            SegmentationKind::Binary => true,
            SegmentationKind::Fractional { .. } => header.bits_allocated == 8,
            SegmentationKind::LabelMap => matches!(header.bits_allocated, 8 | 16),
        };
        if !fits || header.samples != 1 || header.signed {
            return Err(malformed(
                "its pixels have not the bits that its type asks for",
            ));
        }
        // Before a description of every frame is made: the pixels must be as many.
        let pixels = Frames::new(&file, &header)?;
        let segments = segment::read(attributes)?;
        let size = [header.columns, header.rows];
        let total_size = frame::total_size(attributes);
        let frames = frame::Described {
            groups: Groups::of(attributes),
            whole: attributes,
            segments: &segments,
            count: header.frame_count,
            label_map: kind == SegmentationKind::LabelMap,
        };
        Ok(Self {
            kind,
            rows: header.rows,
            columns: header.columns,
            frames: frames.read(size, total_size)?,
            total_size,
            sop_instance_uid: uid(attributes, tags::SOP_INSTANCE_UID),
            series_instance_uid: uid(attributes, tags::SERIES_INSTANCE_UID),
            series_description: attributes.text(tags::SERIES_DESCRIPTION),
            frame_of_reference_uid: uid(attributes, tags::FRAME_OF_REFERENCE_UID),
            referenced_series: referenced_series(attributes),
            pixels,
            segments,
        })
    }

    /// Whether a file says of itself that it is a segmentation of pixels; its pixels are not looked at.
    pub fn is_one(bytes: &[u8]) -> bool {
        let Ok(file) = layout::read(bytes, WANTED) else {
            return false;
        };
        attributes::parse(&file.scan.header, file.syntax.encoding)
            .is_ok_and(|object| is_segmentation(Attributes::new(&object)))
    }

    /// The segment of a number.
    pub fn segment(&self, number: u16) -> Option<&SegmentInfo> {
        self.segments
            .iter()
            .find(|segment| segment.number == number)
    }

    /// Stored values of a frame, counted from 0, `[rows, columns]`: what they mean is said by
    /// [`SegmentationFile::kind`].
    ///
    /// # Errors
    ///
    /// [`ImagingError::FrameOutOfRange`], and what a codec says of a damaged frame.
    pub fn values(&self, frame: usize) -> Result<Vec<u16>, ImagingError> {
        if frame >= self.frames.len() {
            return Err(ImagingError::FrameOutOfRange {
                frame,
                count: self.frames.len(),
            });
        }
        self.pixels.stored_values(frame)
    }

    /// Where a binary frame of uncompressed bits has ones: first pixel and one past the last of each run. `None`
    /// for frames of another kind, which [`SegmentationFile::values`] gives.
    pub fn bit_runs(&self, frame: usize) -> Option<Vec<[u32; 2]>> {
        match self.kind {
            SegmentationKind::Binary => self.pixels.bit_runs(frame),
            _ => None,
        }
    }

    /// Where a frame, counted from 0, shows a segment: half of the largest value and more where values are
    /// fractions, nothing where the frame is of another segment.
    ///
    /// # Errors
    ///
    /// As [`SegmentationFile::values`].
    pub fn mask(&self, frame: usize, segment: u16) -> Result<Mask, ImagingError> {
        let of = self.frames.get(frame).and_then(|frame| frame.segment);
        if of.is_some_and(|of| of != segment) {
            return Ok(Mask::empty(self.columns, self.rows));
        }
        let inside = |value: u16| match self.kind {
            SegmentationKind::Binary => value != 0,
            SegmentationKind::Fractional { maximum } => value >= maximum.div_ceil(2),
            SegmentationKind::LabelMap => value == segment,
        };
        let values = self.values(frame)?;
        Ok(Mask {
            width: self.columns,
            height: self.rows,
            bits: values
                .into_iter()
                .map(|value| u8::from(inside(value)))
                .collect(),
        })
    }
}

/// By the class, which some writers get wrong, else by the type that only segmentations have.
fn is_segmentation(attributes: Attributes<'_>) -> bool {
    match attributes.text(tags::SOP_CLASS_UID).as_deref() {
        Some(uids::SEGMENTATION_STORAGE | LABEL_MAP_STORAGE) => true,
        Some(uids::SURFACE_SEGMENTATION_STORAGE) => false,
        _ => attributes.text(tags::SEGMENTATION_TYPE).is_some(),
    }
}

fn kind(attributes: Attributes<'_>) -> Result<SegmentationKind, ImagingError> {
    let label_map = attributes.text(tags::SOP_CLASS_UID).as_deref() == Some(LABEL_MAP_STORAGE);
    match attributes.text(tags::SEGMENTATION_TYPE).as_deref() {
        Some("BINARY" | "FRACTIONAL") if label_map => Err(malformed(
            "its class is that of label maps and its type is not LABELMAP",
        )),
        Some("BINARY") => Ok(SegmentationKind::Binary),
        Some("FRACTIONAL") => {
            let maximum = attributes.integer(tags::MAXIMUM_FRACTIONAL_VALUE);
            let maximum = u16::try_from(maximum.unwrap_or(255)).unwrap_or_default();
            if (1..=255).contains(&maximum) {
                Ok(SegmentationKind::Fractional { maximum })
            } else {
                Err(malformed("its largest fraction is not between 1 and 255"))
            }
        }
        Some("LABELMAP") => Ok(SegmentationKind::LabelMap),
        None if label_map => Ok(SegmentationKind::LabelMap),
        _ => Err(malformed(
            "its type is none of BINARY, FRACTIONAL and LABELMAP",
        )),
    }
}

fn referenced_series(attributes: Attributes<'_>) -> Vec<ReferencedSeries> {
    attributes
        .items(tags::REFERENCED_SERIES_SEQUENCE)
        .filter_map(|series| {
            Some(ReferencedSeries {
                series_instance_uid: uid(series, tags::SERIES_INSTANCE_UID)?,
                sop_instance_uids: series
                    .items(tags::REFERENCED_INSTANCE_SEQUENCE)
                    .filter_map(|image| uid(image, tags::REFERENCED_SOP_INSTANCE_UID))
                    .collect(),
            })
        })
        .collect()
}

fn uid(attributes: Attributes<'_>, tag: Tag) -> Option<String> {
    attributes.text(tag).filter(|text| text.len() <= 64)
}

fn malformed(detail: &'static str) -> ImagingError {
    ImagingError::SegmentationMalformed { detail }
}

//! Everything of a segmentation but its pixels (PS3.3 A.51, C.8.20).

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};

use super::Frame;
use super::describe::describe;
use super::groups::{dimensions, per_frame, pixel_measures, plane_orientation};
use crate::dicom::element::Item;
use crate::dicom::header::{DESCRIPTION, DicomOptions, header};
use crate::dicom::reference::referenced_series;
use crate::dicom::source::SourceSeries;
use crate::document::Segmentation;
use crate::error::SegmentationError;

/// Label Map Segmentation Storage (PS3.4 B.5).
const LABEL_MAP_STORAGE: &str = "1.2.840.10008.5.1.4.1.1.66.7";

/// Everything but the pixels.
pub(super) fn data_set(
    source: &SourceSeries<'_>,
    segmentation: &Segmentation,
    options: &DicomOptions,
    frames: &[Frame<'_>],
) -> Result<Item, SegmentationError> {
    let label_map = options.label_map;
    let sop_class = if label_map {
        LABEL_MAP_STORAGE
    } else {
        uids::SEGMENTATION_STORAGE
    };
    let mut item = header(source, options, sop_class, "SEG");
    general_image(&mut item, source, options);
    let frame_of_reference = source.frame_of_reference.as_ref();
    if let Some(uid) = frame_of_reference.filter(|_| source.makes_planes()) {
        item.text(tags::FRAME_OF_REFERENCE_UID, VR::UI, uid);
        match source.attributes.get(tags::POSITION_REFERENCE_INDICATOR) {
            Some(element) => item.copy(element),
            None => {
                item.empty(tags::POSITION_REFERENCE_INDICATOR, VR::LO);
            }
        }
    }
    image_pixel(&mut item, segmentation, label_map, frames.len());
    let described = segmentation.segments().iter().zip(1u16..);
    let overlap = if !label_map && segmentation.has_overlaps() {
        "YES"
    } else {
        "NO"
    };
    item.text(
        tags::SEGMENTATION_TYPE,
        VR::CS,
        if label_map { "LABELMAP" } else { "BINARY" },
    )
    .text(tags::SEGMENTS_OVERLAP, VR::CS, overlap)
    .sequence(
        tags::SEGMENT_SEQUENCE,
        described
            .map(|(segment, number)| describe(segment, number))
            .collect(),
    )
    .text(tags::CONTENT_LABEL, VR::CS, "SEGMENTATION")
    .text(tags::CONTENT_DESCRIPTION, VR::LO, DESCRIPTION)
    .empty(tags::CONTENT_CREATOR_NAME, VR::PN);
    referenced_series(&mut item, source);
    dimensions(&mut item, source, options, label_map);
    let mut shared = Item::new();
    pixel_measures(&mut shared, source);
    if source.makes_planes() && source.is_parallel() {
        let first = frames
            .first()
            .and_then(|frame| source.instance(frame.place));
        if let Some(instance) = first {
            plane_orientation(&mut shared, &instance);
        }
    }
    item.sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]);
    let groups = frames
        .iter()
        .map(|frame| per_frame(frame, source))
        .collect::<Result<_, _>>()?;
    item.sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, groups);
    Ok(item)
}

/// General Image (C.7.6.1), and what the compression of the source lost.
fn general_image(item: &mut Item, source: &SourceSeries<'_>, options: &DicomOptions) {
    item.texts(tags::IMAGE_TYPE, VR::CS, &["DERIVED", "PRIMARY"])
        .text(tags::CONTENT_DATE, VR::DA, &options.stamp.date())
        .text(tags::CONTENT_TIME, VR::TM, &options.stamp.time());
    let lossy = source.attributes.get(tags::LOSSY_IMAGE_COMPRESSION);
    let lossy = lossy.and_then(|element| element.to_str().ok());
    if lossy.is_some_and(|text| text.trim() == "01") {
        item.text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "01");
        for tag in [
            tags::LOSSY_IMAGE_COMPRESSION_RATIO,
            tags::LOSSY_IMAGE_COMPRESSION_METHOD,
        ] {
            if let Some(element) = source.attributes.get(tag) {
                item.copy(element);
            }
        }
    } else {
        item.text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00");
    }
    if !source.makes_planes() {
        match source.attributes.get(tags::PATIENT_ORIENTATION) {
            Some(element) => item.copy(element),
            None => {
                item.empty(tags::PATIENT_ORIENTATION, VR::CS);
            }
        }
    }
}

fn image_pixel(item: &mut Item, segmentation: &Segmentation, label_map: bool, frames: usize) {
    let grid = segmentation.grid();
    let side = |side: usize| u16::try_from(side).unwrap_or(u16::MAX);
    let bits = match (label_map, segmentation.segments().len()) {
        (false, _) => 1,
        (true, 0..=255) => 8,
        (true, _) => 16,
    };
    item.us(tags::SAMPLES_PER_PIXEL, &[1])
        .text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2")
        .integer(tags::NUMBER_OF_FRAMES, frames as i64)
        .us(tags::ROWS, &[side(grid.rows)])
        .us(tags::COLUMNS, &[side(grid.columns)])
        .us(tags::BITS_ALLOCATED, &[bits])
        .us(tags::BITS_STORED, &[bits])
        .us(tags::HIGH_BIT, &[bits - 1])
        .us(tags::PIXEL_REPRESENTATION, &[0]);
    if label_map {
        item.us(tags::PIXEL_PADDING_VALUE, &[0]);
    }
}

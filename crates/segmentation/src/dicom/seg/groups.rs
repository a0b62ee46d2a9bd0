//! Functional groups of a segmentation's frames (PS3.3 C.7.6.16), and the dimensions that order them (C.7.6.17).

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use super::Frame;
use crate::dicom::element::Item;
use crate::dicom::header::DicomOptions;
use crate::dicom::reference::{dcm, picture_reference};
use crate::dicom::source::{Instance, SourceSeries};
use crate::error::SegmentationError;

/// Multi-frame Dimension (C.7.6.17): segment, then position, then time where there are several pictures.
pub(super) fn dimensions(
    item: &mut Item,
    source: &SourceSeries<'_>,
    options: &DicomOptions,
    label_map: bool,
) {
    let uid = options.stamp.uid("dimensions");
    let mut organization = Item::new();
    organization.text(tags::DIMENSION_ORGANIZATION_UID, VR::UI, &uid);
    item.sequence(tags::DIMENSION_ORGANIZATION_SEQUENCE, vec![organization]);
    let index = |pointer: Tag, group: Tag, label: &str| {
        let mut item = Item::new();
        item.text(tags::DIMENSION_ORGANIZATION_UID, VR::UI, &uid)
            .at(tags::DIMENSION_INDEX_POINTER, pointer)
            .at(tags::FUNCTIONAL_GROUP_POINTER, group)
            .text(tags::DIMENSION_DESCRIPTION_LABEL, VR::LO, label);
        item
    };
    let mut items = Vec::new();
    if !label_map {
        items.push(index(
            tags::REFERENCED_SEGMENT_NUMBER,
            tags::SEGMENT_IDENTIFICATION_SEQUENCE,
            "Segment Number",
        ));
    }
    if source.makes_planes() {
        items.push(index(
            tags::IMAGE_POSITION_PATIENT,
            tags::PLANE_POSITION_SEQUENCE,
            "Image Position Patient",
        ));
    } else {
        items.push(index(
            tags::IN_STACK_POSITION_NUMBER,
            tags::FRAME_CONTENT_SEQUENCE,
            "In-Stack Position Number",
        ));
    }
    if source.series.frames() > 1 {
        items.push(index(
            tags::TEMPORAL_POSITION_INDEX,
            tags::FRAME_CONTENT_SEQUENCE,
            "Temporal Position Index",
        ));
    }
    item.sequence(tags::DIMENSION_INDEX_SEQUENCE, items);
}

/// Pixel Measures (C.7.6.16.2.1), where frames have planes.
pub(super) fn pixel_measures(group: &mut Item, source: &SourceSeries<'_>) {
    let Some(spacing) = source.pixel_spacing() else {
        return;
    };
    // Without planes the group is optional, and readers ask for a thickness that a projection does not have.
    if !source.makes_planes() {
        return;
    }
    let mut measures = Item::new();
    measures.decimals(tags::PIXEL_SPACING, &spacing);
    if let Some(thickness) = source.slice_thickness() {
        measures.decimals(tags::SLICE_THICKNESS, &[thickness]);
    }
    if let Some(step) = source.slice_spacing() {
        measures.decimals(tags::SPACING_BETWEEN_SLICES, &[step]);
    }
    group.sequence(tags::PIXEL_MEASURES_SEQUENCE, vec![measures]);
}

pub(super) fn plane_orientation(group: &mut Item, instance: &Instance<'_>) {
    if let Some((_, orientation)) = instance.plane {
        let [a, b, c] = orientation.row;
        let [x, y, z] = orientation.column;
        let mut item = Item::new();
        item.decimals(tags::IMAGE_ORIENTATION_PATIENT, &[a, b, c, x, y, z]);
        group.sequence(tags::PLANE_ORIENTATION_SEQUENCE, vec![item]);
    }
}

/// The functional groups of one frame.
pub(super) fn per_frame(
    frame: &Frame<'_>,
    source: &SourceSeries<'_>,
) -> Result<Item, SegmentationError> {
    let place = frame.place;
    let instance = source
        .instance(place)
        .ok_or(SegmentationError::NoSuchPicture {
            slice: place.slice,
            frame: place.frame,
        })?;
    let number = |index: usize| u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1);
    let mut group = Item::new();
    let mut values: Vec<u32> = frame.segment.map(u32::from).into_iter().collect();
    values.push(number(place.slice));
    let mut content = Item::new();
    if !source.makes_planes() {
        content
            .text(tags::STACK_ID, VR::SH, "1")
            .ul(tags::IN_STACK_POSITION_NUMBER, &[number(place.slice)]);
    }
    if source.series.frames() > 1 {
        values.push(number(place.frame));
        content.ul(tags::TEMPORAL_POSITION_INDEX, &[number(place.frame)]);
    }
    content.ul(tags::DIMENSION_INDEX_VALUES, &values);
    group.sequence(tags::FRAME_CONTENT_SEQUENCE, vec![content]);
    group.sequence(tags::DERIVATION_IMAGE_SEQUENCE, vec![derivation(&instance)]);
    if let Some(segment) = frame.segment {
        let mut identification = Item::new();
        identification.us(tags::REFERENCED_SEGMENT_NUMBER, &[segment]);
        group.sequence(tags::SEGMENT_IDENTIFICATION_SEQUENCE, vec![identification]);
    }
    if let Some((position, _)) = instance.plane.filter(|_| source.makes_planes()) {
        let mut plane = Item::new();
        plane.decimals(tags::IMAGE_POSITION_PATIENT, &position);
        group.sequence(tags::PLANE_POSITION_SEQUENCE, vec![plane]);
        if !source.is_parallel() {
            plane_orientation(&mut group, &instance);
        }
    }
    Ok(group)
}

/// Derivation Image (C.7.6.16.2.6): which picture the frame was made on.
fn derivation(instance: &Instance<'_>) -> Item {
    let mut image = picture_reference(instance);
    image.code(
        tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
        &dcm("121322", "Source image for image processing operation"),
    );
    let mut item = Item::new();
    item.code(
        tags::DERIVATION_CODE_SEQUENCE,
        &dcm("113076", "Segmentation"),
    )
    .sequence(tags::SOURCE_IMAGE_SEQUENCE, vec![image]);
    item
}

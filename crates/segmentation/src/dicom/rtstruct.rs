//! RT Structure Sets out (PS3.3 A.19 and C.8.8.5 to C.8.8.8): a region for every segment, closed polygons in
//! the planes of the slices, holes by keyhole. Polygons are in the patient, so the series needs places there.

use std::collections::BTreeMap;
use std::io::Write;

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use medsam3_imaging::series::Series;
use medsam3_imaging::{Orientation, Vector};

use super::element::Item;
use super::file;
use super::header::{DicomOptions, header};
use super::reference::{picture_reference, reference};
use super::seg::description;
use super::source::SourceSeries;
use crate::contour;
use crate::document::{Segment, Segmentation};
use crate::error::SegmentationError;

const FORMAT: &str = "RT Structure Set";

/// Writes the segments of a series as one RT Structure Set. Of a series with several frames per slice the
/// masks of the first count, as regions have no time.
///
/// # Errors
///
/// [`SegmentationError::Empty`] without a pixel, [`SegmentationError::NotWritable`] where pictures have no
/// place in the patient, [`SegmentationError::OtherSeries`], [`SegmentationError::Write`].
pub fn write_rtstruct(
    series: &Series,
    segmentation: &Segmentation,
    options: &DicomOptions,
    mut output: impl Write,
) -> Result<(), SegmentationError> {
    let source = SourceSeries::of(series, segmentation, FORMAT)?;
    let refuse = |detail| SegmentationError::NotWritable {
        format: FORMAT,
        detail,
        next_step: "Write DICOM SEG instead, which can refer to pictures without places.",
    };
    let (Some(frame_of_reference), Some(spacing)) =
        (&source.frame_of_reference, source.pixel_spacing())
    else {
        return Err(refuse("its pictures have no place in the patient"));
    };
    let mut item = header(&source, options, uids::RT_STRUCTURE_SET_STORAGE, "RTSTRUCT");
    item.text(tags::STRUCTURE_SET_LABEL, VR::SH, "SEGMENTATION")
        .text(tags::STRUCTURE_SET_NAME, VR::LO, "Segmentation")
        .text(tags::STRUCTURE_SET_DESCRIPTION, VR::ST, crate::DISCLAIMER)
        .text(tags::STRUCTURE_SET_DATE, VR::DA, &options.stamp.date())
        .text(tags::STRUCTURE_SET_TIME, VR::TM, &options.stamp.time())
        .text(tags::FRAME_OF_REFERENCE_UID, VR::UI, frame_of_reference)
        .empty(tags::POSITION_REFERENCE_INDICATOR, VR::LO)
        .empty(tags::OPERATORS_NAME, VR::PN)
        .text(tags::APPROVAL_STATUS, VR::CS, "UNAPPROVED");
    referenced_frame(&mut item, &source, frame_of_reference);
    let (mut regions, mut contours, mut observations) = (Vec::new(), Vec::new(), Vec::new());
    for (segment, number) in segmentation.segments().iter().zip(1i64..) {
        let polygons = polygons(segment, &source, spacing)?;
        if polygons.is_empty() {
            continue;
        }
        regions.push(region(segment, number, frame_of_reference));
        let [red, green, blue] = segment.color.map(|part| part.to_string());
        let mut drawn = Item::new();
        drawn
            .texts(tags::ROI_DISPLAY_COLOR, VR::IS, &[&red, &green, &blue])
            .sequence(tags::CONTOUR_SEQUENCE, polygons)
            .integer(tags::REFERENCED_ROI_NUMBER, number);
        contours.push(drawn);
        observations.push(observation(segment, number));
    }
    if regions.is_empty() {
        return Err(SegmentationError::Empty);
    }
    item.sequence(tags::STRUCTURE_SET_ROI_SEQUENCE, regions)
        .sequence(tags::ROI_CONTOUR_SEQUENCE, contours)
        .sequence(tags::RTROI_OBSERVATIONS_SEQUENCE, observations);
    file::write(&item.into_object(), &mut output)?;
    output.flush()?;
    Ok(())
}

/// Referenced Frame of Reference Sequence: study, series, and every picture once.
fn referenced_frame(item: &mut Item, source: &SourceSeries<'_>, frame_of_reference: &str) {
    let mut images: BTreeMap<&str, Item> = BTreeMap::new();
    for instance in source.instances() {
        images
            .entry(instance.sop_instance)
            .or_insert_with(|| reference(&instance));
    }
    let mut series = Item::new();
    series
        .text(
            tags::SERIES_INSTANCE_UID,
            VR::UI,
            source.series.uid().unwrap_or_default(),
        )
        .sequence(tags::CONTOUR_IMAGE_SEQUENCE, images.into_values().collect());
    let mut study = Item::new();
    // Detached Study Management, retired, is what every writer puts here.
    study
        .text(
            tags::REFERENCED_SOP_CLASS_UID,
            VR::UI,
            "1.2.840.10008.3.1.2.3.1",
        )
        .text(
            tags::REFERENCED_SOP_INSTANCE_UID,
            VR::UI,
            source.series.study_uid().unwrap_or_default(),
        )
        .sequence(tags::RT_REFERENCED_SERIES_SEQUENCE, vec![series]);
    let mut frame = Item::new();
    frame.text(tags::FRAME_OF_REFERENCE_UID, VR::UI, frame_of_reference);
    if source.series.study_uid().is_some() && source.series.uid().is_some() {
        frame.sequence(tags::RT_REFERENCED_STUDY_SEQUENCE, vec![study]);
    }
    item.sequence(tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE, vec![frame]);
}

/// Structure Set ROI (C.8.8.5).
fn region(segment: &Segment, number: i64, frame_of_reference: &str) -> Item {
    let method = segment.origin.method.defined_term();
    let mut item = Item::new();
    item.integer(tags::ROI_NUMBER, number)
        .text(
            tags::REFERENCED_FRAME_OF_REFERENCE_UID,
            VR::UI,
            frame_of_reference,
        )
        .text(tags::ROI_NAME, VR::LO, &segment.name)
        .text(tags::ROI_DESCRIPTION, VR::ST, &description(segment))
        .text(tags::ROI_GENERATION_ALGORITHM, VR::CS, method);
    if let Some(model) = &segment.origin.model {
        item.text(tags::ROI_GENERATION_DESCRIPTION, VR::LO, model);
    }
    item
}

/// RT ROI Observations (C.8.8.8).
fn observation(segment: &Segment, number: i64) -> Item {
    let mut item = Item::new();
    item.integer(tags::OBSERVATION_NUMBER, number)
        .integer(tags::REFERENCED_ROI_NUMBER, number)
        .code(
            tags::RTROI_IDENTIFICATION_CODE_SEQUENCE,
            &segment.coding.kind,
        )
        .empty(tags::RTROI_INTERPRETED_TYPE, VR::CS)
        .empty(tags::ROI_INTERPRETER, VR::PN);
    item
}

/// The contours of a segment, each with the picture that it lies on.
fn polygons(
    segment: &Segment,
    source: &SourceSeries<'_>,
    spacing: [f64; 2],
) -> Result<Vec<Item>, SegmentationError> {
    let mut items = Vec::new();
    for (place, runs) in segment.masks().filter(|(place, _)| place.frame == 0) {
        let missing = SegmentationError::NoSuchPicture {
            slice: place.slice,
            frame: place.frame,
        };
        let instance = source.instance(place).ok_or(missing)?;
        let Some(plane) = instance.plane else {
            continue;
        };
        for polygon in contour::polygons(runs, source.series.columns()) {
            let image = picture_reference(&instance);
            let mut item = Item::new();
            item.sequence(tags::CONTOUR_IMAGE_SEQUENCE, vec![image])
                .text(tags::CONTOUR_GEOMETRIC_TYPE, VR::CS, "CLOSED_PLANAR")
                .integer(tags::NUMBER_OF_CONTOUR_POINTS, polygon.len() as i64);
            let numbers: Vec<f64> = polygon
                .iter()
                .flat_map(|&point| in_patient(point, plane, spacing))
                .collect();
            item.decimals(tags::CONTOUR_DATA, &numbers);
            items.push(item);
        }
    }
    Ok(items)
}

/// A point of a picture in mm; column and row of pixel centres.
fn in_patient(
    [column, row]: contour::Point,
    (position, orientation): (Vector, Orientation),
    [between_rows, between_columns]: [f64; 2],
) -> Vector {
    let along = orientation.row.map(|part| part * column * between_columns);
    let down = orientation.column.map(|part| part * row * between_rows);
    let [[x, y, z], [a, b, c], [d, e, f]] = [position, along, down];
    [x + a + d, y + b + e, z + c + f]
}

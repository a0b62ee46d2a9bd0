//! RT Structure Sets on a series (PS3.3 C.8.8.6): the closed polygons of a region in the plane of a slice make
//! its mask, by the centres of pixels; polygons within polygons are holes.

use std::collections::BTreeMap;
use std::collections::HashMap;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use medsam3_imaging::series::{MemorySource, Series};
use medsam3_imaging::{Vector, dicom_attributes};

use super::Imported;
use super::plane::Pictures;
use crate::contour;
use crate::document::{Place, Segment, Segmentation};
use crate::error::SegmentationError;
use crate::origin::{Method, Origin};
use crate::terms;

const WANTED: &[Tag] = &[
    tags::SPECIFIC_CHARACTER_SET,
    tags::MODALITY,
    tags::FRAME_OF_REFERENCE_UID,
    tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE,
    tags::STRUCTURE_SET_ROI_SEQUENCE,
    tags::ROI_CONTOUR_SEQUENCE,
];

/// Reads the regions of a structure set onto a series; onto the first frame where it has several per slice.
///
/// # Errors
///
/// [`SegmentationError::OtherSeries`] where it belongs to another series,
/// [`SegmentationError::Unreadable`] for another object, and what is wrong with the file.
pub fn read_rtstruct(series: &Series, bytes: &[u8]) -> Result<Imported, SegmentationError> {
    let source = MemorySource::new("structure set", bytes.to_vec());
    let object = dicom_attributes(&source, WANTED)?;
    if object.get(tags::STRUCTURE_SET_ROI_SEQUENCE).is_none() {
        return Err(SegmentationError::Unreadable {
            detail: "it is no RT Structure Set",
        });
    }
    let pictures = Pictures::of(series);
    if pictures.plane(0).is_none() {
        return Err(SegmentationError::OtherSeries {
            detail: "the pictures of the series have no place in the patient",
        });
    }
    check_reference(&object, &pictures)?;
    let mut document = Segmentation::new(series);
    let mut indices = HashMap::new();
    for item in items(&object, tags::STRUCTURE_SET_ROI_SEQUENCE) {
        if let Some(number) = integer(item, tags::ROI_NUMBER) {
            indices.insert(number, document.add(region(item, number)));
        }
    }
    let (mut contours, mut left_out) = (0usize, 0usize);
    let grid = document.grid();
    for item in items(&object, tags::ROI_CONTOUR_SEQUENCE) {
        let index = integer(item, tags::REFERENCED_ROI_NUMBER)
            .and_then(|number| indices.get(&number).copied());
        let Some(index) = index else { continue };
        if let Some(color) = color(item)
            && let Some(segment) = document.segment_mut(index)
        {
            segment.color = color;
        }
        let mut by_slice: BTreeMap<usize, Vec<Vec<contour::Point>>> = BTreeMap::new();
        for item in items(item, tags::CONTOUR_SEQUENCE) {
            contours += 1;
            match polygon(item, &pictures) {
                Some((slice, polygon)) => by_slice.entry(slice).or_default().push(polygon),
                None => left_out += 1,
            }
        }
        for (slice, polygons) in by_slice {
            let runs = contour::fill(&polygons, grid.columns, grid.rows);
            document.set_runs(index, Place { slice, frame: 0 }, runs)?;
        }
    }
    if contours > 0 && left_out == contours {
        return Err(SegmentationError::OtherSeries {
            detail: "none of its contours lies on a slice of the series",
        });
    }
    Ok(Imported {
        segmentation: document,
        left_out,
    })
}

/// Items of a sequence, none where it is absent.
fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object
        .get(tag)
        .and_then(|element| element.items())
        .unwrap_or_default()
}

fn text(object: &InMemDicomObject, tag: Tag) -> Option<String> {
    let text = object.get(tag)?.to_str().ok()?;
    let text = text.trim_matches(['\0', ' ']);
    (!text.is_empty()).then(|| text.to_owned())
}

fn integer(object: &InMemDicomObject, tag: Tag) -> Option<i64> {
    object.get(tag)?.to_int().ok()
}

/// Whether it names a picture of the series or lies in its frame of reference; where neither says anything,
/// places decide.
fn check_reference(
    object: &InMemDicomObject,
    pictures: &Pictures<'_>,
) -> Result<(), SegmentationError> {
    let frames = items(object, tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE);
    let named = frames
        .iter()
        .flat_map(|frame| items(frame, tags::RT_REFERENCED_STUDY_SEQUENCE))
        .flat_map(|study| items(study, tags::RT_REFERENCED_SERIES_SEQUENCE))
        .flat_map(|series| items(series, tags::CONTOUR_IMAGE_SEQUENCE))
        .chain(
            items(object, tags::ROI_CONTOUR_SEQUENCE)
                .iter()
                .flat_map(|region| items(region, tags::CONTOUR_SEQUENCE))
                .flat_map(|contour| items(contour, tags::CONTOUR_IMAGE_SEQUENCE)),
        )
        .filter_map(|image| text(image, tags::REFERENCED_SOP_INSTANCE_UID));
    for uid in named {
        if pictures.knows(&uid) {
            return Ok(());
        }
    }
    let Some(ours) = pictures.series.frame_of_reference_uid() else {
        return Ok(());
    };
    let theirs: Vec<String> = std::iter::once(object)
        .chain(frames)
        .chain(items(object, tags::STRUCTURE_SET_ROI_SEQUENCE))
        .flat_map(|item| {
            [
                text(item, tags::FRAME_OF_REFERENCE_UID),
                text(item, tags::REFERENCED_FRAME_OF_REFERENCE_UID),
            ]
        })
        .flatten()
        .collect();
    if theirs.is_empty() || theirs.iter().any(|uid| uid == ours) {
        Ok(())
    } else {
        Err(SegmentationError::OtherSeries {
            detail: "it names none of its pictures and lies in another frame of reference",
        })
    }
}

fn region(item: &InMemDicomObject, number: i64) -> Segment {
    let name = text(item, tags::ROI_NAME).unwrap_or_else(|| format!("Region {number}"));
    let method = match text(item, tags::ROI_GENERATION_ALGORITHM).as_deref() {
        Some("AUTOMATIC") => Method::Automatic,
        Some("SEMIAUTOMATIC") => Method::Semiautomatic,
        _ => Method::Manual,
    };
    let mut segment = Segment::new(
        name,
        Origin {
            method,
            model: text(item, tags::ROI_GENERATION_DESCRIPTION),
            ..Origin::default()
        },
    );
    segment.coding = terms::coding(&segment.name);
    segment
}

fn color(item: &InMemDicomObject) -> Option<[u8; 3]> {
    let parts = item
        .get(tags::ROI_DISPLAY_COLOR)?
        .to_multi_int::<i64>()
        .ok()?;
    let parts: Vec<u8> = parts
        .into_iter()
        .map(|part| part.clamp(0, 255) as u8)
        .collect();
    parts.try_into().ok()
}

/// A closed polygon on a slice, in its pixels.
fn polygon(
    item: &InMemDicomObject,
    pictures: &Pictures<'_>,
) -> Option<(usize, Vec<contour::Point>)> {
    let kind = text(item, tags::CONTOUR_GEOMETRIC_TYPE)?;
    if !matches!(kind.as_str(), "CLOSED_PLANAR" | "CLOSEDPLANAR_XOR") {
        return None;
    }
    let numbers = item.get(tags::CONTOUR_DATA)?.to_multi_float64().ok()?;
    let points: Vec<Vector> = numbers
        .chunks_exact(3)
        .filter_map(|point| <[f64; 3]>::try_from(point).ok())
        .collect();
    if points.len() < 3 || points.iter().flatten().any(|part| !part.is_finite()) {
        return None;
    }
    let slice = pictures.slice_of(&points)?;
    let plane = pictures.plane(slice)?;
    let polygon = points
        .iter()
        .map(|&point| {
            let [column, row, _] = plane.of_point(point);
            [column, row]
        })
        .collect();
    Some((slice, polygon))
}

//! DICOM segmentations out (PS3.3 A.51 and C.8.20; label maps: Supplement 243): a frame for every segment
//! and picture with pixels, sparse, overlaps kept. Frames refer to the pictures that they were made on, and
//! have planes of their own where the series has places in the patient.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};

use super::color::cielab;
use super::element::Item;
use super::file;
use super::header::{DESCRIPTION, DicomOptions, header};
use super::pixels::{Packer, packed_length};
use super::source::{Instance, SourceSeries};
use crate::document::{Place, Segment, Segmentation};
use crate::error::SegmentationError;
use crate::origin::Method;
use crate::runs::Runs;
use crate::terms::Code;
use medsam3_imaging::series::Series;

const FORMAT: &str = "DICOM SEG";
/// Label Map Segmentation Storage (PS3.4 B.5).
const LABEL_MAP_STORAGE: &str = "1.2.840.10008.5.1.4.1.1.66.7";
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
    segmentation.check_series(series)?;
    let source = SourceSeries::read(series, FORMAT)?;
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

/// Everything but the pixels.
fn data_set(
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
    if let Some(uid) = &source.frame_of_reference {
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
    if source.placed && source.is_parallel() {
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
    if !source.placed {
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

/// Segment Description (C.8.20.4.1).
fn describe(segment: &Segment, number: u16) -> Item {
    let origin = &segment.origin;
    let mut item = Item::new();
    let label = if segment.name.trim().is_empty() {
        format!("Segment {number}")
    } else {
        segment.name.clone()
    };
    item.us(tags::SEGMENT_NUMBER, &[number])
        .text(tags::SEGMENT_LABEL, VR::LO, &label)
        .text(tags::SEGMENT_DESCRIPTION, VR::ST, &description(segment))
        .text(
            tags::SEGMENT_ALGORITHM_TYPE,
            VR::CS,
            match origin.method {
                Method::Automatic => "AUTOMATIC",
                Method::Semiautomatic => "SEMIAUTOMATIC",
                Method::Manual => "MANUAL",
            },
        )
        .us(
            tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE,
            &cielab(segment.color),
        )
        .code(
            tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE,
            &segment.coding.category,
        );
    let mut kind = Item::new();
    kind.text(tags::CODE_VALUE, VR::SH, &segment.coding.kind.value)
        .text(
            tags::CODING_SCHEME_DESIGNATOR,
            VR::SH,
            &segment.coding.kind.scheme,
        )
        .text(tags::CODE_MEANING, VR::LO, &segment.coding.kind.meaning);
    if let Some(modifier) = &segment.coding.modifier {
        kind.code(
            tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE,
            modifier,
        );
    }
    item.sequence(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, vec![kind]);
    if origin.method != Method::Manual {
        let name = origin.model.as_deref().unwrap_or("unknown");
        item.text(tags::SEGMENT_ALGORITHM_NAME, VR::LO, name);
        let mut algorithm = Item::new();
        algorithm
            .code(
                tags::ALGORITHM_FAMILY_CODE_SEQUENCE,
                &dcm("123110", "Artificial Intelligence"),
            )
            .text(tags::ALGORITHM_NAME, VR::LO, name)
            .text(
                tags::ALGORITHM_VERSION,
                VR::LO,
                origin.model_version.as_deref().unwrap_or("unknown"),
            );
        let parameters = origin.parameters();
        if !parameters.is_empty() {
            algorithm.text(tags::ALGORITHM_PARAMETERS, VR::LT, &parameters);
        }
        item.sequence(
            tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE,
            vec![algorithm],
        );
    }
    item
}

/// What a person reads beside the label.
pub(super) fn description(segment: &Segment) -> String {
    let parameters = segment.origin.parameters();
    let separator = if parameters.is_empty() { "" } else { " " };
    let uncoded = if segment.coding.known {
        ""
    } else {
        " The type is the general one: no code is known for the label."
    };
    format!("{parameters}{separator}{}{uncoded}", crate::DISCLAIMER)
}

fn dcm(value: &str, meaning: &str) -> Code {
    Code {
        value: value.to_owned(),
        scheme: "DCM".to_owned(),
        meaning: meaning.to_owned(),
    }
}

/// Common Instance Reference (C.12.2): every instance of the series once.
pub(super) fn referenced_series(item: &mut Item, source: &SourceSeries<'_>) {
    let mut seen = BTreeSet::new();
    let instances = source
        .instances()
        .filter(|instance| seen.insert(instance.sop_instance))
        .map(|instance| reference(&instance))
        .collect();
    let mut series = Item::new();
    series
        .text(
            tags::SERIES_INSTANCE_UID,
            VR::UI,
            source.series.uid().unwrap_or_default(),
        )
        .sequence(tags::REFERENCED_INSTANCE_SEQUENCE, instances);
    item.sequence(tags::REFERENCED_SERIES_SEQUENCE, vec![series]);
}

/// SOP class and instance of a picture.
pub(super) fn reference(instance: &Instance<'_>) -> Item {
    let mut item = Item::new();
    item.text(tags::REFERENCED_SOP_CLASS_UID, VR::UI, instance.sop_class)
        .text(
            tags::REFERENCED_SOP_INSTANCE_UID,
            VR::UI,
            instance.sop_instance,
        );
    item
}

/// Multi-frame Dimension (C.7.6.17): segment, then position, then time where there are several pictures.
fn dimensions(item: &mut Item, source: &SourceSeries<'_>, options: &DicomOptions, label_map: bool) {
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
    if source.placed {
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
fn pixel_measures(group: &mut Item, source: &SourceSeries<'_>) {
    let Some(spacing) = source.pixel_spacing() else {
        return;
    };
    // Without planes the group is optional, and readers ask for a thickness that a projection does not have.
    if !source.placed {
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

fn plane_orientation(group: &mut Item, instance: &Instance<'_>) {
    if let Some((_, orientation)) = instance.plane {
        let [a, b, c] = orientation.row;
        let [x, y, z] = orientation.column;
        let mut item = Item::new();
        item.decimals(tags::IMAGE_ORIENTATION_PATIENT, &[a, b, c, x, y, z]);
        group.sequence(tags::PLANE_ORIENTATION_SEQUENCE, vec![item]);
    }
}

/// The functional groups of one frame.
fn per_frame(frame: &Frame<'_>, source: &SourceSeries<'_>) -> Result<Item, SegmentationError> {
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
    if !source.placed {
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
    if let Some((position, _)) = instance.plane {
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
    let mut image = reference(instance);
    if let Some(number) = instance.frame_number {
        image.integer(tags::REFERENCED_FRAME_NUMBER, i64::from(number));
    }
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

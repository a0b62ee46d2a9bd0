//! What a series is made of, read from the header of one DICOM file without its pixels: identity, size,
//! and for each frame where it lies (PS3.3 C.7.6.2, C.7.6.16.2) and what tells it from others at its place.
//! Only the beginning of the file is read, as far as the pixel data.

use std::io::Read;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};

use super::attributes::{self, Attributes};
use super::groups::{Group, Groups};
use super::layout::{guess, meta_group};
use super::nesting;
use super::reader::Reader;
use super::syntax::{self, Encoding};
use crate::ImagingError;
use crate::geometry::{Orientation, Vector, add_scaled};
use crate::limits::MAX_FRAMES;
use crate::series::{Problem, Source};

/// What is read at first; nearly all headers are shorter.
const FIRST_BYTES: usize = 16 << 10;

/// A header that is longer than this is refused.
const MAX_HEADER_BYTES: usize = 256 << 20;

/// The attributes that are read, in files of one frame and of many.
const WANTED: &[Tag] = &[
    tags::IMAGE_TYPE,
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    tags::ACQUISITION_TIME,
    tags::CONTENT_TIME,
    tags::MODALITY,
    tags::DIFFUSION_B_VALUE,
    tags::SEQUENCE_OF_ULTRASOUND_REGIONS,
    tags::ECHO_TIME,
    tags::ECHO_NUMBERS,
    tags::SPACING_BETWEEN_SLICES,
    tags::TRIGGER_TIME,
    tags::ESTIMATED_RADIOGRAPHIC_MAGNIFICATION_FACTOR,
    tags::IMAGER_PIXEL_SPACING,
    tags::SERIES_INSTANCE_UID,
    tags::STUDY_INSTANCE_UID,
    tags::PATIENT_ID,
    tags::SERIES_NUMBER,
    tags::ACQUISITION_NUMBER,
    tags::INSTANCE_NUMBER,
    tags::IMAGE_POSITION_PATIENT,
    tags::IMAGE_ORIENTATION_PATIENT,
    tags::FRAME_OF_REFERENCE_UID,
    tags::TEMPORAL_POSITION_IDENTIFIER,
    tags::SAMPLES_PER_PIXEL,
    tags::NUMBER_OF_FRAMES,
    tags::ROWS,
    tags::COLUMNS,
    tags::PIXEL_SPACING,
    tags::PIXEL_ASPECT_RATIO,
    tags::BURNED_IN_ANNOTATION,
    tags::PIXEL_SPACING_CALIBRATION_TYPE,
    tags::DETECTOR_INFORMATION_SEQUENCE,
    tags::GRID_FRAME_OFFSET_VECTOR,
    tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
];

/// One DICOM file without its pixels.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    pub(crate) sop_class: String,
    pub(crate) sop_instance: String,
    pub(crate) study: Option<String>,
    /// Whose series belong together; never shown.
    pub(crate) patient_id: Option<String>,
    pub(crate) series: Option<String>,
    pub(crate) series_number: Option<i64>,
    pub(crate) frame_of_reference: Option<String>,
    pub(crate) modality: Option<String>,
    pub(crate) instance_number: Option<i64>,
    pub(crate) transfer_syntax: String,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) has_pixels: bool,
    /// Facts of this file alone.
    pub(crate) problems: Vec<Problem>,
    /// At least one.
    pub(crate) frames: Vec<FramePlace>,
}

impl Summary {
    /// Whether this is a segmentation, whose pixels are no picture.
    pub(crate) fn is_segmentation(&self) -> bool {
        matches!(
            self.sop_class.as_str(),
            uids::SEGMENTATION_STORAGE
                | uids::SURFACE_SEGMENTATION_STORAGE
                | "1.2.840.10008.5.1.4.1.1.66.7"
        ) || self.modality.as_deref() == Some("SEG")
    }
}

/// Where a frame lies, and what it is among the frames at its place.
#[derive(Debug, Clone, Default)]
pub(crate) struct FramePlace {
    /// Centre of the first voxel in mm.
    pub(crate) position: Option<Vector>,
    pub(crate) orientation: Option<Orientation>,
    /// Whether position and orientation are in the patient's axes.
    pub(crate) in_patient: bool,
    /// Between columns, between rows.
    pub(crate) spacing_mm: Option<[f64; 2]>,
    /// Kind of picture: image type, echo, diffusion weighting.
    pub(crate) meaning: String,
    /// Time point, cardiac phase, acquisition.
    pub(crate) time: String,
}

/// Reads the header of a file.
///
/// # Errors
///
/// [`ImagingError::NotAnImage`] for what is no DICOM, else what is wrong with the file.
pub(crate) fn read(source: &dyn Source) -> Result<Summary, ImagingError> {
    let (elements, encoding, uid) = select(source, WANTED)?;
    summary(&elements, encoding, uid)
}

/// The elements with the wanted tags, how they are encoded, and the transfer syntax that the file declares.
pub(super) type Selected = (Elements, Encoding, Option<String>);

/// Picks the wanted elements from the part of a file that is in front of its pixels.
///
/// # Errors
///
/// As [`read`].
pub(super) fn select(source: &dyn Source, wanted: &[Tag]) -> Result<Selected, ImagingError> {
    let mut size = FIRST_BYTES;
    loop {
        let bytes = source.read(0, size)?;
        let whole = bytes.len() as u64 >= source.size() || bytes.len() < size;
        match parse(&bytes, whole, size, source, wanted) {
            Err(ImagingError::DicomTruncated { .. }) if !whole && size < MAX_HEADER_BYTES => {
                size = size.saturating_mul(4);
            }
            other => return other,
        }
    }
}

/// The wanted elements in the first `bytes` of a file.
fn parse(
    bytes: &[u8],
    whole: bool,
    size: usize,
    source: &dyn Source,
    wanted: &[Tag],
) -> Result<Selected, ImagingError> {
    let marked = bytes.get(128..132) == Some(b"DICM".as_slice());
    let start = if marked { 132 } else { 0 };
    let (uid, data_start) = meta_group(bytes, start);
    let guessed = guess(bytes, data_start);
    if !marked && uid.is_none() && guessed.is_none() {
        return Err(ImagingError::NotAnImage);
    }
    let declared = uid.as_deref().and_then(|uid| syntax::from_uid(uid).ok());
    if declared.is_some_and(|syntax| syntax.deflated) {
        let rest = source.read(data_start as u64, usize::MAX)?;
        let mut unpacked = Vec::new();
        let mut stream = flate2::read::DeflateDecoder::new(rest.as_slice()).take(size as u64);
        // A stream that ends early shows as a header that is cut.
        let complete = stream.read_to_end(&mut unpacked).is_ok() && unpacked.len() < size;
        let elements = elements(&unpacked, 0, Encoding::EXPLICIT, complete, wanted)?;
        return Ok((elements, Encoding::EXPLICIT, uid));
    }
    let encoding = guessed
        .or(declared.map(|syntax| syntax.encoding))
        .unwrap_or(Encoding::EXPLICIT);
    let elements = match elements(bytes, data_start, encoding, whole, wanted) {
        // Text whose first letters look like an element.
        Err(_) if !marked && uid.is_none() && whole => return Err(ImagingError::NotAnImage),
        Ok(found) if !marked && uid.is_none() && found.count < 3 => {
            return Err(ImagingError::NotAnImage);
        }
        other => other?,
    };
    Ok((elements, encoding, uid))
}

/// The wanted elements as they are written.
pub(super) struct Elements {
    pub(super) header: Vec<u8>,
    has_pixels: bool,
    count: usize,
}

fn elements(
    bytes: &[u8],
    start: usize,
    encoding: Encoding,
    whole: bool,
    tags: &[Tag],
) -> Result<Elements, ImagingError> {
    let reader = Reader::new(bytes, encoding);
    let mut found = Elements {
        header: Vec::new(),
        has_pixels: false,
        count: 0,
    };
    let mut at = start;
    loop {
        if bytes.len().saturating_sub(at) < 12 {
            if !whole {
                return Err(reader.truncated(at, 12));
            }
            if bytes.len().saturating_sub(at) < 8 {
                break;
            }
        }
        let element = reader.element(at)?;
        if element.tag.group() == 0x7FE0 && element.tag != Tag(0x7FE0, 0) {
            found.has_pixels = true;
            break;
        }
        let wanted = tags.contains(&element.tag);
        let end = nesting::skip(reader, &element, 0, wanted)?;
        if wanted {
            let element = bytes.get(element.start..end).unwrap_or_default();
            found.header.extend_from_slice(element);
        }
        found.count += 1;
        at = end;
    }
    Ok(found)
}

fn summary(
    elements: &Elements,
    encoding: Encoding,
    transfer_syntax: Option<String>,
) -> Result<Summary, ImagingError> {
    let object = attributes::parse(&elements.header, encoding)?;
    let attributes = Attributes::new(&object);
    let dimension = |tag| {
        let value = attributes.integer(tag).unwrap_or_default();
        usize::try_from(value).unwrap_or_default()
    };
    let uid = |tag| {
        let text: Option<String> = attributes.text(tag);
        text.filter(|text| text.len() <= 64)
    };
    let mut problems = Vec::new();
    let image_type = texts(attributes, tags::IMAGE_TYPE);
    let has_type = |names: &[&str]| {
        image_type
            .split('\\')
            .any(|part| names.iter().any(|name| part.eq_ignore_ascii_case(name)))
    };
    if has_type(&["LOCALIZER", "SCOUT"]) {
        problems.push(Problem::Localizer);
    }
    if has_type(&["MOSAIC"]) {
        problems.push(Problem::Mosaic);
    }
    if attributes.text(tags::BURNED_IN_ANNOTATION).as_deref() == Some("YES") {
        problems.push(Problem::BurnedInText);
    }
    let spacing_mm = spacing(attributes, &mut problems);
    Ok(Summary {
        sop_class: uid(tags::SOP_CLASS_UID).unwrap_or_default(),
        sop_instance: uid(tags::SOP_INSTANCE_UID).unwrap_or_default(),
        study: uid(tags::STUDY_INSTANCE_UID),
        patient_id: attributes.text(tags::PATIENT_ID),
        series: uid(tags::SERIES_INSTANCE_UID),
        series_number: attributes.integer(tags::SERIES_NUMBER),
        frame_of_reference: uid(tags::FRAME_OF_REFERENCE_UID),
        modality: attributes
            .text(tags::MODALITY)
            .filter(|text| text.len() <= 16 && text.chars().all(|c| c.is_ascii_alphanumeric())),
        instance_number: attributes.integer(tags::INSTANCE_NUMBER),
        transfer_syntax: transfer_syntax.unwrap_or_else(|| encoding.uid().to_owned()),
        rows: dimension(tags::ROWS),
        columns: dimension(tags::COLUMNS),
        has_pixels: elements.has_pixels,
        problems,
        frames: frames(attributes, spacing_mm, &image_type)?,
    })
}

/// The values of a text attribute with their separators.
fn texts(attributes: Attributes<'_>, tag: Tag) -> String {
    attributes.raw_text(tag).unwrap_or_default()
}

/// Pixel Spacing, the spacing at the detector, or that of an ultrasound region: between columns, rows.
fn spacing(attributes: Attributes<'_>, problems: &mut Vec<Problem>) -> Option<[f64; 2]> {
    if let Some(spacing) = pair(attributes, tags::PIXEL_SPACING) {
        // PS3.3 10.7.1.3: equal to the detector's spacing and without a calibration, it is the
        // detector's spacing, magnified by an unknown factor in the patient.
        let detector = pair(attributes, tags::IMAGER_PIXEL_SPACING) == Some(spacing)
            && attributes
                .text(tags::PIXEL_SPACING_CALIBRATION_TYPE)
                .is_none();
        if !detector {
            return Some(spacing);
        }
    }
    if let Some([column, row]) = pair(attributes, tags::IMAGER_PIXEL_SPACING) {
        let factor = attributes.decimal(tags::ESTIMATED_RADIOGRAPHIC_MAGNIFICATION_FACTOR)?;
        if factor <= 0.0 {
            return None;
        }
        problems.push(Problem::SpacingFromMagnification);
        return Some([column / factor, row / factor]);
    }
    if let Some(spacing) = region_spacing(attributes) {
        problems.push(Problem::SpacingFromUltrasoundRegion);
        return Some(spacing);
    }
    let ratio = attributes.integers(tags::PIXEL_ASPECT_RATIO);
    if matches!(ratio.as_slice(), &[vertical, horizontal] if vertical != horizontal) {
        problems.push(Problem::PixelAspectRatio);
    }
    None
}

/// The spacing that all two-dimensional regions of an ultrasound picture have (PS3.3 C.8.5.5).
fn region_spacing(attributes: Attributes<'_>) -> Option<[f64; 2]> {
    let mut common: Option<[f64; 2]> = None;
    for region in attributes.items(tags::SEQUENCE_OF_ULTRASOUND_REGIONS) {
        // Spatial format 1 is two-dimensional, unit 3 is centimetres.
        let is = |tag, value| region.integer(tag) == Some(value);
        if !is(tags::REGION_SPATIAL_FORMAT, 1)
            || !is(tags::PHYSICAL_UNITS_X_DIRECTION, 3)
            || !is(tags::PHYSICAL_UNITS_Y_DIRECTION, 3)
        {
            continue;
        }
        let delta = |tag| Some(region.decimal(tag)?.abs() * 10.0).filter(|&delta| delta > 0.0);
        let spacing = [
            delta(tags::PHYSICAL_DELTA_X)?,
            delta(tags::PHYSICAL_DELTA_Y)?,
        ];
        let alike = |common: [f64; 2]| {
            let near = |(a, b): (f64, f64)| (a - b).abs() <= 1e-3 * b;
            spacing.into_iter().zip(common).all(near)
        };
        if !common.is_none_or(alike) {
            return None;
        }
        common = common.or(Some(spacing));
    }
    common
}

/// A pair "row spacing, column spacing" of the standard as distances of columns and of rows.
pub(super) fn pair(attributes: Attributes<'_>, tag: Tag) -> Option<[f64; 2]> {
    match attributes.decimals(tag).as_slice() {
        &[row, column] if row > 0.0 && column > 0.0 => Some([column, row]),
        _ => None,
    }
}

pub(super) fn vector(numbers: &[f64]) -> Option<Vector> {
    <[f64; 3]>::try_from(numbers).ok()
}

/// The frames of a file: by its functional groups, by the vectors of older multi-frame objects, or one.
fn frames(
    attributes: Attributes<'_>,
    spacing_mm: Option<[f64; 2]>,
    image_type: &str,
) -> Result<Vec<FramePlace>, ImagingError> {
    let count = attributes.integer(tags::NUMBER_OF_FRAMES).unwrap_or(1);
    let count = u64::try_from(count).unwrap_or(1).max(1);
    if count > MAX_FRAMES {
        return Err(ImagingError::TooLarge {
            what: "the number of frames",
            needed: count,
            limit: MAX_FRAMES,
        });
    }
    let count = count as usize;
    let whole = FramePlace {
        position: vector(&attributes.decimals(tags::IMAGE_POSITION_PATIENT)),
        orientation: Orientation::from_cosines(
            &attributes.decimals(tags::IMAGE_ORIENTATION_PATIENT),
        ),
        in_patient: true,
        spacing_mm,
        meaning: describe(
            attributes,
            image_type,
            &[tags::ECHO_NUMBERS, tags::ECHO_TIME, tags::DIFFUSION_B_VALUE],
        ),
        time: describe(
            attributes,
            "",
            &[
                tags::TEMPORAL_POSITION_IDENTIFIER,
                tags::TRIGGER_TIME,
                tags::ACQUISITION_NUMBER,
                tags::ACQUISITION_TIME,
                tags::CONTENT_TIME,
            ],
        ),
    };
    let groups = Groups::of(attributes);
    // A classic object with an empty item of functional groups is still classic.
    let placed = [
        tags::PIXEL_MEASURES_SEQUENCE,
        tags::PLANE_POSITION_SEQUENCE,
        tags::PLANE_ORIENTATION_SEQUENCE,
        tags::PLANE_POSITION_VOLUME_SEQUENCE,
        tags::PLANE_ORIENTATION_VOLUME_SEQUENCE,
    ]
    .into_iter()
    .any(|sequence| groups.frame(0).item(sequence).is_some());
    if placed {
        return Ok((0..count)
            .map(|frame| of_groups(groups.frame(frame), &whole))
            .collect());
    }
    Ok(older_frames(attributes, &whole, count))
}

/// What the functional groups of one frame say; a group of the frame goes before that of all frames.
fn of_groups(group: Group<'_>, whole: &FramePlace) -> FramePlace {
    let item = |sequence| group.item(sequence);
    let decimals = |sequence, tag| item(sequence).map(|item| item.decimals(tag));
    let in_patient = item(tags::PLANE_POSITION_VOLUME_SEQUENCE).is_none();
    let (position, orientation) = if in_patient {
        (
            decimals(tags::PLANE_POSITION_SEQUENCE, tags::IMAGE_POSITION_PATIENT),
            decimals(
                tags::PLANE_ORIENTATION_SEQUENCE,
                tags::IMAGE_ORIENTATION_PATIENT,
            ),
        )
    } else {
        (
            decimals(
                tags::PLANE_POSITION_VOLUME_SEQUENCE,
                tags::IMAGE_POSITION_VOLUME,
            ),
            decimals(
                tags::PLANE_ORIENTATION_VOLUME_SEQUENCE,
                tags::IMAGE_ORIENTATION_VOLUME,
            ),
        )
    };
    let mut meaning = whole.meaning.clone();
    for (sequence, tag) in [
        (tags::MR_IMAGE_FRAME_TYPE_SEQUENCE, tags::FRAME_TYPE),
        (tags::CT_IMAGE_FRAME_TYPE_SEQUENCE, tags::FRAME_TYPE),
        (tags::MR_ECHO_SEQUENCE, tags::EFFECTIVE_ECHO_TIME),
        (tags::MR_DIFFUSION_SEQUENCE, tags::DIFFUSION_B_VALUE),
        (tags::MR_DIFFUSION_SEQUENCE, tags::DIFFUSION_DIRECTIONALITY),
    ] {
        if let Some(item) = item(sequence) {
            meaning.push('|');
            meaning.push_str(&texts(item, tag));
        }
    }
    let mut time = whole.time.clone();
    if let Some(content) = item(tags::FRAME_CONTENT_SEQUENCE) {
        for tag in [
            tags::TEMPORAL_POSITION_INDEX,
            tags::DIMENSION_INDEX_VALUES,
            tags::FRAME_ACQUISITION_NUMBER,
            tags::FRAME_ACQUISITION_DATE_TIME,
        ] {
            time.push('|');
            time.push_str(&texts(content, tag));
        }
    }
    FramePlace {
        position: position.as_deref().and_then(vector),
        orientation: orientation.as_deref().and_then(Orientation::from_cosines),
        in_patient,
        spacing_mm: item(tags::PIXEL_MEASURES_SEQUENCE)
            .and_then(|measures| pair(measures, tags::PIXEL_SPACING))
            .or(whole.spacing_mm),
        meaning,
        time,
    }
}

/// Frames without functional groups: a dose grid has its offsets (PS3.3 C.8.8.3.2), a nuclear medicine
/// reconstruction its first position and a step (C.8.4.11); frames of anything else follow in time.
fn older_frames(attributes: Attributes<'_>, whole: &FramePlace, count: usize) -> Vec<FramePlace> {
    let mut first = whole.clone();
    if let Some(detector) = attributes.items(tags::DETECTOR_INFORMATION_SEQUENCE).next() {
        first.position = first
            .position
            .or_else(|| vector(&detector.decimals(tags::IMAGE_POSITION_PATIENT)));
        first.orientation = first.orientation.or_else(|| {
            Orientation::from_cosines(&detector.decimals(tags::IMAGE_ORIENTATION_PATIENT))
        });
    }
    if count == 1 {
        return vec![first];
    }
    let offsets = attributes.decimals(tags::GRID_FRAME_OFFSET_VECTOR);
    let reconstructed = attributes
        .items(tags::DETECTOR_INFORMATION_SEQUENCE)
        .next()
        .is_some()
        && whole.meaning.contains("TOMO");
    let step = attributes
        .decimal(tags::SPACING_BETWEEN_SLICES)
        .filter(|&step| reconstructed && step != 0.0);
    let offset = |frame: usize| {
        if offsets.len() == count {
            // Offsets that begin at 0 are relative to the position (C.8.8.3.2, case a).
            let start = offsets.first().copied().unwrap_or_default();
            offsets.get(frame).map(|offset| offset - start)
        } else {
            step.map(|step| step * frame as f64)
        }
    };
    (0..count)
        .map(|frame| {
            let moved = match (first.position, first.orientation, offset(frame)) {
                (Some(position), Some(orientation), Some(offset)) => {
                    Some(add_scaled(position, offset, orientation.normal()))
                }
                _ => first.position,
            };
            FramePlace {
                position: moved,
                ..first.clone()
            }
        })
        .collect()
}

/// The texts of some attributes in one line.
fn describe(attributes: Attributes<'_>, start: &str, tags: &[Tag]) -> String {
    let mut line = start.to_owned();
    for &tag in tags {
        line.push('|');
        line.push_str(&texts(attributes, tag));
    }
    line
}

//! What is read of DICOM files beside their pixels: which image a file is, where its frames lie (PS3.3 C.7.6.2, C.7.6.16.2), and
//! what the frames of a segmentation are of (C.8.20).

use std::path::{Path, PathBuf};

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::{InMemDicomObject, OpenFileOptions, file::ReadPreamble};
use medsam3_weights::sha256_hex;

use super::error::ImportError;

/// Label Map Segmentation Storage (PS3.4 B.5).
const LABEL_MAP_STORAGE: &str = "1.2.840.10008.5.1.4.1.1.66.7";

/// Where a frame lies in the patient, in mm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    /// Centre of the first pixel.
    pub(super) position: [f64; 3],
    /// Directions of rows and of columns.
    pub(super) orientation: [f64; 6],
}

/// One image file.
#[derive(Debug, Clone)]
pub(super) struct ImageFile {
    pub(super) path: PathBuf,
    pub(super) uid: String,
    pub(super) series: String,
    pub(super) subject: String,
    pub(super) number: i64,
    pub(super) reference: Option<String>,
    /// Columns and rows.
    pub(super) size: [usize; 2],
    pub(super) frames: Vec<Option<Place>>,
}

/// One segmentation file.
#[derive(Debug, Clone)]
pub(super) struct SegFile {
    pub(super) path: PathBuf,
    pub(super) reference: Option<String>,
    pub(super) size: [usize; 2],
    /// Number and the names by which a manifest may call it: label, meaning and value of its type's code.
    pub(super) segments: Vec<(i64, Vec<String>)>,
    pub(super) frames: Vec<SegFrame>,
}

/// One frame of a segmentation.
#[derive(Debug, Clone)]
pub(super) struct SegFrame {
    pub(super) segment: i64,
    /// Images and frames (from 1) that it was drawn on.
    pub(super) sources: Vec<(String, Option<i64>)>,
    pub(super) place: Option<Place>,
}

/// A file that can be used.
#[derive(Debug)]
pub(super) enum Known {
    Image(ImageFile),
    Seg(SegFile),
}

/// Reads the attributes of a file; `None` for one without the mark of DICOM or without pixels.
///
/// # Errors
/// A DICOM file that is damaged or of a kind that would be read wrongly.
pub(super) fn read(path: &Path) -> Result<Option<Known>, ImportError> {
    let bad = |reason: String| ImportError::Source {
        path: path.to_owned(),
        reason,
    };
    if !marked(path).map_err(|error| bad(error.to_string()))? {
        return Ok(None);
    }
    let object = OpenFileOptions::new()
        .read_until(tags::PIXEL_DATA)
        .read_preamble(ReadPreamble::Always)
        .open_file(path)
        .map_err(|error| bad(error.to_string()))?;
    let class = text(&object, tags::SOP_CLASS_UID).unwrap_or_default();
    let size = [tags::COLUMNS, tags::ROWS]
        .map(|tag| integer(&object, tag).and_then(|n| usize::try_from(n).ok()));
    let [Some(width), Some(height)] = size else {
        return Ok(None);
    };
    let reference = text(&object, tags::FRAME_OF_REFERENCE_UID);
    let size = [width, height];
    if class == LABEL_MAP_STORAGE
        || text(&object, tags::SEGMENTATION_TYPE).as_deref() == Some("LABELMAP")
    {
        return Err(bad(
            "label map segmentations (LABELMAP) cannot be read; save it as BINARY, or leave it out by `files`"
                .to_owned(),
        ));
    }
    if class == uids::SEGMENTATION_STORAGE {
        let (segments, frames) = segmentation(&object);
        return Ok(Some(Known::Seg(SegFile {
            path: path.to_owned(),
            reference,
            size,
            segments,
            frames,
        })));
    }
    // Whose it is matters, who that is does not: names stay out of the corpus.
    let whose = [tags::PATIENT_ID, tags::STUDY_INSTANCE_UID].map(|tag| text(&object, tag));
    let whose = whose.into_iter().flatten().next().unwrap_or_default();
    let count = integer(&object, tags::NUMBER_OF_FRAMES)
        .unwrap_or(1)
        .clamp(1, 1 << 20);
    let shared = first(&object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let groups = items(&object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let frames = (0..count as usize)
        .map(|frame| place(&[groups.get(frame), shared], &object))
        .collect();
    Ok(Some(Known::Image(ImageFile {
        path: path.to_owned(),
        uid: text(&object, tags::SOP_INSTANCE_UID).unwrap_or_default(),
        series: text(&object, tags::SERIES_INSTANCE_UID).unwrap_or_default(),
        subject: short_hash(&whose),
        number: integer(&object, tags::INSTANCE_NUMBER).unwrap_or(0),
        reference,
        size,
        frames,
    })))
}

/// Twelve digits that stand for an identifier.
pub(super) fn short_hash(text: &str) -> String {
    sha256_hex(text.as_bytes()).chars().take(12).collect()
}

fn marked(path: &Path) -> std::io::Result<bool> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = std::fs::File::open(path)?;
    if file.metadata()?.len() < 132 {
        return Ok(false);
    }
    let mut mark = [0; 4];
    file.seek(SeekFrom::Start(128))?;
    file.read_exact(&mut mark)?;
    Ok(&mark == b"DICM")
}

type Segments = Vec<(i64, Vec<String>)>;

fn segmentation(object: &InMemDicomObject) -> (Segments, Vec<SegFrame>) {
    let segments = items(object, tags::SEGMENT_SEQUENCE).iter().map(|item| {
        let code = first(item, tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE);
        let coded = [tags::CODE_MEANING, tags::CODE_VALUE].map(|tag| text(code?, tag));
        let names = [text(item, tags::SEGMENT_LABEL)]
            .into_iter()
            .chain(coded)
            .flatten();
        (
            integer(item, tags::SEGMENT_NUMBER).unwrap_or(0),
            names.collect(),
        )
    });
    let shared = first(object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let groups = items(object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let frames = groups.iter().map(|group| {
        let both = [Some(group), shared];
        let number = |group: &InMemDicomObject| {
            integer(
                first(group, tags::SEGMENT_IDENTIFICATION_SEQUENCE)?,
                tags::REFERENCED_SEGMENT_NUMBER,
            )
        };
        let derivations = items(group, tags::DERIVATION_IMAGE_SEQUENCE).iter();
        let sources = derivations
            .flat_map(|item| items(item, tags::SOURCE_IMAGE_SEQUENCE))
            .filter_map(|source| {
                let uid = text(source, tags::REFERENCED_SOP_INSTANCE_UID)?;
                Some((uid, integer(source, tags::REFERENCED_FRAME_NUMBER)))
            });
        SegFrame {
            segment: both.into_iter().flatten().find_map(number).unwrap_or(0),
            sources: sources.collect(),
            place: place(&both, object),
        }
    });
    (segments.collect(), frames.collect())
}

/// From the functional groups, else from the image itself.
fn place(groups: &[Option<&InMemDicomObject>], object: &InMemDicomObject) -> Option<Place> {
    let of = |sequence: Tag, tag: Tag| -> Option<Vec<f64>> {
        let grouped = groups
            .iter()
            .flatten()
            .find_map(|group| decimals(first(group, sequence)?, tag));
        grouped.or_else(|| decimals(object, tag))
    };
    let position = of(tags::PLANE_POSITION_SEQUENCE, tags::IMAGE_POSITION_PATIENT)?;
    let orientation = of(
        tags::PLANE_ORIENTATION_SEQUENCE,
        tags::IMAGE_ORIENTATION_PATIENT,
    )?;
    Some(Place {
        position: position.try_into().ok()?,
        orientation: orientation.try_into().ok()?,
    })
}

/// A text without padding.
pub(super) fn text(object: &InMemDicomObject, tag: Tag) -> Option<String> {
    let value = object.get(tag)?.to_str().ok()?;
    let value = value.trim_matches(['\0', ' ']);
    (!value.is_empty()).then(|| value.to_owned())
}

/// The first whole number.
pub(super) fn integer(object: &InMemDicomObject, tag: Tag) -> Option<i64> {
    object.get(tag)?.to_int().ok()
}

fn decimals(object: &InMemDicomObject, tag: Tag) -> Option<Vec<f64>> {
    object.get(tag)?.to_multi_float64().ok()
}

fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object
        .get(tag)
        .and_then(|element| element.items())
        .unwrap_or_default()
}

fn first(object: &InMemDicomObject, tag: Tag) -> Option<&InMemDicomObject> {
    items(object, tag).first()
}

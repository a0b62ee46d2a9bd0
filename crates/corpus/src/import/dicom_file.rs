//! The DICOM files of a source folder, as `imaging` finds them: series of images, and segmentations with what their
//! frames are of. Pixels are read later, when a series is drawn.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use medsam3_imaging::segmentation_file::{SegmentInfo, SegmentationFile, SegmentationFrame};
use medsam3_imaging::series::{FileSource, Listing, Series, SharedSource, Source, find};
use medsam3_imaging::{ImagingError, Orientation, Vector};
use medsam3_weights::sha256_hex;

use super::error::ImportError;

/// One segmentation file without its pixels.
#[derive(Debug)]
pub(super) struct SegFile {
    pub(super) path: PathBuf,
    pub(super) reference: Option<String>,
    /// Columns and rows.
    pub(super) size: [usize; 2],
    pub(super) segments: Vec<SegmentInfo>,
    pub(super) frames: Vec<SegmentationFrame>,
}

/// What a folder holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In the order of their Series Instance UIDs.
    pub(super) series: Vec<Series>,
    pub(super) segmentations: Vec<SegFile>,
}

/// Reads the attributes of files. What is no DICOM is passed over.
///
/// # Errors
/// A DICOM file that is damaged or of a kind that would be read wrongly, by name.
pub(super) fn read(paths: Vec<PathBuf>) -> Result<Found, ImportError> {
    let mut sources: Vec<SharedSource> = Vec::with_capacity(paths.len());
    for path in paths {
        let source = FileSource::new(&path).map_err(|error| bad(&path, &error))?;
        let start = source.read(0, 4).map_err(|error| bad(&path, &error))?;
        // An archive beside its own contents would be read twice.
        if !start.starts_with(b"PK\x03\x04") {
            sources.push(Arc::new(source));
        }
    }
    let Listing {
        mut series,
        others,
        failures,
        ..
    } = find(sources);
    for failure in failures {
        match failure.error {
            // Pictures and volumes beside the DICOM files are not of this layout, damaged or not.
            ImagingError::Damaged { .. }
            | ImagingError::OtherFormat { .. }
            | ImagingError::Archive { .. }
            | ImagingError::Nifti { .. } => {}
            error => return Err(bad(Path::new(&failure.name), &error)),
        }
    }
    series.retain(|series| series.format() == "DICOM");
    series.sort_by(|a, b| a.uid().cmp(&b.uid()));
    let mut segmentations = Vec::new();
    for other in others.iter().filter(|other| other.is_segmentation) {
        let path = Path::new(other.source.name());
        match open_segmentation(path) {
            Ok(file) => segmentations.push(described(path, file)),
            // Surfaces.
            Err(ImagingError::NotASegmentation) => {}
            Err(error) => return Err(bad(path, &error)),
        }
    }
    Ok(Found {
        series,
        segmentations,
    })
}

/// A segmentation with its pixels.
///
/// # Errors
/// What `imaging` says of it.
pub(super) fn open_segmentation(path: &Path) -> Result<SegmentationFile, ImagingError> {
    let source = FileSource::new(path)?;
    let size = usize::try_from(source.size()).unwrap_or(usize::MAX);
    SegmentationFile::open(&source.read(0, size)?)
}

fn described(path: &Path, file: SegmentationFile) -> SegFile {
    SegFile {
        path: path.to_owned(),
        reference: file.frame_of_reference_uid,
        size: [file.columns, file.rows],
        segments: file.segments,
        frames: file.frames,
    }
}

/// The error that names a file.
pub(super) fn bad(path: &Path, error: &ImagingError) -> ImportError {
    ImportError::Source {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

/// The names by which a manifest may call a segment: label, meaning and value of its type's code.
pub(super) fn names(segment: &SegmentInfo) -> Vec<String> {
    let code = segment.property_type.iter();
    [segment.label.clone()]
        .into_iter()
        .chain(code.flat_map(|code| [code.meaning.clone(), code.value.clone()]))
        .filter(|name| !name.is_empty())
        .collect()
}

/// Largest distance of a frame from its image in mm.
const NEAR_MM: f64 = 0.1;

/// Whether two planes are the same; `None` where one of them is unknown.
pub(super) fn same_plane(
    one: (Option<Vector>, Option<Orientation>),
    other: (Option<Vector>, Option<Orientation>),
) -> Option<bool> {
    let ((Some(here), Some(turn)), (Some(there), Some(other_turn))) = (one, other) else {
        return None;
    };
    let squares = here.iter().zip(there).map(|(a, b)| (a - b).powi(2));
    Some(squares.sum::<f64>().sqrt() <= NEAR_MM && turn.is_close_to(other_turn))
}

/// Twelve digits that stand for an identifier.
pub(super) fn short_hash(text: &str) -> String {
    sha256_hex(text.as_bytes()).chars().take(12).collect()
}

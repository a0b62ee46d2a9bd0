//! A NIfTI file as the importer needs it: the values of its first volume, and where they lie. `imaging` reads it.

use std::path::Path;
use std::sync::Arc;

use medsam3_imaging::series::{FileSource, SharedSource};
use medsam3_imaging::{Affine, ImagingError, NiftiFile};

use super::dicom_file::bad;
use crate::error::CorpusError;

/// The first volume of a file.
#[derive(Debug, Clone)]
pub(super) struct Volume {
    /// Voxels along the stored axes; the first one is contiguous.
    pub(super) dim: [usize; 3],
    /// Scaled values, in the order of the file.
    pub(super) values: Vec<f32>,
    /// Voxel to millimetres in the patient (LPS).
    pub(super) affine: Affine,
    /// Volumes of the file.
    pub(super) count: usize,
}

/// Reads a file.
///
/// # Errors
/// A file that cannot be read or is no NIfTI, by name.
pub(super) fn read(path: &Path) -> Result<Volume, CorpusError> {
    open(path).map_err(|error| bad(path, &error).into())
}

fn open(path: &Path) -> Result<Volume, ImagingError> {
    let source: SharedSource = Arc::new(FileSource::new(path)?);
    let file = NiftiFile::open(&source, None)?;
    let [columns, rows, slices, count] = file.sizes();
    Ok(Volume {
        dim: [columns, rows, slices],
        values: file.values(0)?,
        affine: file.affine().unwrap_or_else(|| assumed(&file)),
        count,
    })
}

/// What nibabel assumes where a file does not say how it lies: the first axis points left, the second to the front.
fn assumed(file: &NiftiFile) -> Affine {
    let [x, y, z] = file.spacing_mm().unwrap_or([1.0; 3]);
    Affine::from_steps([x, 0.0, 0.0], [0.0, -y, 0.0], [0.0, 0.0, z], [0.0; 3])
}

//! A NIfTI file as the importer needs it: the values of its first volume, and where its axes point. `imaging` reads it.

use std::path::Path;
use std::sync::Arc;

use medsam3_imaging::series::{FileSource, SharedSource};
use medsam3_imaging::{ImagingError, NiftiFile};

use super::error::ImportError;
use crate::error::CorpusError;

/// The first volume of a file.
#[derive(Debug, Clone)]
pub(super) struct Volume {
    /// Voxels along the stored axes; the first one is contiguous.
    pub(super) dim: [usize; 3],
    /// Scaled values, in the order of the file.
    pub(super) values: Vec<f32>,
    /// Voxel to millimetres: right, anterior and superior grow.
    pub(super) affine: [[f64; 4]; 3],
    /// Volumes of the file.
    pub(super) count: usize,
}

/// Reads a file.
///
/// # Errors
/// A file that cannot be read or is no NIfTI, by name.
pub(super) fn read(path: &Path) -> Result<Volume, CorpusError> {
    open(path).map_err(|error| {
        ImportError::Source {
            path: path.to_owned(),
            reason: error.to_string(),
        }
        .into()
    })
}

fn open(path: &Path) -> Result<Volume, ImagingError> {
    let source: SharedSource = Arc::new(FileSource::new(path)?);
    let file = NiftiFile::open(&source, None)?;
    let [columns, rows, slices, count] = file.sizes();
    Ok(Volume {
        dim: [columns, rows, slices],
        values: file.values(0)?,
        affine: right_anterior_superior(&file),
        count,
    })
}

/// The affine in NIfTI's own directions. What the file does not say is taken as nibabel does: the first axis points left.
fn right_anterior_superior(file: &NiftiFile) -> [[f64; 4]; 3] {
    let Some(affine) = file.affine() else {
        let [x, y, z] = file.spacing_mm().unwrap_or([1.0; 3]);
        return [[-x, 0.0, 0.0, 0.0], [0.0, y, 0.0, 0.0], [0.0, 0.0, z, 0.0]];
    };
    let [left, posterior, superior, _] = affine.0;
    [left.map(|v| -v), posterior.map(|v| -v), superior]
}

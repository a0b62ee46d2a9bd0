//! A series in the words of the contract that `medsam3 inspect` and the page's list share.

use serde::Serialize;

use super::{Kind, Problem, Series};
use crate::geometry::Affine;

/// The facts of one series; lengths in mm, `null` where unknown.
#[derive(Debug, Clone, Serialize)]
pub struct SeriesReport {
    /// `image`, `stack`, `volume` or `cine`.
    pub kind: Kind,
    /// `"DICOM"`, `"NIfTI"`, `"PNG"`, `"JPEG"` or `"TIFF"`.
    pub format: &'static str,
    /// Modality (0008,0060).
    pub modality: Option<String>,
    /// Of one picture.
    pub rows: usize,
    /// Of one picture.
    pub columns: usize,
    /// Slice positions.
    pub slices: usize,
    /// Pictures per slice position.
    pub frames: usize,
    /// Between columns, between rows, between slices along their normal.
    pub spacing_mm: Option<[Option<f64>; 3]>,
    /// Voxel (column, row, slice) to patient (LPS).
    pub affine: Option<Affine>,
    /// One UID, or all that occur.
    pub transfer_syntax: TransferSyntaxes,
    /// Codes.
    pub problems: Vec<Problem>,
}

/// None outside DICOM, mostly one, seldom several.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum TransferSyntaxes {
    /// No DICOM.
    None,
    /// All files have it.
    One(String),
    /// Those that occur, sorted.
    Several(Vec<String>),
}

impl SeriesReport {
    /// The facts of a series.
    pub fn of(series: &Series) -> Self {
        let transfer_syntax = match series.transfer_syntaxes() {
            [] => TransferSyntaxes::None,
            [one] => TransferSyntaxes::One(one.clone()),
            several => TransferSyntaxes::Several(several.to_vec()),
        };
        Self {
            kind: series.kind(),
            format: series.format(),
            modality: series.modality().map(str::to_owned),
            rows: series.rows(),
            columns: series.columns(),
            slices: series.slices(),
            frames: series.frames(),
            spacing_mm: series.spacing_mm(),
            affine: series.affine(),
            transfer_syntax,
            problems: series.problems().to_vec(),
        }
    }
}

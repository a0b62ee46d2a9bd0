//! What was found, as a document: segments over the pictures of a series, measured, compared with a
//! reference, and written as DICOM SEG, RT Structure Set, Structured Report, NIfTI, PNG, CSV and JSON.
//!
//! Knows series and masks, no tensor, no model and no file: writers take an output, readers take bytes.
//!
//! ```text
//! Series + masks per prompt -> Segmentation -> measure -> table
//!                                           -> write_seg, write_nifti, ...
//! ```

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

// Its loops stay within sizes that they computed.
#[allow(clippy::indexing_slicing)]
mod compare;
mod components;
mod contour;
mod diameter;
mod dicom;
mod document;
mod edit;
mod editor;
mod error;
mod export;
mod interpolate;
mod measure;
mod nifti;
mod origin;
mod picture;
mod read;
mod runs;
mod table;
mod terms;

pub use compare::{Comparison, Overlap, compare, dice, hd95_px, iou, nsd, overlap, percentile};
pub use dicom::{DicomOptions, Stamp, write_rtstruct, write_seg, write_sr};
pub use document::{Grid, Place, Segment, Segmentation};
pub use edit::{Change, Edit, difference, fill_holes, keep_largest, remove_islands, union};
pub use editor::{ChangedMask, Editor, OnProtected, SegmentId, StepKind, Taken};
pub use error::SegmentationError;
pub use export::{DocumentFormat, masks_zip, slug, slugs};
pub use interpolate::interpolate;
pub use measure::{
    Measurement, Measuring, SliceMeasurement, Statistics, Warning, measure, volume_of_voxel,
};
pub use nifti::{write_label_map, write_segment_nifti};
pub use origin::{Method, Origin};
pub use picture::{mask_png, overlay_png};
pub use read::{Imported, read_any, read_label_map, read_rtstruct, read_seg};
pub use runs::{Run, Runs};
pub use table::{label_table, write_csv, write_json};
pub use terms::{Code, Coding, coding};

/// The sentence that every result carries.
pub const DISCLAIMER: &str =
    "Research and teaching only. Not a medical device. Do not use for diagnosis or treatment.";

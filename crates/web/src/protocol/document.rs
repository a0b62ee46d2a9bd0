//! The segmentation of the open series as the page sees it: its segments with what is measured on them, the changes
//! that can be made, and the files that it is written to and read from.

use serde::{Deserialize, Serialize};

use super::series::PicturePlace;
use super::{Failure, WindowLevel};

/// The document after a change, or when it is asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct DocumentInfo {
    /// Grows with every change.
    pub version: u32,
    /// In the order of their numbers in exports.
    pub segments: Vec<SegmentInfo>,
    /// What `undo` would take back; absent where there is nothing.
    pub undo: Option<StepInfo>,
    /// What `redo` would bring back.
    pub redo: Option<StepInfo>,
    /// Pictures whose masks differ from those before the request; empty when nothing was asked to change.
    pub changed: Vec<ChangedMask>,
}

/// A mask that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ChangedMask {
    pub segment: u32,
    pub slice: u32,
    pub frame: u32,
}

/// A step of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct StepInfo {
    pub what: StepKind,
    /// Name of the segment that it is about, where it is about one.
    pub name: Option<String>,
}

/// What a step of the history did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    Run,
    Paint,
    Erase,
    FillHoles,
    RemoveIslands,
    KeepLargest,
    Interpolate,
    Union,
    Difference,
    NewSegment,
    Change,
    Delete,
    Import,
}

/// One segment. What needs no pixels is measured here; `measure` gives the rest.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct SegmentInfo {
    /// Stays the same as long as the series is listed; no other segment ever has it.
    pub id: u32,
    pub name: String,
    /// Red, green, blue.
    pub color: [u8; 3],
    /// What it is, in SNOMED CT.
    pub code: CodeInfo,
    pub origin: OriginInfo,
    /// No edit and no run changes it.
    pub locked: bool,
    /// Slices with a mask, over all frames, in order.
    pub slices: Vec<PicturePlace>,
    /// Pixels of all of them.
    pub voxels: u32,
    /// At the first frame with a mask; absent where the spacing or the distance of slices is not known.
    pub volume_ml: Option<f64>,
}

/// A code with its meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct CodeInfo {
    pub value: String,
    /// "SCT".
    pub scheme: String,
    pub meaning: String,
    /// The side: "Left", "Right".
    pub modifier: Option<String>,
    /// Whether the code says what the name says; else it is the general one.
    pub known: bool,
}

/// Who made a segment, and how.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct OriginInfo {
    pub method: MethodInfo,
    pub model: Option<String>,
    /// SHA-256 of the weights.
    pub model_version: Option<String>,
    pub prompt: Option<String>,
    pub threshold: Option<f64>,
    pub mask_threshold: Option<f64>,
    pub window: Option<WindowLevel>,
    /// The best score of any picture.
    pub score: Option<f64>,
}

/// How much of a segment a person did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum MethodInfo {
    /// A model alone.
    Automatic,
    /// A model, and a person who corrected it.
    Semiautomatic,
    /// A person alone.
    Manual,
}

/// A mask on one picture, without its pixels.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct MaskInfo {
    pub segment: u32,
    pub pixels: u32,
    /// Absent where the series is not calibrated.
    pub area_mm2: Option<f64>,
}

/// A segment at one frame, measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct MeasurementInfo {
    pub segment: u32,
    pub frame: u32,
    pub voxels: u32,
    pub volume_ml: Option<f64>,
    /// Absent in colour.
    pub statistics: Option<StatisticsInfo>,
    pub slices: Vec<SliceMeasurementInfo>,
    /// Index in `slices` of the one with the largest diameter.
    pub largest: u32,
    /// Mean place in the patient.
    pub centroid_mm: Option<[f64; 3]>,
    /// First and last column, row and slice.
    pub bounding_box: [[u32; 2]; 3],
    /// Pieces that hang together by faces, edges or corners.
    pub components: u32,
    /// Stable codes: "not-calibrated", "no-volume", "touches-first-slice", "touches-last-slice", "touches-image-edge",
    /// "missing-slices".
    pub warnings: Vec<String>,
}

/// Grey values within a mask.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct StatisticsInfo {
    pub mean: f64,
    /// Standard deviation.
    pub sd: f64,
    pub min: f64,
    pub max: f64,
    /// "HU" for CT, else "value".
    pub unit: String,
}

/// One picture of a measured segment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct SliceMeasurementInfo {
    pub slice: u32,
    pub pixels: u32,
    pub area_mm2: Option<f64>,
    /// Largest diameter and extent at right angles to it, in pixels.
    pub axes_px: [f64; 2],
    /// The same in mm.
    pub axes_mm: Option<[f64; 2]>,
}

/// A change of the pixels of a segment. Pixels that are sent are bytes, 0 or not, row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum EditRequest {
    /// Adds pixels on one picture. Buffer: those of `patch`.
    Paint {
        slice: u32,
        frame: u32,
        patch: PatchBox,
    },
    /// Takes pixels away on one picture. Buffer: those of `patch`.
    Erase {
        slice: u32,
        frame: u32,
        patch: PatchBox,
    },
    /// Fills what is enclosed on each picture.
    FillHoles,
    /// Takes away pieces of fewer voxels than `least`.
    RemoveIslands { least: u32 },
    /// Keeps the largest piece.
    KeepLargest,
    /// Fills the slices between drawn ones.
    Interpolate,
    /// Adds the pixels of another segment.
    Union { other: u32 },
    /// Takes away the pixels of another segment.
    Difference { other: u32 },
}

/// A part of a picture in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PatchBox {
    pub left: u32,
    pub top: u32,
    pub width: u32,
    pub height: u32,
}

/// What can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum ExportFormat {
    /// A mask per segment and picture with pixels.
    Png,
    /// A volume per segment, 0 and 1.
    Nifti,
    /// One volume with the numbers of the segments, and a table that says what they are.
    NiftiLabelmap,
    /// DICOM segmentation, one bit per segment.
    Seg,
    /// DICOM segmentation as a label map (Supplement 243), which few programs read yet.
    SegLabelmap,
    /// DICOM RT Structure Set.
    Rtstruct,
    /// Table of measurements.
    Csv,
    /// Measurements with every slice.
    Json,
}

/// A file that was made; its bytes travel beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ExportedFile {
    pub format: ExportFormat,
    /// Without anything of the files or of the patient in it.
    pub name: String,
    /// MIME type.
    pub media_type: String,
}

/// A format that could not be written, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct RefusedFormat {
    pub format: ExportFormat,
    pub failure: Failure,
}

/// Where an imported segmentation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum ImportInto {
    /// Its segments join the document, as one step of the history.
    Document,
    /// It takes the place of the reference, which is compared with and never written.
    Reference,
}

/// What was imported.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ImportInfo {
    /// The segments that came in: of the document, or of the reference.
    pub segments: Vec<SegmentInfo>,
    /// Frames or contours that lie on none of the series' pictures, and were left out.
    pub left_out: u32,
}

/// A segment against a segment of the reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ComparisonInfo {
    pub dice: f64,
    pub iou: f64,
    /// Absent where one of them is empty.
    pub hd95: Option<f64>,
    /// Share of both surfaces within `tolerance` of each other.
    pub nsd: Option<f64>,
    pub tolerance: f64,
    /// "mm", or "px" where the series is not calibrated.
    pub unit: String,
    /// Voxels of the segment, of the reference and of both.
    pub voxels: [u32; 3],
}

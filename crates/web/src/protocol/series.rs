//! Series and their pictures as the page sees them: what a folder holds, where each slice lies, and how far a
//! run over slices is. Slices and frames count from 0, lengths are in mm, places are in the patient (LPS).

use serde::{Deserialize, Serialize};

use super::{Failure, PixelKind, PromptAnswer, WindowLevel};

/// What was found in the files that were handed over.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ListingInfo {
    /// In the order in which their first files were found.
    pub series: Vec<SeriesInfo>,
    /// Objects that are no pictures and may be laid on a series with `import-segmentation`.
    pub segmentations: Vec<FoundSegmentation>,
    /// DICOM objects that are neither: reports, presentation states, the directory of a disc.
    pub others: u32,
    /// Images that are damaged or of a kind that is not read, by their reason.
    pub failures: Vec<CountedFailure>,
    /// Files that are no images at all.
    pub skipped: u32,
    /// Files looked at, those in archives among them.
    pub files: u32,
}

/// A reason and how many files it holds for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct CountedFailure {
    pub count: u32,
    pub failure: Failure,
}

/// A segmentation among the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct FoundSegmentation {
    /// What `import-segmentation` calls it.
    pub index: u32,
    /// DICOM modality: "SEG" or "RTSTRUCT".
    pub modality: String,
}

/// One series of the listing. Nothing in it names a person, a file or a place.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct SeriesInfo {
    /// What `open-series` and `thumbnail` call it.
    pub index: u32,
    /// "image", "stack", "volume" or "cine".
    pub kind: SeriesKind,
    /// "DICOM", "NIfTI", "PNG", "JPEG" or "TIFF".
    pub format: String,
    /// DICOM modality, such as "MR".
    pub modality: Option<String>,
    /// Series Number (0020,0011).
    pub number: Option<f64>,
    /// Modality and number, such as "CT 3"; the format where there is no modality.
    pub label: String,
    pub rows: u32,
    pub columns: u32,
    /// Slice positions; pictures, where they have none.
    pub slices: u32,
    /// Pictures per slice position; of a cine its frames.
    pub frames: u32,
    /// Between columns, rows and slices; absent where even the size of a pixel is unknown.
    pub spacing_mm: Option<[Option<f64>; 3]>,
    /// Lengths and areas can be measured in mm.
    pub calibrated: bool,
    /// Stable codes, such as "gap", "tilt", "no-spacing", "burned-in-text".
    pub problems: Vec<String>,
    /// Why its pictures make no volume, as the end of a sentence; absent for a volume and for a single picture.
    pub no_volume: Option<String>,
    /// Windows by name, for its modality; their values are HU.
    pub windows: Vec<NamedWindow>,
}

/// What the pictures of a series make together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum SeriesKind {
    /// One picture.
    Image,
    /// Pictures that make no volume.
    Stack,
    /// Parallel slices on a regular grid.
    Volume,
    /// One position over time.
    Cine,
}

/// A window that has a name.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct NamedWindow {
    /// Such as "lung"; the page translates it.
    pub name: String,
    pub center: f32,
    pub width: f32,
}

/// A series that is open, with what its viewer needs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct OpenSeries {
    pub info: SeriesInfo,
    pub pixels: PixelKind,
    /// The window to show grey pictures with at first.
    pub window: Option<WindowLevel>,
    /// Small values are white (MONOCHROME1).
    pub inverted: bool,
    /// Voxel (column, row, slice) to patient, four rows of four; the slice index of a picture is that of its `gridIndex`.
    pub affine: Option<[[f64; 4]; 4]>,
    /// One per slice, in the order of the slices.
    pub planes: Vec<SlicePlane>,
    /// Names the patient's axes apart from those of others: series of one number lie in one space. Absent where unknown.
    pub frame_of_reference: Option<u32>,
    /// What was taken into account in reading the first picture, as whole sentences.
    pub notes: Vec<String>,
}

/// Where a slice lies.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct SlicePlane {
    /// Centre of the first pixel.
    pub position: Option<[f64; 3]>,
    /// Directions in which columns and rows are counted, of length 1.
    pub orientation: Option<[[f64; 3]; 2]>,
    /// Which side of the patient is at the left, right, top and bottom edge: "R", "L", "A", "P", "H", "F", several letters
    /// where it is oblique, the nearest first. Absent where the place in the patient is unknown.
    pub edges: Option<[String; 4]>,
    /// Along the normal from the first slice.
    pub distance_mm: Option<f64>,
    /// Its index on the grid of the affine; differs from its number where slices are missing.
    pub grid_index: Option<u32>,
}

/// How the values of a picture are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Samples {
    /// A little-endian 16-bit integer with a sign per pixel: modality values.
    I16,
    /// A little-endian 32-bit float per pixel: modality values.
    F32,
    /// Three bytes per pixel: red, green, blue.
    Rgb8,
}

/// Which picture of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PicturePlace {
    pub slice: u32,
    /// Picture at that position: time, echo; of a cine the frame.
    pub frame: u32,
}

/// Which pictures a run is over. Of a cine the frames are what slices are of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Scope {
    /// The picture in view.
    Slice,
    /// Both ends included.
    Range { first: u32, last: u32 },
    /// Every slice at the frame in view.
    All,
}

/// What becomes of a segment of the same prompt that is locked, or that a person corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum OnProtected {
    /// The run does not begin: `SEGMENT-PROTECTED`.
    Refuse,
    /// A new segment is made beside it.
    Add,
    /// It is overwritten on the pictures of the run.
    Replace,
}

/// What a prompt found on one picture of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct SegmentAnswer {
    /// The segment that the mask went into; absent where that one was deleted meanwhile.
    pub segment: Option<u32>,
    /// The mask was not taken: a person changed the segment here since the run began, or locked it.
    pub left_alone: bool,
    pub answer: PromptAnswer,
}

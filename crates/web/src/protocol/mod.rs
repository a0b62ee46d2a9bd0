//! What the page and the worker say to each other. The TypeScript in `web/src/protocol.ts` is
//! generated from these types by the test below and committed.
//!
//! Binary data (files, weights, pixels, masks) never sits inside a message: it travels beside it as a
//! list of transferable buffers, and each variant says what its buffers are. Names of files go into the worker with
//! `load-model` and `open-files` and never come out; nothing read from a picture's header comes out but geometry.
//!
//! `series` has what is said of series and runs, `document` what is said of segmentations.

mod document;
mod series;

use serde::{Deserialize, Serialize};

pub use document::*;
pub use series::*;

/// From the page to the worker. Every request has an id of the page's choosing.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum Request {
    /// Chooses the back end. The compiled module travels beside it. Answered by `started`.
    Start {
        id: u32,
        backend: BackendChoice,
        /// What `started` gave on an earlier visit: which variants of the kernels win on this adapter.
        kernels: Option<String>,
    },
    /// Checks and uploads a model whose files the page has at hand. Buffers: one per name in `files`, an
    /// `ArrayBuffer` or a `Blob`, which is read piece by piece. Answered by `model-loaded`.
    LoadModel {
        id: u32,
        files: Vec<String>,
        /// Side in pixels of the square that the model sees; the model's own when absent.
        image_side: Option<u32>,
    },
    /// Checks and uploads the model in the folder `models/<model>` of the origin's private file system, which the
    /// page has put there whole. Answered by `model-loaded`.
    OpenStored {
        id: u32,
        model: String,
        /// As in `load-model`.
        image_side: Option<u32>,
    },
    /// Sets how much memory kept embeddings may take, where `budget_mib` says so (0 keeps none but the one in view
    /// and prefetches nothing). Answered by `cache`.
    Cache { id: u32, budget_mib: Option<u32> },
    /// Stops the request `target`, which answers `cancelled`.
    Cancel { id: u32, target: u32 },
    /// Lists the series in some files, folders and archives, in place of what was listed and open. Buffers: one `File` or
    /// `Blob` per name. A name is a path with `/` where a folder was chosen. Answered by `progress` and `listed`.
    OpenFiles { id: u32, names: Vec<String> },
    /// Opens a series of the listing; the document is that of the series, as it was left. Answered by `series-opened`.
    OpenSeries { id: u32, series: u32 },
    /// Asks for the pixels of a picture of the open series. Answered by `slice`, also while a run goes on.
    Slice {
        id: u32,
        slice: u32,
        frame: u32,
        /// 16-bit integers where they hold all values of the picture.
        compact: bool,
    },
    /// Asks for a small picture of the middle of a series of the listing. Answered by `thumbnail`.
    Thumbnail {
        id: u32,
        series: u32,
        /// Pixels of its longer side.
        side: u32,
    },
    /// Segments pictures of the open series by each prompt, the picture in view first, then outwards. Answered by one
    /// `slice-segmented` per picture and a closing `series-segmented`. Masks go into the document as they come, and stay
    /// there after a `cancel`.
    SegmentSeries {
        id: u32,
        prompts: Vec<String>,
        scope: Scope,
        /// The picture in view.
        at: PicturePlace,
        /// Each picture's own window when absent.
        window: Option<WindowLevel>,
        rule: MaskRule,
        /// Probability in 0..1 from which an instance is kept; the model's own when absent.
        threshold: Option<f32>,
        /// Probability in 0..1 from which a pixel is inside; the model's own when absent.
        mask_threshold: Option<f32>,
        on_protected: OnProtected,
    },
    /// Halts the `segment-series` request `target` between two steps of the model. Answered by `run-state`, by `target`.
    Pause { id: u32, target: u32 },
    /// Goes on with it. Answered by `run-state`, by `target`.
    Resume { id: u32, target: u32 },
    /// Asks for the document of the open series. Answered by `document`, as is every change below.
    Document { id: u32 },
    /// Asks for the masks on one picture. Answered by `masks`.
    Masks {
        id: u32,
        slice: u32,
        frame: u32,
        /// Of all segments when absent.
        segments: Option<Vec<u32>>,
        /// Of the reference and not of the document.
        reference: bool,
    },
    /// Measures segments with their grey values, which reads their pictures. Answered by `measured`.
    Measure {
        id: u32,
        /// All when absent.
        segments: Option<Vec<u32>>,
    },
    /// Adds an empty segment to draw in, the last of `document`'s.
    NewSegment { id: u32, name: String },
    /// Changes the pixels of a segment. Buffer: the pixels of a stroke, see `EditRequest`.
    Edit {
        id: u32,
        segment: u32,
        edit: EditRequest,
    },
    /// Changes what is said of a segment; what is absent stays. A lock is no step of the history.
    ChangeSegment {
        id: u32,
        segment: u32,
        name: Option<String>,
        color: Option<[u8; 3]>,
        locked: Option<bool>,
    },
    /// Takes a segment out of the document.
    DeleteSegment { id: u32, segment: u32 },
    /// Takes the last step of the history back. Not while a run is that step: `RUN-UNDER-WAY`.
    Undo { id: u32 },
    /// Brings it back.
    Redo { id: u32 },
    /// Writes the document. Answered by `exported`.
    Export {
        id: u32,
        formats: Vec<ExportFormat>,
        /// DICOM files say neither who the patient is nor when the study was.
        deidentify: bool,
    },
    /// Lays a segmentation on the open series: one of the listing (`found`), or a DICOM SEG, RT Structure Set or NIfTI
    /// label map. Buffer where `found` is absent: its `File`, `Blob` or `ArrayBuffer`. Refused with the reason where it is
    /// not of the series. Answered by `imported`.
    ImportSegmentation {
        id: u32,
        found: Option<u32>,
        into: ImportInto,
    },
    /// Compares a segment with one of the reference at one frame. Answered by `compared`.
    Compare {
        id: u32,
        segment: u32,
        /// A segment of the reference.
        reference: u32,
        frame: u32,
        /// Of `nsd`, in mm, in pixels where the series is not calibrated.
        tolerance: f64,
    },
}

/// From the worker to the page. `id` is that of the request it belongs to; 0 when to none.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum Response {
    /// Long work goes on. `fraction` is 0..1 of the whole request, absent where unknown.
    Progress {
        id: u32,
        stage: Stage,
        fraction: Option<f32>,
        /// Bytes done and in all, of the stage; only while a model is checked and placed.
        bytes: Option<[f64; 2]>,
        /// The part of the model that is being placed, by its name in the checkpoint.
        part: Option<String>,
    },
    /// The back end is ready. `why_cpu` is set when WebGPU was wanted and could not be had.
    Started {
        id: u32,
        backend: Backend,
        why_cpu: Option<Failure>,
        /// To be kept for the next visit.
        kernels: Option<String>,
        /// How the graphics processor did; absent on the CPU.
        self_test: Option<SelfTest>,
    },
    /// A model is ready.
    ModelLoaded { id: u32, model: ModelInfo },
    /// The embeddings kept.
    Cache { id: u32, cache: CacheInfo },
    /// What is in the files.
    Listed { id: u32, listing: ListingInfo },
    /// A series is open.
    SeriesOpened {
        id: u32,
        series: Box<OpenSeries>,
        document: DocumentInfo,
    },
    /// Pixels of a picture. Buffers: one, see `samples`.
    Slice {
        id: u32,
        place: PicturePlace,
        columns: u32,
        rows: u32,
        samples: Samples,
        /// Smallest and largest value, padding left out.
        minimum: f32,
        maximum: f32,
        /// The picture's own window; absent in colour.
        window: Option<WindowLevel>,
        /// Distance of rows and of columns.
        spacing_mm: Option<[f64; 2]>,
    },
    /// A small picture. Buffers: one, four bytes per pixel (red, green, blue, 255), as `ImageData` takes them.
    Thumbnail {
        id: u32,
        series: u32,
        width: u32,
        height: u32,
    },
    /// A picture of a run is done; the run goes on. Buffers: a mask per answer, a byte, 0 or 1, per pixel; none with
    /// `failure`.
    SliceSegmented {
        id: u32,
        place: PicturePlace,
        /// Pictures done, this one among them, and pictures in all.
        done: u32,
        total: u32,
        /// At the pace so far, pauses not counted.
        seconds_left: f64,
        answers: Vec<SegmentAnswer>,
        /// The picture cannot be shown and was left out.
        failure: Option<Failure>,
    },
    /// A run halted or goes on.
    RunState { id: u32, paused: bool },
    /// A run came to its end.
    SeriesSegmented {
        id: u32,
        done: u32,
        total: u32,
        seconds: f64,
        document: DocumentInfo,
    },
    /// The document.
    Document { id: u32, document: DocumentInfo },
    /// Masks on a picture, of segments that have pixels there. Buffers: one per mask, a byte, 0 or 1, per pixel.
    Masks {
        id: u32,
        place: PicturePlace,
        masks: Vec<MaskInfo>,
    },
    /// Measurements; segments without a pixel have none.
    Measured {
        id: u32,
        /// Of the document that was measured.
        version: u32,
        measurements: Vec<MeasurementInfo>,
    },
    /// Files to be saved. Buffers: one per file.
    Exported {
        id: u32,
        files: Vec<ExportedFile>,
        refused: Vec<RefusedFormat>,
    },
    /// A segmentation came in.
    Imported {
        id: u32,
        import: ImportInfo,
        document: DocumentInfo,
    },
    /// A comparison.
    Compared { id: u32, comparison: ComparisonInfo },
    /// The request was stopped by a `cancel`.
    Cancelled { id: u32 },
    /// The request failed.
    Error { id: u32, error: Failure },
}

/// What the page wants to compute on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum BackendChoice {
    /// WebGPU, or the CPU where there is none.
    Auto,
    /// WebAssembly on the CPU.
    Cpu,
}

/// What is computed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    Webgpu,
    Cpu,
}

/// What was found when the graphics processor computed known inputs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct SelfTest {
    /// Results that were compared with stored ones.
    pub checks: u32,
    /// The largest error, relative to the largest value of its result; absent where a result was no number.
    pub largest_error: Option<f32>,
    /// Set where kernels were wrong and something slower stands in for them.
    pub replaced: Option<Failure>,
}

/// What long work is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Asking for a WebGPU device.
    Device,
    /// Comparing what the graphics processor computes with stored results.
    SelfTest,
    /// Comparing the SHA-256 of each model file with the manifest.
    Verify,
    /// Placing weights on the device.
    Weights,
    /// Looking through files for series.
    List,
    /// Reading grey values under masks.
    Measure,
    /// Trunk and neck: once per picture, frame and window.
    Image,
    /// Text encoder and the rest: once per prompt.
    Prompt,
}

/// DICOM's linear window (PS3.3 C.11.2.1.2), in modality values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct WindowLevel {
    pub center: f32,
    pub width: f32,
}

/// Which mask is painted for a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum MaskRule {
    /// The model card's choice.
    Model,
    /// Union of the kept instances.
    Union,
    /// The semantic head.
    Semantic,
}

/// One value per pixel, or three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum PixelKind {
    Gray,
    Rgb,
}

/// The loaded model.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ModelInfo {
    pub name: String,
    /// "f32", "f16" or "q8".
    pub precision: String,
    /// What the weights became on the device: a device without 16-bit floats holds "f16" as "f32".
    pub held_as: String,
    pub licence: String,
    /// Side of the square that the model sees, in pixels.
    pub image_side: u32,
    /// Prompts that the model was trained on; any other text may be tried.
    pub prompts: Vec<String>,
}

/// Embeddings that are kept so that going back to a slice costs no image work.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct CacheInfo {
    pub budget_mib: u32,
    pub used_mib: f64,
    /// Slices kept, each as seen through one window.
    pub slices: u32,
}

/// What a prompt found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct PromptAnswer {
    /// Position in the request's list.
    pub index: u32,
    pub prompt: String,
    /// Set when the prompt was longer than the model reads and was cut.
    pub cut: Option<Failure>,
    /// Set when a mask is shown for words that the model was not trained on, as far as it says.
    pub unknown: Option<Failure>,
    /// Probability in 0..1 that the concept is in the picture.
    pub presence: f32,
    /// Kept instances, best first.
    pub instances: Vec<InstanceAnswer>,
    /// The best score of any instance, kept or not.
    pub best_score: f32,
    pub area_px: u32,
    /// Absent where the picture is not calibrated.
    pub area_mm2: Option<f64>,
    /// Separate regions of the mask.
    pub regions: u32,
}

/// One instance of the concept.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct InstanceAnswer {
    pub score: f32,
    /// Left, top, right, bottom in pixels of the picture.
    pub box_px: [f32; 4],
    pub area_px: u32,
}

/// A failure: a stable code, what happened, what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    pub code: String,
    pub message: String,
    pub next_step: String,
}

impl Request {
    /// The id that every answer to this request carries.
    pub fn id(&self) -> u32 {
        match self {
            Self::Start { id, .. }
            | Self::LoadModel { id, .. }
            | Self::OpenStored { id, .. }
            | Self::Cache { id, .. }
            | Self::Cancel { id, .. }
            | Self::OpenFiles { id, .. }
            | Self::OpenSeries { id, .. }
            | Self::Slice { id, .. }
            | Self::Thumbnail { id, .. }
            | Self::SegmentSeries { id, .. }
            | Self::Pause { id, .. }
            | Self::Resume { id, .. }
            | Self::Document { id }
            | Self::Masks { id, .. }
            | Self::Measure { id, .. }
            | Self::NewSegment { id, .. }
            | Self::Edit { id, .. }
            | Self::ChangeSegment { id, .. }
            | Self::DeleteSegment { id, .. }
            | Self::Undo { id }
            | Self::Redo { id }
            | Self::Export { id, .. }
            | Self::ImportSegmentation { id, .. }
            | Self::Compare { id, .. } => *id,
        }
    }
}

#[cfg(test)]
mod tests;

//! What the page and the worker say to each other. The TypeScript in `web/src/protocol.ts` is
//! generated from these types by the test below and committed.
//!
//! Binary data (files, weights, pixels, masks) never sits inside a message: it travels beside it as a
//! list of transferable buffers, and each variant says what its buffers are. No message but
//! `load-model` names a file, and none carries anything read from a picture's header but geometry.

use serde::{Deserialize, Serialize};

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
    /// Decodes a file by its content. Buffers: the file. Answered by `opened`; on an error whatever
    /// was open stays open.
    Open { id: u32 },
    /// Asks for the pixels of one frame of the open picture. Answered by `frame`.
    Frame { id: u32, frame: u32 },
    /// Segments one frame, as seen through `window` (grey pictures), by each prompt in turn.
    /// Answered by one `prompt` per prompt and a closing `segmented`.
    Segment {
        id: u32,
        /// As typed, separated by commas.
        prompts: String,
        frame: u32,
        window: Option<WindowLevel>,
        rule: MaskRule,
        /// Probability in 0..1 from which an instance is kept; the model's own when absent.
        threshold: Option<f32>,
    },
    /// Stops the request `target`, which answers `cancelled`.
    Cancel { id: u32, target: u32 },
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
    /// A picture is open.
    Opened { id: u32, picture: PictureInfo },
    /// Pixels of one frame. Buffers: one; `kind` of the picture says what is in it: `gray`, a
    /// little-endian f32 per pixel (modality values); `rgb`, three bytes per pixel.
    Frame {
        id: u32,
        frame: u32,
        minimum: f32,
        maximum: f32,
    },
    /// One prompt is answered. Buffers: one, the mask: a byte, 0 or 1, per pixel of the picture.
    Prompt { id: u32, result: PromptAnswer },
    /// All prompts of a `segment` request are answered.
    Segmented { id: u32, seconds: Seconds },
    /// The embeddings kept.
    Cache { id: u32, cache: CacheInfo },
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
    /// Reading a picture.
    Decode,
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

/// The open picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct PictureInfo {
    pub width: u32,
    pub height: u32,
    pub frames: u32,
    pub pixels: PixelKind,
    /// "DICOM", "PNG", "JPEG" or "TIFF".
    pub format: String,
    /// DICOM modality, such as "MR".
    pub modality: Option<String>,
    /// Distance between the centres of neighbouring rows and of neighbouring columns.
    pub spacing_mm: Option<[f64; 2]>,
    /// The window to show a grey picture with at first.
    pub window: Option<WindowLevel>,
    /// Small values are white (MONOCHROME1).
    pub inverted: bool,
    /// What was taken into account in reading the file, as whole sentences: where the distances come from, what was set
    /// aside.
    pub notes: Vec<String>,
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

/// Wall-clock time of the parts of a `segment` request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Seconds {
    /// Trunk and neck; 0 when the embedding was still there.
    pub image: f64,
    /// All prompts together.
    pub prompts: f64,
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
            | Self::Open { id }
            | Self::Frame { id, .. }
            | Self::Segment { id, .. }
            | Self::Cancel { id, .. } => *id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ts_rs::{Config, TS};

    fn declaration<T: TS>(config: &Config) -> String {
        let docs = T::docs().unwrap_or_default();
        format!("{docs}export {}\n", T::decl(config))
    }

    fn typescript() -> String {
        let config = Config::new().with_large_int("number");
        let parts = [
            "// Generated from crates/web/src/protocol.rs by `cargo test -p medsam3-web`. Do not edit.\n".to_owned(),
            declaration::<Request>(&config),
            declaration::<Response>(&config),
            declaration::<BackendChoice>(&config),
            declaration::<Backend>(&config),
            declaration::<SelfTest>(&config),
            declaration::<Stage>(&config),
            declaration::<WindowLevel>(&config),
            declaration::<MaskRule>(&config),
            declaration::<PixelKind>(&config),
            declaration::<PictureInfo>(&config),
            declaration::<ModelInfo>(&config),
            declaration::<CacheInfo>(&config),
            declaration::<PromptAnswer>(&config),
            declaration::<InstanceAnswer>(&config),
            declaration::<Seconds>(&config),
            declaration::<Failure>(&config),
        ];
        parts.join("\n")
    }

    /// The page compiles against a committed file; this writes it anew and fails when it was stale.
    #[test]
    fn typescript_is_up_to_date() {
        let path =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/src/protocol.ts");
        let wanted = typescript();
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        if found != wanted {
            std::fs::write(&path, wanted).unwrap();
            panic!("web/src/protocol.ts was stale; it has been written anew: commit it");
        }
    }

    #[test]
    fn requests_read_as_the_page_writes_them() {
        let text = r#"{"kind":"segment","id":7,"prompts":"lungs, heart","frame":0,
            "window":{"center":40,"width":400},"rule":"model","threshold":null}"#;
        let request: Request = serde_json::from_str(text).unwrap();
        assert_eq!(request.id(), 7);
        let Request::Segment { window, rule, .. } = request else {
            panic!("not a segment request")
        };
        assert_eq!(
            window,
            Some(WindowLevel {
                center: 40.0,
                width: 400.0
            })
        );
        assert_eq!(rule, MaskRule::Model);
    }

    #[test]
    fn responses_write_as_the_page_reads_them() {
        let response = Response::Error {
            id: 3,
            error: Failure {
                code: "DICOM-TRUNCATED".into(),
                message: "The file ends too early.".into(),
                next_step: "Copy it again.".into(),
            },
        };
        let value = serde_json::to_value(response).unwrap();
        assert_eq!(value["kind"], "error");
        assert_eq!(value["error"]["nextStep"], "Copy it again.");
    }
}

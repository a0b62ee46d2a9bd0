// Generated from crates/web/src/protocol.rs by `cargo test -p medsam3-web`. Do not edit.

/**
 * From the page to the worker. Every request has an id of the page's choosing.
 */
export type Request = { "kind": "start", id: number, backend: BackendChoice, 
/**
 * What `started` gave on an earlier visit: which variants of the kernels win on this adapter.
 */
kernels: string | null, } | { "kind": "load-model", id: number, files: Array<string>, 
/**
 * Side in pixels of the square that the model sees; the model's own when absent.
 */
imageSide: number | null, } | { "kind": "open-stored", id: number, model: string, 
/**
 * As in `load-model`.
 */
imageSide: number | null, } | { "kind": "cache", id: number, budgetMib: number | null, } | { "kind": "open", id: number, } | { "kind": "frame", id: number, frame: number, } | { "kind": "segment", id: number, 
/**
 * As typed, separated by commas.
 */
prompts: string, frame: number, window: WindowLevel | null, rule: MaskRule, 
/**
 * Probability in 0..1 from which an instance is kept; the model's own when absent.
 */
threshold: number | null, } | { "kind": "cancel", id: number, target: number, };

/**
 * From the worker to the page. `id` is that of the request it belongs to; 0 when to none.
 */
export type Response = { "kind": "progress", id: number, stage: Stage, fraction: number | null, 
/**
 * Bytes done and in all, of the stage; only while a model is checked and placed.
 */
bytes: [number, number] | null, 
/**
 * The part of the model that is being placed, by its name in the checkpoint.
 */
part: string | null, } | { "kind": "started", id: number, backend: Backend, whyCpu: Failure | null, 
/**
 * To be kept for the next visit.
 */
kernels: string | null, 
/**
 * How the graphics processor did; absent on the CPU.
 */
selfTest: SelfTest | null, } | { "kind": "model-loaded", id: number, model: ModelInfo, } | { "kind": "opened", id: number, picture: PictureInfo, } | { "kind": "frame", id: number, frame: number, minimum: number, maximum: number, } | { "kind": "prompt", id: number, result: PromptAnswer, } | { "kind": "segmented", id: number, seconds: Seconds, } | { "kind": "cache", id: number, cache: CacheInfo, } | { "kind": "cancelled", id: number, } | { "kind": "error", id: number, error: Failure, };

/**
 * What the page wants to compute on.
 */
export type BackendChoice = "auto" | "cpu";

/**
 * What is computed on.
 */
export type Backend = "webgpu" | "cpu";

/**
 * What was found when the graphics processor computed known inputs.
 */
export type SelfTest = { 
/**
 * Results that were compared with stored ones.
 */
checks: number, 
/**
 * The largest error, relative to the largest value of its result; absent where a result was no number.
 */
largestError: number | null, 
/**
 * Set where kernels were wrong and something slower stands in for them.
 */
replaced: Failure | null, };

/**
 * What long work is doing.
 */
export type Stage = "device" | "self-test" | "verify" | "weights" | "decode" | "image" | "prompt";

/**
 * DICOM's linear window (PS3.3 C.11.2.1.2), in modality values.
 */
export type WindowLevel = { center: number, width: number, };

/**
 * Which mask is painted for a prompt.
 */
export type MaskRule = "model" | "union" | "semantic";

/**
 * One value per pixel, or three.
 */
export type PixelKind = "gray" | "rgb";

/**
 * The open picture.
 */
export type PictureInfo = { width: number, height: number, frames: number, pixels: PixelKind, 
/**
 * "DICOM", "PNG", "JPEG" or "TIFF".
 */
format: string, 
/**
 * DICOM modality, such as "MR".
 */
modality: string | null, 
/**
 * Distance between the centres of neighbouring rows and of neighbouring columns.
 */
spacingMm: [number, number] | null, 
/**
 * The window to show a grey picture with at first.
 */
window: WindowLevel | null, 
/**
 * Small values are white (MONOCHROME1).
 */
inverted: boolean, 
/**
 * What was taken into account in reading the file, as whole sentences: where the distances come from, what was set
 * aside.
 */
notes: Array<string>, };

/**
 * The loaded model.
 */
export type ModelInfo = { name: string, 
/**
 * "f32", "f16" or "q8".
 */
precision: string, 
/**
 * What the weights became on the device: a device without 16-bit floats holds "f16" as "f32".
 */
heldAs: string, licence: string, 
/**
 * Side of the square that the model sees, in pixels.
 */
imageSide: number, 
/**
 * Prompts that the model was trained on; any other text may be tried.
 */
prompts: Array<string>, };

/**
 * Embeddings that are kept so that going back to a slice costs no image work.
 */
export type CacheInfo = { budgetMib: number, usedMib: number, 
/**
 * Slices kept, each as seen through one window.
 */
slices: number, };

/**
 * What a prompt found.
 */
export type PromptAnswer = { 
/**
 * Position in the request's list.
 */
index: number, prompt: string, 
/**
 * Set when the prompt was longer than the model reads and was cut.
 */
cut: Failure | null, 
/**
 * Set when a mask is shown for words that the model was not trained on, as far as it says.
 */
unknown: Failure | null, 
/**
 * Probability in 0..1 that the concept is in the picture.
 */
presence: number, 
/**
 * Kept instances, best first.
 */
instances: Array<InstanceAnswer>, 
/**
 * The best score of any instance, kept or not.
 */
bestScore: number, areaPx: number, 
/**
 * Absent where the picture is not calibrated.
 */
areaMm2: number | null, 
/**
 * Separate regions of the mask.
 */
regions: number, };

/**
 * One instance of the concept.
 */
export type InstanceAnswer = { score: number, 
/**
 * Left, top, right, bottom in pixels of the picture.
 */
boxPx: [number, number, number, number], areaPx: number, };

/**
 * Wall-clock time of the parts of a `segment` request.
 */
export type Seconds = { 
/**
 * Trunk and neck; 0 when the embedding was still there.
 */
image: number, 
/**
 * All prompts together.
 */
prompts: number, };

/**
 * A failure: a stable code, what happened, what to do.
 */
export type Failure = { code: string, message: string, nextStep: string, };

// Generated from crates/web/src/protocol by `cargo test -p medsam3-web`. Do not edit.

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
imageSide: number | null, } | { "kind": "cache", id: number, budgetMib: number | null, } | { "kind": "cancel", id: number, target: number, } | { "kind": "open-files", id: number, names: Array<string>, } | { "kind": "open-series", id: number, series: number, } | { "kind": "slice", id: number, slice: number, frame: number, 
/**
 * 16-bit integers where they hold all values of the picture.
 */
compact: boolean, } | { "kind": "thumbnail", id: number, series: number, 
/**
 * Pixels of its longer side.
 */
side: number, } | { "kind": "segment-series", id: number, prompts: Array<string>, scope: Scope, 
/**
 * The picture in view.
 */
at: PicturePlace, 
/**
 * Each picture's own window when absent.
 */
window: WindowLevel | null, rule: MaskRule, 
/**
 * Probability in 0..1 from which an instance is kept; the model's own when absent.
 */
threshold: number | null, 
/**
 * Probability in 0..1 from which a pixel is inside; the model's own when absent.
 */
maskThreshold: number | null, onProtected: OnProtected, } | { "kind": "pause", id: number, target: number, } | { "kind": "resume", id: number, target: number, } | { "kind": "document", id: number, } | { "kind": "masks", id: number, slice: number, frame: number, 
/**
 * Of all segments when absent.
 */
segments: Array<number> | null, 
/**
 * Of the reference and not of the document.
 */
reference: boolean, } | { "kind": "measure", id: number, 
/**
 * All when absent.
 */
segments: Array<number> | null, } | { "kind": "new-segment", id: number, name: string, } | { "kind": "edit", id: number, segment: number, edit: EditRequest, } | { "kind": "change-segment", id: number, segment: number, name: string | null, color: [number, number, number] | null, locked: boolean | null, } | { "kind": "delete-segment", id: number, segment: number, } | { "kind": "undo", id: number, } | { "kind": "redo", id: number, } | { "kind": "export", id: number, formats: Array<ExportFormat>, 
/**
 * DICOM files say neither who the patient is nor when the study was.
 */
deidentify: boolean, } | { "kind": "import-segmentation", id: number, found: number | null, into: ImportInto, } | { "kind": "compare", id: number, segment: number, 
/**
 * A segment of the reference.
 */
reference: number, frame: number, 
/**
 * Of `nsd`, in mm, in pixels where the series is not calibrated.
 */
tolerance: number, };

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
selfTest: SelfTest | null, } | { "kind": "model-loaded", id: number, model: ModelInfo, } | { "kind": "cache", id: number, cache: CacheInfo, } | { "kind": "listed", id: number, listing: ListingInfo, } | { "kind": "series-opened", id: number, series: OpenSeries, document: DocumentInfo, } | { "kind": "slice", id: number, place: PicturePlace, columns: number, rows: number, samples: Samples, 
/**
 * Smallest and largest value, padding left out.
 */
minimum: number, maximum: number, 
/**
 * The picture's own window; absent in colour.
 */
window: WindowLevel | null, 
/**
 * Distance of rows and of columns.
 */
spacingMm: [number, number] | null, } | { "kind": "thumbnail", id: number, series: number, width: number, height: number, } | { "kind": "slice-segmented", id: number, place: PicturePlace, 
/**
 * Pictures done, this one among them, and pictures in all.
 */
done: number, total: number, 
/**
 * At the pace so far, pauses not counted.
 */
secondsLeft: number, answers: Array<SegmentAnswer>, 
/**
 * The picture cannot be shown and was left out.
 */
failure: Failure | null, } | { "kind": "run-state", id: number, paused: boolean, } | { "kind": "series-segmented", id: number, done: number, total: number, seconds: number, document: DocumentInfo, } | { "kind": "document", id: number, document: DocumentInfo, } | { "kind": "masks", id: number, place: PicturePlace, masks: Array<MaskInfo>, } | { "kind": "measured", id: number, 
/**
 * Of the document that was measured.
 */
version: number, measurements: Array<MeasurementInfo>, } | { "kind": "exported", id: number, files: Array<ExportedFile>, refused: Array<RefusedFormat>, } | { "kind": "imported", id: number, import: ImportInfo, document: DocumentInfo, } | { "kind": "compared", id: number, comparison: ComparisonInfo, } | { "kind": "cancelled", id: number, } | { "kind": "error", id: number, error: Failure, };

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
export type Stage = "device" | "self-test" | "verify" | "weights" | "list" | "measure" | "image" | "prompt";

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
 * A failure: a stable code, what happened, what to do.
 */
export type Failure = { code: string, message: string, nextStep: string, };

/**
 * What was found in the files that were handed over.
 */
export type ListingInfo = { 
/**
 * In the order in which their first files were found.
 */
series: Array<SeriesInfo>, 
/**
 * Objects that are no pictures and may be laid on a series with `import-segmentation`.
 */
segmentations: Array<FoundSegmentation>, 
/**
 * DICOM objects that are neither: reports, presentation states, the directory of a disc.
 */
others: number, 
/**
 * Images that are damaged or of a kind that is not read, by their reason.
 */
failures: Array<CountedFailure>, 
/**
 * Files that are no images at all.
 */
skipped: number, 
/**
 * Files looked at, those in archives among them.
 */
files: number, };

/**
 * A reason and how many files it holds for.
 */
export type CountedFailure = { count: number, failure: Failure, };

/**
 * A segmentation among the files.
 */
export type FoundSegmentation = { 
/**
 * What `import-segmentation` calls it.
 */
index: number, 
/**
 * DICOM modality: "SEG" or "RTSTRUCT".
 */
modality: string, };

/**
 * One series of the listing. Nothing in it names a person, a file or a place.
 */
export type SeriesInfo = { 
/**
 * What `open-series` and `thumbnail` call it.
 */
index: number, 
/**
 * "image", "stack", "volume" or "cine".
 */
kind: SeriesKind, 
/**
 * "DICOM", "NIfTI", "PNG", "JPEG" or "TIFF".
 */
format: string, 
/**
 * DICOM modality, such as "MR".
 */
modality: string | null, 
/**
 * Series Number (0020,0011).
 */
number: number | null, 
/**
 * Modality and number, such as "CT 3"; the format where there is no modality.
 */
label: string, rows: number, columns: number, 
/**
 * Slice positions; pictures, where they have none.
 */
slices: number, 
/**
 * Pictures per slice position; of a cine its frames.
 */
frames: number, 
/**
 * Between columns, rows and slices; absent where even the size of a pixel is unknown.
 */
spacingMm: [number | null, number | null, number | null] | null, 
/**
 * Lengths and areas can be measured in mm.
 */
calibrated: boolean, 
/**
 * Stable codes, such as "gap", "tilt", "no-spacing", "burned-in-text".
 */
problems: Array<string>, 
/**
 * Why its pictures make no volume, as the end of a sentence; absent for a volume and for a single picture.
 */
noVolume: string | null, 
/**
 * Windows by name, for its modality; their values are HU.
 */
windows: Array<NamedWindow>, };

/**
 * What the pictures of a series make together.
 */
export type SeriesKind = "image" | "stack" | "volume" | "cine";

/**
 * A window that has a name.
 */
export type NamedWindow = { 
/**
 * Such as "lung"; the page translates it.
 */
name: string, center: number, width: number, };

/**
 * A series that is open, with what its viewer needs.
 */
export type OpenSeries = { info: SeriesInfo, pixels: PixelKind, 
/**
 * The window to show grey pictures with at first.
 */
window: WindowLevel | null, 
/**
 * Small values are white (MONOCHROME1).
 */
inverted: boolean, 
/**
 * Voxel (column, row, slice) to patient, four rows of four; the slice index of a picture is that of its `gridIndex`.
 */
affine: [[number, number, number, number], [number, number, number, number], [number, number, number, number], [number, number, number, number]] | null, 
/**
 * One per slice, in the order of the slices.
 */
planes: Array<SlicePlane>, 
/**
 * Names the patient's axes apart from those of others: series of one number lie in one space. Absent where unknown.
 */
frameOfReference: number | null, 
/**
 * What was taken into account in reading the first picture, as whole sentences.
 */
notes: Array<string>, };

/**
 * Where a slice lies.
 */
export type SlicePlane = { 
/**
 * Centre of the first pixel.
 */
position: [number, number, number] | null, 
/**
 * Directions in which columns and rows are counted, of length 1.
 */
orientation: [[number, number, number], [number, number, number]] | null, 
/**
 * Which side of the patient is at the left, right, top and bottom edge: "R", "L", "A", "P", "H", "F", several letters
 * where it is oblique, the nearest first. Absent where the place in the patient is unknown.
 */
edges: [string, string, string, string] | null, 
/**
 * Along the normal from the first slice.
 */
distanceMm: number | null, 
/**
 * Its index on the grid of the affine; differs from its number where slices are missing.
 */
gridIndex: number | null, };

/**
 * How the values of a picture are sent.
 */
export type Samples = "i16" | "f32" | "rgb8";

/**
 * Which picture of a series.
 */
export type PicturePlace = { slice: number, 
/**
 * Picture at that position: time, echo; of a cine the frame.
 */
frame: number, };

/**
 * Which pictures a run is over. Of a cine the frames are what slices are of a volume.
 */
export type Scope = { "kind": "slice" } | { "kind": "range", first: number, last: number, } | { "kind": "all" };

/**
 * What becomes of a segment of the same prompt that is locked, or that a person corrected.
 */
export type OnProtected = "refuse" | "add" | "replace";

/**
 * What a prompt found on one picture of a run.
 */
export type SegmentAnswer = { 
/**
 * The segment that the mask went into; absent where that one was deleted meanwhile.
 */
segment: number | null, 
/**
 * The mask was not taken: a person changed the segment here since the run began, or locked it.
 */
leftAlone: boolean, answer: PromptAnswer, };

/**
 * The document after a change, or when it is asked for.
 */
export type DocumentInfo = { 
/**
 * Grows with every change.
 */
version: number, 
/**
 * In the order of their numbers in exports.
 */
segments: Array<SegmentInfo>, 
/**
 * What `undo` would take back; absent where there is nothing.
 */
undo: StepInfo | null, 
/**
 * What `redo` would bring back.
 */
redo: StepInfo | null, 
/**
 * Pictures whose masks differ from those before the request; empty when nothing was asked to change.
 */
changed: Array<ChangedMask>, };

/**
 * A mask that changed.
 */
export type ChangedMask = { segment: number, slice: number, frame: number, };

/**
 * A step of the history.
 */
export type StepInfo = { what: StepKind, 
/**
 * Name of the segment that it is about, where it is about one.
 */
name: string | null, };

/**
 * What a step of the history did.
 */
export type StepKind = "run" | "paint" | "erase" | "fill-holes" | "remove-islands" | "keep-largest" | "interpolate" | "union" | "difference" | "new-segment" | "change" | "delete" | "import";

/**
 * One segment. What needs no pixels is measured here; `measure` gives the rest.
 */
export type SegmentInfo = { 
/**
 * Stays the same as long as the series is listed; no other segment ever has it.
 */
id: number, name: string, 
/**
 * Red, green, blue.
 */
color: [number, number, number], 
/**
 * What it is, in SNOMED CT.
 */
code: CodeInfo, origin: OriginInfo, 
/**
 * No edit and no run changes it.
 */
locked: boolean, 
/**
 * Slices with a mask, over all frames, in order.
 */
slices: Array<PicturePlace>, 
/**
 * Pixels of all of them.
 */
voxels: number, 
/**
 * At the first frame with a mask; absent where the spacing or the distance of slices is not known.
 */
volumeMl: number | null, };

/**
 * A code with its meaning.
 */
export type CodeInfo = { value: string, 
/**
 * "SCT".
 */
scheme: string, meaning: string, 
/**
 * The side: "Left", "Right".
 */
modifier: string | null, 
/**
 * Whether the code says what the name says; else it is the general one.
 */
known: boolean, };

/**
 * Who made a segment, and how.
 */
export type OriginInfo = { method: MethodInfo, model: string | null, 
/**
 * SHA-256 of the weights.
 */
modelVersion: string | null, prompt: string | null, threshold: number | null, maskThreshold: number | null, window: WindowLevel | null, 
/**
 * The best score of any picture.
 */
score: number | null, };

/**
 * How much of a segment a person did.
 */
export type MethodInfo = "automatic" | "semiautomatic" | "manual";

/**
 * A mask on one picture, without its pixels.
 */
export type MaskInfo = { segment: number, pixels: number, 
/**
 * Absent where the series is not calibrated.
 */
areaMm2: number | null, };

/**
 * A segment at one frame, measured.
 */
export type MeasurementInfo = { segment: number, frame: number, voxels: number, volumeMl: number | null, 
/**
 * Absent in colour.
 */
statistics: StatisticsInfo | null, slices: Array<SliceMeasurementInfo>, 
/**
 * Index in `slices` of the one with the largest diameter.
 */
largest: number, 
/**
 * Mean place in the patient.
 */
centroidMm: [number, number, number] | null, 
/**
 * First and last column, row and slice.
 */
boundingBox: [[number, number], [number, number], [number, number]], 
/**
 * Pieces that hang together by faces, edges or corners.
 */
components: number, 
/**
 * Stable codes: "not-calibrated", "no-volume", "touches-first-slice", "touches-last-slice", "touches-image-edge",
 * "missing-slices".
 */
warnings: Array<string>, };

/**
 * Grey values within a mask.
 */
export type StatisticsInfo = { mean: number, 
/**
 * Standard deviation.
 */
sd: number, min: number, max: number, 
/**
 * "HU" for CT, else "value".
 */
unit: string, };

/**
 * One picture of a measured segment.
 */
export type SliceMeasurementInfo = { slice: number, pixels: number, areaMm2: number | null, 
/**
 * Largest diameter and extent at right angles to it, in pixels.
 */
axesPx: [number, number], 
/**
 * The same in mm.
 */
axesMm: [number, number] | null, };

/**
 * A change of the pixels of a segment. Pixels that are sent are bytes, 0 or not, row by row.
 */
export type EditRequest = { "kind": "paint", slice: number, frame: number, patch: PatchBox, } | { "kind": "erase", slice: number, frame: number, patch: PatchBox, } | { "kind": "fill-holes" } | { "kind": "remove-islands", least: number, } | { "kind": "keep-largest" } | { "kind": "interpolate" } | { "kind": "union", other: number, } | { "kind": "difference", other: number, };

/**
 * A part of a picture in pixels.
 */
export type PatchBox = { left: number, top: number, width: number, height: number, };

/**
 * What can be written.
 */
export type ExportFormat = "png" | "nifti" | "nifti-labelmap" | "seg" | "seg-labelmap" | "rtstruct" | "csv" | "json";

/**
 * A file that was made; its bytes travel beside it.
 */
export type ExportedFile = { format: ExportFormat, 
/**
 * Without anything of the files or of the patient in it.
 */
name: string, 
/**
 * MIME type.
 */
mediaType: string, };

/**
 * A format that could not be written, and why.
 */
export type RefusedFormat = { format: ExportFormat, failure: Failure, };

/**
 * Where an imported segmentation goes.
 */
export type ImportInto = "document" | "reference";

/**
 * What was imported.
 */
export type ImportInfo = { 
/**
 * The segments that came in: of the document, or of the reference.
 */
segments: Array<SegmentInfo>, 
/**
 * Frames or contours that lie on none of the series' pictures, and were left out.
 */
leftOut: number, };

/**
 * A segment against a segment of the reference.
 */
export type ComparisonInfo = { dice: number, iou: number, 
/**
 * Absent where one of them is empty.
 */
hd95: number | null, 
/**
 * Share of both surfaces within `tolerance` of each other.
 */
nsd: number | null, tolerance: number, 
/**
 * "mm", or "px" where the series is not calibrated.
 */
unit: string, 
/**
 * Voxels of the segment, of the reference and of both.
 */
voxels: [number, number, number], };

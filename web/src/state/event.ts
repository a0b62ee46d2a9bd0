// Everything that can change the state of the page: what the user did, what the engine said, what the store said.
// An answer carries the ticket of its request, or the launch of the engine that gave it.
import type { Backend, CacheInfo, DocumentInfo, Failure, ListingInfo, ModelInfo, OpenSeries, PicturePlace, SegmentAnswer, SelfTest, WindowLevel } from '../protocol';
import type { Attribution, Drawn, ExportDialog, Mask, Models, Pace, ScopeChoice, Step, Thumbnail, Transfer } from './state';

export type PageEvent =
  // The engine.
  | { kind: 'launched'; launch: number; why: 'start' | 'model' | 'crash' | 'cancel' | 'retry' }
  | { kind: 'engine-step'; launch: number; step: Step }
  | { kind: 'engine-started'; launch: number; backend: Backend; whyCpu: Failure | null; selfTest: SelfTest | null }
  | { kind: 'model-loaded'; launch: number; model: ModelInfo }
  | { kind: 'launch-failed'; launch: number; failure: Failure }
  | { kind: 'crashed'; launch: number; failure: Failure }
  // Opening.
  | { kind: 'open-asked'; ticket: number }
  | { kind: 'listed'; ticket: number; info: ListingInfo; faults: ReadonlyMap<number, Failure> }
  | { kind: 'thumbnail-made'; ticket: number; series: number; thumbnail: Thumbnail }
  | { kind: 'opened'; ticket: number; series: OpenSeries; document: DocumentInfo; sample: (Attribution & { id: string; prompts: string }) | null }
  | { kind: 'open-ended'; ticket: number; failure: Failure | null }
  // Segmenting.
  | { kind: 'run-asked'; ticket: number }
  | { kind: 'work-step'; ticket: number; step: Step }
  | { kind: 'slice-answered'; ticket: number; place: PicturePlace; pace: Pace; answers: readonly SegmentAnswer[]; masks: readonly Uint8Array[] }
  | { kind: 'run-paused'; ticket: number; paused: boolean }
  | { kind: 'cancel-asked' }
  | { kind: 'run-ended'; ticket: number; failure: Failure | null }
  // The document of the series that `ticket` opened.
  | { kind: 'document-told'; ticket: number; document: DocumentInfo }
  /** A new engine has it again, under new ids. */
  | { kind: 'document-restored'; ticket: number; document: DocumentInfo; ids: ReadonlyMap<number, number> }
  | { kind: 'masks-told'; ticket: number; place: PicturePlace; masks: ReadonlyMap<number, Mask> }
  // Looking.
  | { kind: 'place-chosen'; place: PicturePlace }
  | { kind: 'picture-drawn'; ticket: number; place: PicturePlace; result: Drawn | Failure }
  | { kind: 'window-chosen'; window: WindowLevel }
  | { kind: 'segment-shown'; segment: number; visible: boolean }
  | { kind: 'masks-hidden'; hidden: boolean }
  | { kind: 'opacity-chosen'; opacity: number }
  // What the next run is to do.
  | { kind: 'prompts-typed'; prompts: string }
  | { kind: 'scope-chosen'; scope: Partial<ScopeChoice> }
  | { kind: 'confidence-chosen'; confidence: number | null }
  | { kind: 'mask-threshold-chosen'; maskThreshold: number | null }
  // Saving.
  | { kind: 'export-changed'; exporting: Partial<ExportDialog> }
  | { kind: 'export-asked'; ticket: number }
  | { kind: 'export-ended'; ticket: number; refused: ExportDialog['refused']; saved: number; failure: Failure | null }
  // Messages.
  | { kind: 'failed'; failure: Failure }
  | { kind: 'noticed'; failure: Failure }
  | { kind: 'dismissed'; code: string }
  | { kind: 'errors-cleared' }
  // The rest of the page.
  | { kind: 'samples-listed'; samples: readonly { id: string; title: string }[] }
  | { kind: 'cache-told'; cache: CacheInfo }
  | { kind: 'models-changed'; models: Partial<Models> }
  | { kind: 'transfer-advanced'; transfer: Transfer | null }
  | { kind: 'help-shown'; open: boolean }
  | { kind: 'single-keys-chosen'; on: boolean };

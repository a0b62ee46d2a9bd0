// Everything that can change the state of the page: what the user did, what the engine said, what the store said.
// An answer carries the ticket of its request, or the launch of the engine that gave it.
import type { Backend, CacheInfo, Failure, ModelInfo, PictureInfo, SelfTest, WindowLevel } from '../protocol';
import type { Attribution, Models, Shown, Step, Transfer } from './state';

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
  | { kind: 'queued'; count: number; at: number }
  | { kind: 'opened'; ticket: number; picture: PictureInfo; sample: (Attribution & { id: string; prompts: string }) | null }
  | { kind: 'open-ended'; ticket: number; failure: Failure | null }
  // Segmenting.
  | { kind: 'run-asked'; ticket: number }
  | { kind: 'work-step'; ticket: number; step: Step }
  | { kind: 'prompt-answered'; ticket: number; shown: Shown }
  | { kind: 'cancel-asked' }
  | { kind: 'run-ended'; ticket: number; failure: Failure | null }
  // Looking.
  | { kind: 'frame-chosen'; frame: number }
  | { kind: 'frame-drawn'; ticket: number; frame: number; failure: Failure | null }
  | { kind: 'window-chosen'; window: WindowLevel }
  | { kind: 'mask-shown'; index: number; visible: boolean }
  | { kind: 'masks-hidden'; hidden: boolean }
  | { kind: 'opacity-chosen'; opacity: number }
  | { kind: 'prompts-typed'; prompts: string }
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

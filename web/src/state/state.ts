// The state of the page: everything that its views show. Two unions say what is going on, side by side because both can
// be: what the engine is (`Engine`) and what it was asked for (`Work`). Nothing in here is ever changed in place.
import type { Machine } from '../capability/machine';
import type { Backend, CacheInfo, Failure, ModelInfo, PictureInfo, PromptAnswer, SelfTest, Stage, WindowLevel } from '../protocol';
import type { Inventory } from '../store/list';
import type { Offer } from '../store/offers';

/** What long work is at, and how much of it is done (0..1) where that is known. */
export interface Step {
  stage: Stage | 'starting' | 'download';
  fraction: number | null;
}

/** The engine with its model. */
export type Engine =
  /** On its way for the first time, or with another model. */
  | { kind: 'starting'; step: Step }
  | { kind: 'ready' }
  /** It crashed or was ended, and is coming back with the model and the picture that it had. */
  | { kind: 'restarting'; step: Step }
  /** No prompt can be answered. Where the worker runs, pictures can be opened all the same. */
  | { kind: 'failed' };

/** What was asked for. `ticket` tells its answers from those of earlier requests. */
export type Work =
  | { kind: 'idle' }
  | { kind: 'opening'; ticket: number; step: Step }
  | { kind: 'running'; ticket: number; frame: number; step: Step }
  | { kind: 'cancelling'; ticket: number; frame: number };

/** An answered prompt. */
export interface Shown {
  answer: PromptAnswer;
  /** A byte per pixel, 0 or 1. */
  mask: Uint8Array;
  visible: boolean;
}

/** Where a sample case comes from. */
export interface Attribution {
  attribution: string;
  licence: string;
  source: string;
}

/** The picture in view and what was found in it. */
export interface Open {
  /** The request that opened it: results of another one are not its. */
  ticket: number;
  picture: PictureInfo;
  frame: number;
  window: WindowLevel | null;
  /** Why the frame that was chosen is not on screen. */
  fault: Failure | null;
  /** By frame. */
  results: ReadonlyMap<number, readonly Shown[]>;
  sample: Attribution | null;
}

/** Several files that were chosen at once: the place of the one that was asked for last, and whether it opened. */
export interface Queue {
  count: number;
  at: number;
  failed: boolean;
}

/** A message of the alert region. Of errors there is at most one. */
export interface Alert {
  kind: 'error' | 'notice';
  failure: Failure;
}

/** A download or an import under way; `null` fields until they are known. */
export interface Transfer {
  model: string | null;
  presentBytes: number | null;
  totalBytes: number;
  bytesPerSecond: number | null;
  secondsLeft: number | null;
}

/** What the panel "Model" shows. */
export interface Models {
  machine: Machine;
  inventory: Inventory;
  offers: readonly Offer[];
  /** Id of the stored model in use; `null` for the built-in one. */
  inUse: string | null;
  /** The image side that the user chose; `null` for the automatic choice. */
  side: number | null;
  /** The browser promised to keep what is stored. */
  isPersistent: boolean;
  /** Another model is being loaded. */
  changing: boolean;
  transfer: Transfer | null;
  said: 'paused' | 'whole' | 'deleted' | null;
}

export interface PageState {
  engine: Engine;
  /** Counts starts of the engine: what an earlier one still says is not true any more. */
  launch: number;
  backend: Backend | null;
  selfTest: SelfTest | null;
  /** The model that answers, or that answered before a restart. */
  model: ModelInfo | null;
  work: Work;
  open: Open | null;
  queue: Queue | null;
  prompts: string;
  /** What a sample case put into the prompt field: the next one may replace it. */
  suggested: string;
  /** 0 hides the masks, 1 hides the picture below them. */
  opacity: number;
  masksHidden: boolean;
  alerts: readonly Alert[];
  samples: readonly { id: string; title: string }[];
  /** The sample case in view. */
  sample: string | null;
  cache: CacheInfo | null;
  models: Models;
  helpOpen: boolean;
  /** Keys without a modifier act. */
  singleKeys: boolean;
}

export const initial: PageState = {
  engine: { kind: 'starting', step: { stage: 'starting', fraction: null } },
  launch: 0,
  backend: null,
  selfTest: null,
  model: null,
  work: { kind: 'idle' },
  open: null,
  queue: null,
  prompts: '',
  suggested: '',
  opacity: 0.45,
  masksHidden: false,
  alerts: [],
  samples: [],
  sample: null,
  cache: null,
  models: {
    machine: { gpu: undefined, memoryGib: undefined },
    inventory: { models: [], room: { usage: 0, quota: 0 } },
    offers: [],
    inUse: null,
    side: null,
    isPersistent: false,
    changing: false,
    transfer: null,
    said: null,
  },
  helpOpen: false,
  singleKeys: true,
};

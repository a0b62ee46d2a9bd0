// The state of the page: everything that its views show. Two unions say what is going on, side by side because both can
// be: what the engine is (`Engine`) and what it was asked for (`Work`). Nothing in here is ever changed in place.
import type { Machine } from '../capability/machine';
import type { Backend, CacheInfo, DocumentInfo, ExportFormat, Failure, ListingInfo, ModelInfo, OpenSeries, PicturePlace, PromptAnswer, SelfTest, Stage, WindowLevel } from '../protocol';
import type { Inventory } from '../store/list';
import type { Offer } from '../store/offers';

/** What long work is at, and how much of it is done (0..1) where that is known. */
export interface Step {
  stage: Stage | 'starting' | 'download' | 'decode';
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

/** How far a run over a series is. */
export interface Pace {
  done: number;
  total: number;
  /** Absent until the first picture is done. */
  secondsLeft: number | null;
}

/** What was asked for. `ticket` tells its answers from those of earlier requests. */
export type Work =
  | { kind: 'idle' }
  | { kind: 'opening'; ticket: number; step: Step }
  | { kind: 'running'; ticket: number; step: Step; pace: Pace | null; paused: boolean }
  | { kind: 'cancelling'; ticket: number }
  | { kind: 'exporting'; ticket: number };

/** The mask of a segment on one picture. */
export interface Mask {
  /** A byte per pixel, 0 or 1. */
  bytes: Uint8Array;
  pixels: number;
  areaMm2: number | null;
}

/** A picture of the series as a key: its slice and its frame. */
export type PlaceKey = `${number}/${number}`;

export const keyOf = ({ slice, frame }: PicturePlace): PlaceKey => `${slice}/${frame}`;

/** Where a sample case comes from. */
export interface Attribution {
  attribution: string;
  licence: string;
  source: string;
}

/** The picture that is drawn. */
export interface Drawn {
  columns: number;
  rows: number;
  spacingMm: [number, number] | null;
}

/** The series in view and what was found in it. */
export interface Open {
  /** The request that opened it: results of another one are not its. */
  ticket: number;
  series: OpenSeries;
  place: PicturePlace;
  /** Absent until the first picture is drawn. */
  drawn: Drawn | null;
  window: WindowLevel | null;
  /** Why the picture that was chosen is not on screen. */
  fault: Failure | null;
  document: DocumentInfo;
  /** What the model said, by picture and segment. */
  answers: ReadonlyMap<PlaceKey, ReadonlyMap<number, PromptAnswer>>;
  /** By picture and segment, of the pictures that were looked at last. Of a picture that is listed all masks are there. */
  masks: ReadonlyMap<PlaceKey, ReadonlyMap<number, Mask>>;
  /** Segments whose masks are not painted. */
  hidden: ReadonlySet<number>;
  sample: Attribution | null;
}

/** The series that were found in the files opened last. */
export interface Listing {
  ticket: number;
  info: ListingInfo;
  thumbnails: ReadonlyMap<number, Thumbnail>;
  /** Why a series could not be opened, where that was tried. */
  faults: ReadonlyMap<number, Failure>;
}

/** RGBA, row by row. */
export interface Thumbnail {
  width: number;
  height: number;
  pixels: Uint8ClampedArray<ArrayBuffer>;
}

/** What a run is over. `first` and `last` count from 0 and matter for a range alone. */
export interface ScopeChoice {
  kind: 'slice' | 'range' | 'all';
  first: number;
  last: number;
}

/** The dialog "Export". */
export interface ExportDialog {
  isOpen: boolean;
  formats: readonly ExportFormat[];
  /** Files say neither who the patient is nor when the study was. */
  deidentify: boolean;
  /** What could not be written, and why. */
  refused: readonly { format: ExportFormat; failure: Failure }[];
  /** Files saved by the last "Save". */
  saved: number;
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
  listing: Listing | null;
  prompts: string;
  /** What a sample case put into the prompt field: the next one may replace it. */
  suggested: string;
  scope: ScopeChoice;
  /** Score in 0..1 from which an instance is kept; `null` for the model's own. */
  confidence: number | null;
  /** Probability in 0..1 from which a pixel is inside; `null` for the model's own. */
  maskThreshold: number | null;
  /** 0 hides the masks, 1 hides the picture below them. */
  opacity: number;
  masksHidden: boolean;
  alerts: readonly Alert[];
  samples: readonly { id: string; title: string }[];
  /** The sample case in view. */
  sample: string | null;
  cache: CacheInfo | null;
  models: Models;
  exporting: ExportDialog;
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
  listing: null,
  prompts: '',
  suggested: '',
  scope: { kind: 'slice', first: 0, last: 0 },
  confidence: null,
  maskThreshold: null,
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
  exporting: { isOpen: false, formats: ['seg'], deidentify: false, refused: [], saved: 0 },
  helpOpen: false,
  singleKeys: true,
};

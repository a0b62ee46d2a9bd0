// What follows from the state: what may be done now, and what the status line says.
import type { OpenSeries, PicturePlace, PromptAnswer, SegmentInfo } from '../protocol';
import { keyOf, type Mask, type Open, type PageState, type PlaceKey, type Step } from './state';

/** What the page is at, as the status line carries it in `data-stage`. */
export type PageStage = Step['stage'] | 'restarting' | 'cancelling' | 'exporting' | 'paused' | 'ready' | 'failed';

/** A run can be asked for: there is a picture on screen, a model, and no other work. */
export const canSegment = ({ engine, work, open, model }: PageState): boolean =>
  engine.kind === 'ready' && work.kind === 'idle' && open !== null && open.fault === null && model !== null;

export const canCancel = ({ work }: PageState): boolean => work.kind === 'running';

/** Nothing changes the document meanwhile. */
const isStill = ({ engine, work }: PageState): boolean => work.kind === 'idle' && engine.kind !== 'restarting';

export const canUndo = (state: PageState): boolean => isStill(state) && (state.open?.document.undo ?? null) !== null;

export const canRedo = (state: PageState): boolean => isStill(state) && (state.open?.document.redo ?? null) !== null;

export const canEdit = (state: PageState): boolean => isStill(state) && state.open !== null;

export const canExport = (state: PageState): boolean => isStill(state) && (state.open?.document.segments.some(({ voxels }) => voxels > 0) ?? false);

/** The engine comes first: while it is not there, nothing else moves. */
export function stageOf({ engine, work }: PageState): { stage: PageStage; fraction: number | null; detail?: Step['stage'] } {
  if (engine.kind === 'restarting') return { stage: 'restarting', fraction: engine.step.fraction, detail: engine.step.stage };
  if (engine.kind === 'starting') return engine.step;
  if (work.kind === 'cancelling' || work.kind === 'exporting') return { stage: work.kind, fraction: null };
  if (work.kind === 'running' && work.paused) return { stage: 'paused', fraction: work.step.fraction };
  if (work.kind !== 'idle') return work.step;
  return { stage: engine.kind === 'failed' ? 'failed' : 'ready', fraction: null };
}

/** Of a cine the frames are what slices are of a volume. */
export const isAlongFrames = ({ info }: OpenSeries): boolean => info.slices < 2;

/** Pictures along the axis that a run goes. */
export const lengthOf = ({ info }: OpenSeries): number => Math.max(info.slices, isAlongFrames({ info } as OpenSeries) ? info.frames : 1);

export const isWithin = ({ info }: OpenSeries, { slice, frame }: PicturePlace): boolean =>
  Number.isInteger(slice) && Number.isInteger(frame) && slice >= 0 && slice < info.slices && frame >= 0 && frame < info.frames;

const NOTHING: ReadonlyMap<number, Mask> = new Map();

/** All masks of the picture in view, by segment. */
export const masksInView = ({ open }: PageState): ReadonlyMap<number, Mask> => (open && open.masks.get(keyOf(open.place))) ?? NOTHING;

/** Whose masks are to be fetched: those of the picture in view, where they are not known. */
export const wantedMasks = ({ open, engine }: PageState): PlaceKey | null =>
  open && engine.kind !== 'restarting' && !open.masks.has(keyOf(open.place)) ? keyOf(open.place) : null;

/** What was said of a segment at the picture in view. */
export const answerInView = (open: Open, { id }: SegmentInfo): PromptAnswer | undefined => open.answers.get(keyOf(open.place))?.get(id);

// What follows from the state: what may be done now, and what the status line says.
import type { PageState, Shown, Step } from './state';

/** What the page is at, as the status line carries it in `data-stage`. */
export type PageStage = Step['stage'] | 'restarting' | 'cancelling' | 'ready' | 'failed';

/** A run can be asked for: there is a picture on screen, a model, and no other work. */
export const canSegment = ({ engine, work, open, model }: PageState): boolean =>
  engine.kind === 'ready' && work.kind === 'idle' && open !== null && open.fault === null && model !== null;

export const canCancel = ({ work }: PageState): boolean => work.kind === 'running';

/** The engine comes first: while it is not there, nothing else moves. */
export function stageOf({ engine, work }: PageState): { stage: PageStage; fraction: number | null; detail?: Step['stage'] } {
  if (engine.kind === 'restarting') return { stage: 'restarting', fraction: engine.step.fraction, detail: engine.step.stage };
  if (engine.kind === 'starting') return engine.step;
  if (work.kind === 'cancelling') return { stage: 'cancelling', fraction: null };
  if (work.kind !== 'idle') return work.step;
  return { stage: engine.kind === 'failed' ? 'failed' : 'ready', fraction: null };
}

const NONE: readonly Shown[] = [];

/** What was found in the frame in view. */
export const resultsInView = ({ open }: PageState): readonly Shown[] => open?.results.get(open.frame) ?? NONE;

/** What was found in it that is to be painted. */
export const maskedInView = (state: PageState): readonly Shown[] => (state.masksHidden ? NONE : resultsInView(state));

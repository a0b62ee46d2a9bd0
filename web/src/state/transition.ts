// The one place that changes the state of the page: a pure function of the state and what happened. Answers to
// requests that were replaced meanwhile change nothing.
import type { Failure } from '../protocol';
import type { PageEvent } from './event';
import type { Alert, Open, PageState, Shown } from './state';
import { canSegment } from './select';

type Of<K extends PageEvent['kind']> = Extract<PageEvent, { kind: K }>;

export function transition(state: PageState, event: PageEvent): PageState {
  switch (event.kind) {
    case 'launched':
      return launched(state, event);
    case 'engine-step':
    case 'engine-started':
    case 'model-loaded':
    case 'launch-failed':
    case 'crashed':
      return event.launch === state.launch ? ofEngine(state, event) : state;
    case 'open-asked':
      return { ...state, work: { kind: 'opening', ticket: event.ticket, step: { stage: 'decode', fraction: null } } };
    case 'queued':
      return { ...state, queue: event.count < 2 ? null : { count: event.count, at: event.at, failed: false } };
    case 'opened':
      return event.ticket > (state.open?.ticket ?? 0) ? opened(state, event) : state;
    case 'open-ended':
      return isOpening(state, event.ticket) ? openEnded(state, event) : state;
    case 'run-asked':
      return runAsked(state, event.ticket);
    case 'work-step':
      return workStep(state, event);
    case 'prompt-answered':
      return promptAnswered(state, event);
    case 'cancel-asked':
      return cancelAsked(state);
    case 'run-ended':
      return runEnded(state, event);
    case 'frame-chosen':
      return frameChosen(state, event.frame);
    case 'frame-drawn':
      return frameDrawn(state, event);
    case 'window-chosen':
      return state.open?.picture.window ? { ...state, open: { ...state.open, window: event.window } } : state;
    case 'mask-shown':
      return maskShown(state, event);
    case 'masks-hidden':
      return { ...state, masksHidden: event.hidden };
    case 'opacity-chosen':
      return { ...state, opacity: Math.min(1, Math.max(0, event.opacity)) };
    case 'prompts-typed':
      return { ...state, prompts: event.prompts };
    case 'failed':
      return { ...state, alerts: withError(state.alerts, event.failure) };
    case 'noticed':
      return { ...state, alerts: withNotice(state.alerts, event.failure) };
    case 'dismissed':
      return { ...state, alerts: state.alerts.filter(({ failure }) => failure.code !== event.code) };
    case 'errors-cleared':
      return { ...state, alerts: notices(state.alerts) };
    case 'samples-listed':
      return { ...state, samples: event.samples };
    case 'cache-told':
      return { ...state, cache: event.cache };
    case 'models-changed':
      return { ...state, models: { ...state.models, ...event.models } };
    case 'transfer-advanced':
      return { ...state, models: { ...state.models, transfer: event.transfer } };
    case 'help-shown':
      return { ...state, helpOpen: event.open };
    case 'single-keys-chosen':
      return { ...state, singleKeys: event.on };
  }
}

/** A new worker. Work of the old one has ended; what is on screen stays, but for the results of a model that goes. */
function launched(state: PageState, { launch, why }: Of<'launched'>): PageState {
  const step = { stage: 'starting', fraction: null } as const;
  const isReturn = why === 'crash' || why === 'cancel';
  // An opening waits for the new worker and is asked there.
  const work = state.work.kind === 'opening' ? state.work : ({ kind: 'idle' } as const);
  const open = why === 'model' && state.open ? { ...state.open, results: new Map<number, Shown[]>() } : state.open;
  const model = isReturn ? state.model : null;
  return { ...state, launch, work, open, model, engine: { kind: isReturn ? 'restarting' : 'starting', step } };
}

function ofEngine(state: PageState, event: Of<'engine-step' | 'engine-started' | 'model-loaded' | 'launch-failed' | 'crashed'>): PageState {
  switch (event.kind) {
    case 'engine-step':
      return state.engine.kind === 'starting' || state.engine.kind === 'restarting' ? { ...state, engine: { ...state.engine, step: event.step } } : state;
    case 'engine-started': {
      const notice = event.whyCpu ?? event.selfTest?.replaced;
      const alerts = notice ? withNotice(state.alerts, notice) : state.alerts;
      return { ...state, backend: event.backend, selfTest: event.selfTest, alerts };
    }
    case 'model-loaded':
      return { ...state, model: event.model, engine: { kind: 'ready' } };
    case 'launch-failed':
      return { ...state, model: null, work: { kind: 'idle' }, engine: { kind: 'failed' }, alerts: withError(state.alerts, event.failure) };
    case 'crashed':
      // Until the new worker is launched, which follows at once, or is not any more.
      return {
        ...state,
        work: { kind: 'idle' },
        engine: { kind: 'restarting', step: { stage: 'starting', fraction: null } },
        alerts: withError(state.alerts, event.failure),
      };
  }
}

const isOpening = ({ work }: PageState, ticket: number): boolean => work.kind === 'opening' && work.ticket === ticket;

const isRunning = ({ work }: PageState, ticket: number): boolean => (work.kind === 'running' || work.kind === 'cancelling') && work.ticket === ticket;

/** What the engine opened is what is in view, even where something else was asked for meanwhile. */
function opened(state: PageState, { ticket, picture, sample }: Of<'opened'>): PageState {
  const open: Open = { ticket, picture, frame: 0, window: picture.window, fault: null, results: new Map(), sample };
  const isFree = state.prompts.trim() === '' || state.prompts === state.suggested;
  const suggestion = sample && isFree ? { prompts: sample.prompts, suggested: sample.prompts } : {};
  const queue = sample ? null : state.queue;
  return { ...state, ...suggestion, open, queue, sample: sample?.id ?? null, alerts: notices(state.alerts) };
}

/** On failure what was open stays open, under its own name. */
function openEnded(state: PageState, { failure }: Of<'open-ended'>): PageState {
  const work = { kind: 'idle' } as const;
  if (!failure) return { ...state, work };
  return { ...state, work, queue: state.queue && { ...state.queue, failed: true }, alerts: withError(state.alerts, failure) };
}

function runAsked(state: PageState, ticket: number): PageState {
  if (!state.open || !canSegment(state)) return state;
  const work = { kind: 'running', ticket, frame: state.open.frame, step: { stage: 'image', fraction: null } } as const;
  return { ...state, work, masksHidden: false, alerts: notices(state.alerts) };
}

function workStep(state: PageState, { ticket, step }: Of<'work-step'>): PageState {
  const { work } = state;
  if ((work.kind !== 'running' && work.kind !== 'opening') || work.ticket !== ticket) return state;
  return { ...state, work: { ...work, step } };
}

/** The first answer of a run takes the place of what was found in that frame before. */
function promptAnswered(state: PageState, { ticket, shown }: Of<'prompt-answered'>): PageState {
  const { work, open } = state;
  if (!open || !isRunning(state, ticket) || (work.kind !== 'running' && work.kind !== 'cancelling')) return state;
  const before = shown.answer.index === 0 ? [] : (open.results.get(work.frame) ?? []);
  const results = new Map(open.results).set(work.frame, [...before, shown]);
  const alerts = shown.answer.cut ? withNotice(state.alerts, shown.answer.cut) : state.alerts;
  return { ...state, open: { ...open, results }, alerts };
}

function cancelAsked(state: PageState): PageState {
  const { work } = state;
  if (work.kind !== 'running') return state;
  return { ...state, work: { kind: 'cancelling', ticket: work.ticket, frame: work.frame } };
}

function runEnded(state: PageState, { ticket, failure }: Of<'run-ended'>): PageState {
  if (!isRunning(state, ticket)) return state;
  return { ...state, work: { kind: 'idle' }, alerts: failure ? withError(state.alerts, failure) : state.alerts };
}

function frameChosen(state: PageState, frame: number): PageState {
  const { open } = state;
  if (!open || !Number.isInteger(frame) || frame < 0 || frame >= open.picture.frames || frame === open.frame) return state;
  return { ...state, open: { ...open, frame } };
}

/** Of a frame that was left meanwhile nothing is said. */
function frameDrawn(state: PageState, { ticket, frame, failure }: Of<'frame-drawn'>): PageState {
  const { open } = state;
  if (!open || open.ticket !== ticket || open.frame !== frame || (failure === null && open.fault === null)) return state;
  return { ...state, open: { ...open, fault: failure }, alerts: failure ? withError(state.alerts, failure) : state.alerts };
}

function maskShown(state: PageState, { index, visible }: Of<'mask-shown'>): PageState {
  const { open } = state;
  if (!open) return state;
  const change = (shown: Shown): Shown => (shown.answer.index === index ? { ...shown, visible } : shown);
  const results = new Map(open.results).set(open.frame, (open.results.get(open.frame) ?? []).map(change));
  return { ...state, open: { ...open, results } };
}

const notices = (alerts: readonly Alert[]): readonly Alert[] => alerts.filter(({ kind }) => kind === 'notice');

const without = (alerts: readonly Alert[], code: string): Alert[] => alerts.filter(({ failure }) => failure.code !== code);

/** An error takes the place of the last one. */
const withError = (alerts: readonly Alert[], failure: Failure): Alert[] => [...without(notices(alerts), failure.code), { kind: 'error', failure }];

const withNotice = (alerts: readonly Alert[], failure: Failure): Alert[] => [...without(alerts, failure.code), { kind: 'notice', failure }];

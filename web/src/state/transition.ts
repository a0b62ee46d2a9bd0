// The one place that changes the state of the page: a pure function of the state and what happened. Answers to
// requests that were replaced meanwhile change nothing.
import type { Failure } from '../protocol';
import type { PageEvent } from './event';
import { canSegment, isWithin, lengthOf } from './select';
import { keyOf, type Alert, type Mask, type Open, type PageState, type PlaceKey } from './state';

/** Pictures whose masks are kept for the view; those of others are asked for again. */
const PICTURES_KEPT = 64;

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
    case 'listed':
      return listed(state, event);
    case 'thumbnail-made':
      return thumbnailMade(state, event);
    case 'opened':
      return event.ticket > (state.open?.ticket ?? 0) ? opened(state, event) : state;
    case 'open-ended':
      return isOpening(state, event.ticket) ? openEnded(state, event) : state;
    case 'run-asked':
      return runAsked(state, event.ticket);
    case 'work-step':
      return workStep(state, event);
    case 'slice-answered':
      return sliceAnswered(state, event);
    case 'run-paused':
      return isRunning(state, event.ticket) && state.work.kind === 'running' ? { ...state, work: { ...state.work, paused: event.paused } } : state;
    case 'document-told':
      return documentTold(state, event);
    case 'document-restored':
      return documentRestored(state, event);
    case 'masks-told':
      return masksTold(state, event);
    case 'cancel-asked':
      return cancelAsked(state);
    case 'run-ended':
      return runEnded(state, event);
    case 'place-chosen':
      return placeChosen(state, event.place);
    case 'picture-drawn':
      return pictureDrawn(state, event);
    case 'window-chosen':
      return state.open?.window ? { ...state, open: { ...state.open, window: event.window } } : state;
    case 'segment-shown':
      return segmentShown(state, event);
    case 'masks-hidden':
      return { ...state, masksHidden: event.hidden };
    case 'opacity-chosen':
      return { ...state, opacity: Math.min(1, Math.max(0, event.opacity)) };
    case 'prompts-typed':
      return { ...state, prompts: event.prompts };
    case 'scope-chosen':
      return scopeChosen(state, event.scope);
    case 'confidence-chosen':
      return { ...state, confidence: event.confidence };
    case 'mask-threshold-chosen':
      return { ...state, maskThreshold: event.maskThreshold };
    case 'export-changed':
      return { ...state, exporting: { ...state.exporting, ...event.exporting } };
    case 'export-asked':
      return state.work.kind === 'idle' ? { ...state, work: { kind: 'exporting', ticket: event.ticket } } : state;
    case 'export-ended':
      return exportEnded(state, event);
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

/** A new worker. Work of the old one has ended; what is on screen stays. */
function launched(state: PageState, { launch, why }: Of<'launched'>): PageState {
  const step = { stage: 'starting', fraction: null } as const;
  const isReturn = why === 'crash' || why === 'cancel';
  // An opening waits for the new worker and is asked there.
  const work = state.work.kind === 'opening' ? state.work : ({ kind: 'idle' } as const);
  const model = isReturn ? state.model : null;
  return { ...state, launch, work, model, engine: { kind: isReturn ? 'restarting' : 'starting', step } };
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

/** The engine has let go of what was open before: nothing may be taken for a picture of these files. */
function listed(state: PageState, { ticket, info, faults }: Of<'listed'>): PageState {
  if (ticket <= (state.listing?.ticket ?? 0)) return state;
  return { ...state, listing: { ticket, info, thumbnails: new Map(), faults }, open: null, sample: null };
}

function thumbnailMade(state: PageState, { ticket, series, thumbnail }: Of<'thumbnail-made'>): PageState {
  const { listing } = state;
  if (listing?.ticket !== ticket) return state;
  return { ...state, listing: { ...listing, thumbnails: new Map(listing.thumbnails).set(series, thumbnail) } };
}

/** What the engine opened is what is in view, even where something else was asked for meanwhile. */
function opened(state: PageState, { ticket, series, document, sample }: Of<'opened'>): PageState {
  const nothing = { drawn: null, fault: null, answers: new Map(), masks: new Map(), hidden: new Set<number>() };
  const open: Open = { ...nothing, ticket, series, document, place: { slice: middle(series.info.slices), frame: 0 }, window: series.window, sample };
  const isFree = state.prompts.trim() === '' || state.prompts === state.suggested;
  const suggestion = sample && isFree ? { prompts: sample.prompts, suggested: sample.prompts } : {};
  const scope = { kind: 'slice', first: 0, last: lengthOf(series) - 1 } as const;
  return { ...state, ...suggestion, open, scope, sample: sample?.id ?? null, alerts: notices(state.alerts) };
}

/** Where there is most to see. */
const middle = (slices: number): number => Math.floor(slices / 2);

/** On failure what was open stays open, under its own name. */
function openEnded(state: PageState, { failure }: Of<'open-ended'>): PageState {
  return { ...state, work: { kind: 'idle' }, alerts: failure ? withError(state.alerts, failure) : state.alerts };
}

function runAsked(state: PageState, ticket: number): PageState {
  if (!canSegment(state)) return state;
  const work = { kind: 'running', ticket, step: { stage: 'image', fraction: null }, pace: null, paused: false } as const;
  return { ...state, work, masksHidden: false, alerts: notices(state.alerts) };
}

function workStep(state: PageState, { ticket, step }: Of<'work-step'>): PageState {
  const { work } = state;
  if ((work.kind !== 'running' && work.kind !== 'opening') || work.ticket !== ticket) return state;
  return { ...state, work: { ...work, step } };
}

/** What a run found on one picture. Masks go to those of a picture that is kept, beside those of other segments. */
function sliceAnswered(state: PageState, event: Of<'slice-answered'>): PageState {
  const { open, work } = state;
  if (!open || !isRunning(state, event.ticket)) return state;
  const key = keyOf(event.place);
  const said = new Map(open.answers.get(key));
  const known = open.masks.get(key);
  const masks = known && new Map(known);
  let alerts = state.alerts;
  event.answers.forEach(({ segment, leftAlone, answer }, at) => {
    if (answer.cut) alerts = withNotice(alerts, answer.cut);
    if (segment === null) return;
    said.set(segment, answer);
    const bytes = event.masks[at];
    if (masks && bytes && !leftAlone) masks.set(segment, { bytes, pixels: answer.areaPx, areaMm2: answer.areaMm2 });
  });
  const answers = new Map(open.answers).set(key, said);
  const changed = { ...open, answers, masks: masks ? keep(open.masks, key, masks) : open.masks };
  return { ...state, open: changed, alerts, work: work.kind === 'running' ? { ...work, pace: event.pace } : work };
}

/** The pictures that were looked at last stay, this one among them. */
function keep(masks: Open['masks'], key: PlaceKey, one: ReadonlyMap<number, Mask>): Open['masks'] {
  const kept = new Map(masks);
  kept.delete(key);
  kept.set(key, one);
  for (const oldest of kept.keys()) {
    if (kept.size <= PICTURES_KEPT) break;
    kept.delete(oldest);
  }
  return kept;
}

function cancelAsked(state: PageState): PageState {
  const { work } = state;
  return work.kind === 'running' ? { ...state, work: { kind: 'cancelling', ticket: work.ticket } } : state;
}

function runEnded(state: PageState, { ticket, failure }: Of<'run-ended'>): PageState {
  if (!isRunning(state, ticket)) return state;
  return { ...state, work: { kind: 'idle' }, alerts: failure ? withError(state.alerts, failure) : state.alerts };
}

/** An older document never takes the place of a newer one. Masks that changed are asked for again. */
function documentTold(state: PageState, { ticket, document }: Of<'document-told'>): PageState {
  const { open } = state;
  if (open?.ticket !== ticket || document.version < open.document.version) return state;
  const masks = new Map(open.masks);
  for (const place of document.changed) masks.delete(keyOf(place));
  return { ...state, open: { ...open, document, masks: document.changed.length > 0 ? masks : open.masks } };
}

/** What was said and hidden follows the segments to their new ids; masks are asked for again. */
function documentRestored(state: PageState, { ticket, document, ids }: Of<'document-restored'>): PageState {
  const { open } = state;
  if (open?.ticket !== ticket) return state;
  const renumbered = <T>(entries: Iterable<readonly [number, T]>): Map<number, T> =>
    new Map([...entries].flatMap(([id, value]) => (ids.has(id) ? [[ids.get(id) ?? id, value] as const] : [])));
  const answers = new Map([...open.answers].map(([key, said]) => [key, renumbered(said)] as const));
  const hidden = new Set(renumbered([...open.hidden].map((id) => [id, true] as const)).keys());
  return { ...state, open: { ...open, document, answers, hidden, masks: new Map() } };
}

/** The engine answers in turn: masks that come after a document are not older than it. */
function masksTold(state: PageState, { ticket, place, masks }: Of<'masks-told'>): PageState {
  const { open } = state;
  if (open?.ticket !== ticket) return state;
  return { ...state, open: { ...open, masks: keep(open.masks, keyOf(place), masks) } };
}

function placeChosen(state: PageState, place: Of<'place-chosen'>['place']): PageState {
  const { open } = state;
  if (!open || !isWithin(open.series, place) || keyOf(place) === keyOf(open.place)) return state;
  return { ...state, open: { ...open, place } };
}

/** Of a picture that was left meanwhile nothing is said. */
function pictureDrawn(state: PageState, { ticket, place, result }: Of<'picture-drawn'>): PageState {
  const { open } = state;
  if (open?.ticket !== ticket || keyOf(open.place) !== keyOf(place)) return state;
  if (!('code' in result)) return { ...state, open: { ...open, drawn: result, fault: null } };
  return { ...state, open: { ...open, fault: result }, alerts: withError(state.alerts, result) };
}

function segmentShown(state: PageState, { segment, visible }: Of<'segment-shown'>): PageState {
  const { open } = state;
  if (!open) return state;
  const hidden = new Set(open.hidden);
  if (visible) hidden.delete(segment);
  else hidden.add(segment);
  return { ...state, open: { ...open, hidden } };
}

/** A range stays within the series, and its ends in order: the one that was moved pushes the other. */
function scopeChosen(state: PageState, change: Of<'scope-chosen'>['scope']): PageState {
  const top = (state.open ? lengthOf(state.open.series) : 1) - 1;
  const within = (at: number): number => (Number.isFinite(at) ? Math.min(top, Math.max(0, Math.round(at))) : 0);
  const { kind, first, last } = { ...state.scope, ...change };
  const ends = change.last === undefined ? { first: within(first), last: Math.max(within(first), within(last)) } : { first: Math.min(within(first), within(last)), last: within(last) };
  return { ...state, scope: { kind, ...ends } };
}

function exportEnded(state: PageState, { ticket, refused, saved, failure }: Of<'export-ended'>): PageState {
  if (state.work.kind !== 'exporting' || state.work.ticket !== ticket) return state;
  const exporting = { ...state.exporting, refused, saved };
  return { ...state, exporting, work: { kind: 'idle' }, alerts: failure ? withError(state.alerts, failure) : state.alerts };
}

const notices = (alerts: readonly Alert[]): readonly Alert[] => alerts.filter(({ kind }) => kind === 'notice');

const without = (alerts: readonly Alert[], code: string): Alert[] => alerts.filter(({ failure }) => failure.code !== code);

/** An error takes the place of the last one. */
const withError = (alerts: readonly Alert[], failure: Failure): Alert[] => [...without(notices(alerts), failure.code), { kind: 'error', failure }];

const withNotice = (alerts: readonly Alert[], failure: Failure): Alert[] => [...without(alerts, failure.code), { kind: 'notice', failure }];

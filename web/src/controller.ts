// What each thing that can be done on the page does: asks the session and the viewer, and tells the state what came of
// it. Holds no state of its own but what is under way.
import { effect } from '@preact/signals';
import type { Sample } from './assets';
import type { Answer, Job } from './engine';
import { saveFile } from './features/save';
import { Cancelled, Failed, failureOf } from './failure';
import type { DocumentInfo, Failure, OnProtected, OpenSeries, PicturePlace, SeriesInfo, WindowLevel } from './protocol';
import { Remembered } from './remembered';
import { Keeper } from './restore';
import type { NamedFile, Session } from './session';
import type { PageEvent } from './state/event';
import { dispatch, page, part } from './state/page';
import { canEdit, canExport, canSegment, isAlongFrames, wantedMasks } from './state/select';
import { keyOf, type Mask, type Open, type PageState } from './state/state';
import type { Overlay } from './viewer/overlay';
import type { PicturePixels, Placement, ViewerPort } from './viewer/port';
import { words } from './words/language';

/** A worker that does not answer a cancel within this time is ended. */
const CANCEL_PATIENCE_MS = 5000;
const ZOOM_STEP = 1.25;
/** Pixels of the longer side of a thumbnail, and of how many series they are made. */
const THUMBNAIL_PX = 96;
const THUMBNAILS = 100;

/** The parts of the page that draw; there once the view is. */
interface Screen {
  viewer: ViewerPort;
  overlay: Overlay;
  element: HTMLElement;
}

interface Opened {
  series: OpenSeries;
  document: DocumentInfo;
}

type SampleOf = Extract<PageEvent, { kind: 'opened' }>['sample'];

export class Controller {
  #screen: Screen | undefined;
  #job: Job | undefined;
  #ticket = 0;
  #samples: Sample[] = [];
  /** Opening is one thing after the other: the engine keeps what it opened last. */
  #opening: Promise<void> = Promise.resolve();
  #showing = false;
  #asksDocument = false;
  readonly #keeper = new Keeper();

  constructor(readonly session: Session) {
    session.restore = (ask) => this.#keeper.restore(ask, page.peek().open, (ticket, document, ids) => dispatch({ kind: 'document-restored', ticket, document, ids }));
  }

  /** Takes over what draws; masks follow the state from now on. */
  attach(screen: Screen): void {
    this.#screen = screen;
    screen.viewer.onPlacement = () => {
      if (page.peek().open?.drawn) this.#place(screen.viewer.placement());
    };
    const masks = part(({ open }) => open?.masks.get(keyOf(open.place)));
    const segments = part(({ open }) => open?.document.segments);
    const hidden = part(({ open }) => open?.hidden);
    const off = part(({ masksHidden }) => masksHidden);
    effect(() => {
      // Each is read, so that any of them paints anew.
      const shown = { masks: masks.value, segments: segments.value, hidden: hidden.value };
      this.#paint(off.value ? {} : shown);
    });
    const opacity = part((state) => state.opacity);
    effect(() => screen.overlay.setOpacity(opacity.value));
    const wanted = part(wantedMasks);
    effect(() => {
      if (wanted.value !== null) void this.#fetchMasks();
    });
  }

  #place(placement: Placement): void {
    if (!this.#screen) return;
    this.#screen.overlay.place(placement);
    const { scaleX, scaleY, left, top } = placement;
    // Where the picture is on screen, for those who drive the page by its attributes.
    this.#screen.element.dataset['placement'] = [scaleX, scaleY, left, top].join(' ');
  }

  #paint({ masks, segments, hidden }: { masks?: ReadonlyMap<number, Mask> | undefined; segments?: Open['document']['segments'] | undefined; hidden?: Open['hidden'] | undefined }): void {
    const { columns, rows } = page.peek().open?.drawn ?? { columns: 0, rows: 0 };
    const layers = (segments ?? []).flatMap(({ id, color }) => {
      const mask = hidden?.has(id) ? undefined : masks?.get(id);
      // A mask of the picture that is not drawn yet is painted with it.
      return mask && mask.bytes.length === columns * rows ? [{ mask: mask.bytes, rgb: color }] : [];
    });
    this.#screen?.overlay.setLayers(columns, rows, layers);
  }

  offerSamples(samples: Sample[]): void {
    this.#samples = samples;
    dispatch({ kind: 'samples-listed', samples: samples.map(({ id, title }) => ({ id, title })) });
  }

  /** Sorts these files into series and opens the first of them. */
  openFiles(files: NamedFile[]): void {
    if (files.length > 0) void this.#list(this.#askToOpen(), files, null);
  }

  openSample(id: string): void {
    const sample = this.#samples.find((one) => one.id === id);
    if (!sample) return;
    const { bytes, attribution, licence, source, prompts } = sample;
    void this.#list(this.#askToOpen(), [{ name: 'sample', file: bytes }], { id, attribution, licence, source, prompts: prompts.join(', ') });
  }

  /** Opens another series of the list. */
  openSeries(index: number): void {
    const ticket = this.#askToOpen();
    void this.#inTurn(ticket, () => this.#openSeries(ticket, index));
  }

  stepSeries(by: number): void {
    const { listing, open } = page.peek();
    const at = (open?.series.info.index ?? -1) + by;
    if (listing?.info.series.some(({ index }) => index === at)) this.openSeries(at);
  }

  /** A run that is under way ends: its series goes. */
  #askToOpen(): number {
    this.#job?.cancel();
    const ticket = ++this.#ticket;
    dispatch({ kind: 'open-asked', ticket });
    return ticket;
  }

  /** Runs what opens something when nothing else is being opened; not at all where something else was asked for since. */
  async #inTurn(ticket: number, open: () => Promise<void>): Promise<void> {
    const mine = this.#opening.then(async () => {
      if (this.#ticket !== ticket) return;
      try {
        await open();
        dispatch({ kind: 'open-ended', ticket, failure: null });
      } catch (error) {
        this.#failed(error, (failure) => dispatch({ kind: 'open-ended', ticket, failure }));
      }
    });
    // Whatever became of it, the next one may follow.
    this.#opening = mine.catch(() => undefined);
    await mine;
  }

  #list(ticket: number, files: NamedFile[], sample: SampleOf): Promise<void> {
    return this.#inTurn(ticket, async () => {
      const info = await this.session.openFiles(files, () => this.#ticket === ticket, this.#steps(ticket));
      const faults = new Map<number, Failure>();
      const opened = await this.#openFirst(info.series, ticket, faults);
      const [failure] = faults.values();
      if (!opened) {
        await this.session.revert();
        throw new Failed(failure ?? noSeries);
      }
      dispatch({ kind: 'listed', ticket, info, faults });
      await this.#show(ticket, opened, sample);
      if (failure) dispatch({ kind: 'failed', failure });
      if (info.series.length > 1) void this.#makeThumbnails(ticket, info.series.slice(0, THUMBNAILS).map(({ index }) => index));
    });
  }

  #steps(ticket: number): (progress: { stage: Parameters<typeof step>[0]; fraction: number | null }) => void {
    return ({ stage, fraction }) => dispatch({ kind: 'work-step', ticket, step: step(stage, fraction) });
  }

  /** The first of the series that can be opened; what keeps the ones before it from that is added to `faults`. */
  async #openFirst(series: readonly SeriesInfo[], ticket: number, faults: Map<number, Failure>): Promise<Opened | undefined> {
    for (const { index } of series) {
      try {
        return await this.session.openSeries(index, this.#steps(ticket));
      } catch (error) {
        // Of a fault of its own, not of the engine's.
        if (!(error instanceof Failed) || error.failure.code.startsWith('ENGINE-')) throw error;
        faults.set(index, error.failure);
      }
    }
    return undefined;
  }

  async #openSeries(ticket: number, index: number): Promise<void> {
    await this.#show(ticket, await this.session.openSeries(index, this.#steps(ticket)), null);
  }

  async #show(ticket: number, { series, document }: Opened, sample: SampleOf): Promise<void> {
    dispatch({ kind: 'opened', ticket, series, document, sample });
    const { info, pixels, inverted, window } = series;
    const stack = { count: info.slices * info.frames, isColor: pixels === 'rgb', modality: info.modality, inverted, window };
    await this.#draw((at) => this.#screen?.viewer.open({ ...stack, fetch: (one) => this.#fetch(ticket, placeAt(series, one)) }, at));
  }

  /** A picture's pixels; of another series than the one that is open there are none. */
  async #fetch(ticket: number, { slice, frame }: PicturePlace): Promise<PicturePixels> {
    if (page.peek().open?.ticket !== ticket) throw new Cancelled();
    const { message, buffers } = await this.session.ask({ kind: 'slice', slice, frame, compact: false }, 'slice');
    const { columns, rows, samples, minimum, maximum, spacingMm } = message;
    const buffer = buffers[0] ?? new ArrayBuffer(0);
    return { columns, rows, spacingMm, minimum, maximum, values: samples === 'rgb8' ? new Uint8Array(buffer) : new Float32Array(buffer) };
  }

  async #makeThumbnails(ticket: number, indices: number[]): Promise<void> {
    for (const series of indices) {
      if (page.peek().listing?.ticket !== ticket) return;
      // A series whose picture cannot be read says so when it is opened.
      const answer = await this.session.ask({ kind: 'thumbnail', series, side: THUMBNAIL_PX }, 'thumbnail').catch(() => undefined);
      if (!answer) continue;
      const { width, height } = answer.message;
      const pixels = new Uint8ClampedArray(answer.buffers[0] ?? new ArrayBuffer(0));
      if (pixels.length === 4 * width * height) dispatch({ kind: 'thumbnail-made', ticket, series, thumbnail: { width, height, pixels } });
    }
  }

  /** Lets the viewer draw the picture that is chosen now, and says whether it could. */
  async #draw(draw: (index: number) => Promise<{ columns: number; rows: number; spacingMm: [number, number] | null }> | undefined): Promise<void> {
    const { open } = page.peek();
    if (!open) return;
    const { ticket, place, series } = open;
    try {
      const drawn = await draw(indexOf(series, place));
      if (drawn) dispatch({ kind: 'picture-drawn', ticket, place, result: drawn });
      if (drawn && this.#screen) this.#place(this.#screen.viewer.placement());
      this.#repaint();
    } catch (error) {
      this.#failed(error, (failure) => dispatch({ kind: 'picture-drawn', ticket, place, result: failure }));
    }
  }

  /** Masks whose picture was not drawn yet when they came. */
  #repaint(): void {
    const { open, masksHidden } = page.peek();
    if (open && !masksHidden) this.#paint({ masks: open.masks.get(keyOf(open.place)), segments: open.document.segments, hidden: open.hidden });
  }

  /** Shows the picture that was chosen last; while one is being drawn, those chosen meanwhile are passed over. */
  async show(place: PicturePlace): Promise<void> {
    dispatch({ kind: 'place-chosen', place });
    if (this.#showing) return;
    this.#showing = true;
    try {
      let shown: string | undefined;
      for (let open = page.peek().open; open && this.#nameOf(open) !== shown; open = page.peek().open) {
        shown = this.#nameOf(open);
        await this.#draw((index) => this.#screen?.viewer.show(index));
      }
    } finally {
      this.#showing = false;
    }
  }

  #nameOf = ({ ticket, place }: Open): string => `${ticket}/${keyOf(place)}`;

  showSlice(slice: number): void {
    const { open } = page.peek();
    if (open) void this.show({ ...open.place, slice });
  }

  showFrame(frame: number): void {
    const { open } = page.peek();
    if (open) void this.show({ ...open.place, frame });
  }

  /** Goes along the slices; along the frames where there is one slice. */
  step(by: number): void {
    const { open } = page.peek();
    if (!open) return;
    if (isAlongFrames(open.series)) this.showFrame(open.place.frame + by);
    else this.showSlice(open.place.slice + by);
  }

  stepFrame(by: number): void {
    const { open } = page.peek();
    if (open) this.showFrame(open.place.frame + by);
  }

  first(): void {
    const { open } = page.peek();
    if (open) void this.show(isAlongFrames(open.series) ? { ...open.place, frame: 0 } : { ...open.place, slice: 0 });
  }

  last(): void {
    const { open } = page.peek();
    if (!open) return;
    const { frames, slices } = open.series.info;
    void this.show(isAlongFrames(open.series) ? { ...open.place, frame: frames - 1 } : { ...open.place, slice: slices - 1 });
  }

  setWindow(window: WindowLevel): void {
    if (!page.peek().open?.window) return;
    if (!Number.isFinite(window.center) || !Number.isFinite(window.width) || window.width < 1) return;
    dispatch({ kind: 'window-chosen', window });
    this.#screen?.viewer.setWindow(window);
  }

  /** Moves the window by shares of the width that the series was opened with. */
  nudgeWindow(center: number, width: number): void {
    const { open } = page.peek();
    if (!open?.window || !open.series.window) return;
    const range = open.series.window.width;
    this.setWindow({ center: open.window.center + center * range, width: Math.max(1, open.window.width + width * range) });
  }

  /** Zooms about a point of the view, by default its centre. */
  zoom(factor: number, x?: number, y?: number): void {
    const { element, viewer } = this.#screen ?? {};
    if (element && viewer && page.peek().open?.drawn) viewer.zoom(factor, x ?? element.clientWidth / 2, y ?? element.clientHeight / 2);
  }

  zoomIn(): void {
    this.zoom(ZOOM_STEP);
  }

  zoomOut(): void {
    this.zoom(1 / ZOOM_STEP);
  }

  pan(dx: number, dy: number): void {
    if (page.peek().open?.drawn) this.#screen?.viewer.pan(dx, dy);
  }

  /** The placement and the window that the series was opened with. */
  resetView(): void {
    const { open } = page.peek();
    if (open?.series.window) this.setWindow(open.series.window);
    this.fit();
  }

  /** The placement alone. */
  fit(): void {
    if (page.peek().open?.drawn) this.#screen?.viewer.reset();
  }

  toggleMasks(): void {
    dispatch({ kind: 'masks-hidden', hidden: !page.peek().masksHidden });
  }

  /** Segments what the scope says, the picture in view first, with the window on screen, by each prompt of the field. */
  async segment(onProtected: OnProtected = 'refuse'): Promise<void> {
    const state = page.peek();
    const { open } = state;
    if (!open || !canSegment(state)) return;
    const ticket = ++this.#ticket;
    dispatch({ kind: 'run-asked', ticket });
    let job: Job | undefined;
    let failure: Failure | null = null;
    try {
      this.#job = job = this.session.segment({ ...requestOf(state, open), onProtected }, (answer) => this.#answered(ticket, open.ticket, answer));
      const { message } = await job.done;
      if (message.kind === 'series-segmented') dispatch({ kind: 'document-told', ticket: open.ticket, document: message.document });
    } catch (error) {
      this.#failed(error, (found) => (failure = found));
      // What was found until then is in the document.
      await this.#askDocument(open.ticket);
    } finally {
      if (this.#job === job) this.#job = undefined;
      dispatch({ kind: 'run-ended', ticket, failure });
    }
    if (isProtected(failure)) this.#askAboutProtected(failure);
  }

  /** A segment that is locked or was corrected is not overwritten unasked. */
  #askAboutProtected(failure: Failure): void {
    if (!confirm(words.value.find.addBeside)) return;
    dispatch({ kind: 'dismissed', code: failure.code });
    void this.segment('add');
  }

  #answered(ticket: number, series: number, { message, buffers }: Answer): void {
    if (message.kind === 'progress') {
      dispatch({ kind: 'work-step', ticket, step: { stage: message.stage, fraction: message.fraction } });
    } else if (message.kind === 'run-state') {
      dispatch({ kind: 'run-paused', ticket, paused: message.paused });
    } else if (message.kind === 'slice-segmented') {
      const { place, done, total, secondsLeft, answers } = message;
      const masks = buffers.map((buffer) => new Uint8Array(buffer));
      dispatch({ kind: 'slice-answered', ticket, place, pace: { done, total, secondsLeft }, answers, masks });
      answers.forEach(({ segment, leftAlone }, at) => {
        if (segment !== null && !leftAlone) this.#keep(series, segment, place, masks[at]);
      });
      if (message.failure) dispatch({ kind: 'noticed', failure: message.failure });
      void this.#askDocument(series);
    }
  }

  #keep(ticket: number, segment: number, place: PicturePlace, bytes: Uint8Array | undefined): void {
    const info = page.peek().open?.series.info;
    // Pictures of other sizes than the series' own are asked for again.
    if (info && bytes) this.#keeper.keep(ticket, segment, place, info, bytes);
  }

  /** What the segments are by now; one question at a time is enough. */
  async #askDocument(ticket: number): Promise<void> {
    if (this.#asksDocument || page.peek().open?.ticket !== ticket) return;
    this.#asksDocument = true;
    try {
      const { message } = await this.session.ask({ kind: 'document' }, 'document');
      dispatch({ kind: 'document-told', ticket, document: message.document });
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#asksDocument = false;
    }
  }

  /** The masks of the picture in view, as the document has them. */
  async #fetchMasks(): Promise<void> {
    const { open } = page.peek();
    if (!open) return;
    const { ticket, place } = open;
    try {
      const { message, buffers } = await this.session.ask({ kind: 'masks', ...place, segments: null, reference: false }, 'masks');
      const masks = new Map(message.masks.map(({ segment, pixels, areaMm2 }, at) => [segment, { bytes: new Uint8Array(buffers[at] ?? new ArrayBuffer(0)), pixels, areaMm2 }]));
      for (const [segment, { bytes }] of masks) this.#keep(ticket, segment, place, bytes);
      dispatch({ kind: 'masks-told', ticket, place, masks });
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Halts a run between two steps of the model, or lets it go on. */
  togglePause(): void {
    const { work } = page.peek();
    if (work.kind !== 'running') return;
    if (work.paused) this.#job?.resume();
    else this.#job?.pause();
  }

  /** Stops a running segmentation: politely first, then by ending the worker. */
  async cancel(): Promise<void> {
    const job = this.#job;
    if (!job || page.peek().work.kind !== 'running') return;
    dispatch({ kind: 'cancel-asked' });
    job.cancel();
    const ended = job.done.then(
      () => true,
      () => true,
    );
    const late = new Promise<false>((resolve) => setTimeout(() => resolve(false), CANCEL_PATIENCE_MS));
    if (await Promise.race([ended, late])) return;
    await this.#launch('cancel');
  }

  /** One step of the history back or forth. */
  async history(kind: 'undo' | 'redo'): Promise<void> {
    await this.#change({ kind });
  }

  deleteSegment(segment: number): void {
    void this.#change({ kind: 'delete-segment', segment });
  }

  async #change(message: { kind: 'undo' } | { kind: 'redo' } | { kind: 'delete-segment'; segment: number }): Promise<void> {
    const { open } = page.peek();
    if (!open || !canEdit(page.peek())) return;
    try {
      const { message: answer } = await this.session.ask(message, 'document');
      this.#keeper.forget(answer.document.changed);
      dispatch({ kind: 'document-told', ticket: open.ticket, document: answer.document });
    } catch (error) {
      this.#failed(error);
    }
  }

  showExport(isOpen: boolean): void {
    if (!isOpen || canExport(page.peek())) dispatch({ kind: 'export-changed', exporting: { isOpen, refused: [], saved: 0 } });
  }

  /** Writes the chosen formats and hands them to the browser's downloads. */
  async save(): Promise<void> {
    const { exporting } = page.peek();
    if (!canExport(page.peek()) || exporting.formats.length === 0) return;
    const ticket = ++this.#ticket;
    dispatch({ kind: 'export-asked', ticket });
    const ended = { kind: 'export-ended', ticket, refused: [], saved: 0, failure: null } as const;
    try {
      const { message, buffers } = await this.session.ask({ kind: 'export', formats: [...exporting.formats], deidentify: exporting.deidentify }, 'exported');
      message.files.forEach(({ name, mediaType }, at) => saveFile(name, mediaType, buffers[at] ?? new ArrayBuffer(0)));
      dispatch({ ...ended, refused: message.refused, saved: message.files.length });
    } catch (error) {
      if (error instanceof Cancelled) dispatch(ended);
      else this.#failed(error, (failure) => dispatch({ ...ended, failure }));
    }
  }

  /** After the engine was given up. */
  tryAgain(): Promise<void> {
    return this.#launch('retry');
  }

  async #launch(why: 'cancel' | 'retry'): Promise<void> {
    await this.session.launch(why).catch((error: unknown) => {
      const { launch } = page.peek();
      this.#failed(error, (failure) => dispatch({ kind: 'launch-failed', launch, failure }));
    });
  }

  async setEmbeddingMemory(budgetMib: number): Promise<void> {
    await this.session.setEmbeddingMemory(budgetMib).catch((error: unknown) => this.#failed(error));
  }

  showHelp(open: boolean): void {
    dispatch({ kind: 'help-shown', open });
  }

  chooseSingleKeys(on: boolean): void {
    new Remembered().singleKeys = on;
    dispatch({ kind: 'single-keys-chosen', on });
  }

  /** Tells of a failure; what nobody foresaw is thrown on, to be seen. A cancelled request is none. */
  #failed(error: unknown, tell: (failure: Failure) => void = (failure) => dispatch({ kind: 'failed', failure })): void {
    if (error instanceof Cancelled) return;
    const failure = failureOf(error);
    tell(failure);
    if (failure.code === 'PAGE-FAULT') throw error;
  }
}

/** The pictures of a series one after the other, as the viewer counts them: all frames of a slice, then the next slice. */
const indexOf = ({ info }: OpenSeries, { slice, frame }: PicturePlace): number => slice * info.frames + frame;

const placeAt = ({ info }: OpenSeries, index: number): PicturePlace => ({ slice: Math.floor(index / info.frames), frame: index % info.frames });

const step = (stage: Extract<PageEvent, { kind: 'work-step' }>['step']['stage'], fraction: number | null) => ({ stage, fraction });

const isProtected = (failure: Failure | null): failure is Failure => failure?.code === 'SEGMENT-PROTECTED';

/** What a run is asked, from what the page shows. */
function requestOf({ prompts, scope, confidence, maskThreshold }: PageState, { place, window }: Open) {
  const { kind, first, last } = scope;
  return {
    prompts: prompts.split(',').map((prompt) => prompt.trim()).filter((prompt) => prompt !== ''),
    scope: kind === 'range' ? { kind, first, last } : { kind },
    at: place,
    window,
    rule: 'model' as const,
    threshold: confidence,
    maskThreshold,
  };
}

const noSeries: Failure = {
  code: 'SERIES-NONE',
  message: 'None of these series can be opened.',
  nextStep: 'Choose other files.',
};

// What each thing that can be done on the page does: asks the session and the viewer, and tells the state what came of
// it. Holds no state of its own but what is under way.
import { effect } from '@preact/signals';
import type { Sample } from './assets';
import { colour } from './colours';
import type { Answer, Job } from './engine';
import { Cancelled, failureOf } from './failure';
import type { Failure, WindowLevel } from './protocol';
import { Remembered } from './remembered';
import type { Session } from './session';
import type { PageEvent } from './state/event';
import { dispatch, page, part } from './state/page';
import { canSegment, maskedInView } from './state/select';
import type { Shown } from './state/state';
import type { Overlay } from './viewer/overlay';
import type { Placement, ViewerPort } from './viewer/port';

/** A worker that does not answer a cancel within this time is ended. */
const CANCEL_PATIENCE_MS = 5000;
const ZOOM_STEP = 1.25;

/** The parts of the page that draw; there once the view is. */
interface Screen {
  viewer: ViewerPort;
  overlay: Overlay;
  element: HTMLElement;
}

export class Controller {
  #screen: Screen | undefined;
  #job: Job | undefined;
  #ticket = 0;
  #files: File[] = [];
  #samples: Sample[] = [];
  /** Opening is one thing after the other: the engine keeps what it opened last. */
  #opening: Promise<void> = Promise.resolve();
  #showing = false;

  constructor(readonly session: Session) {}

  /** Takes over what draws; masks follow the state from now on. */
  attach(screen: Screen): void {
    this.#screen = screen;
    screen.viewer.onPlacement = () => {
      if (page.peek().open) this.#place(screen.viewer.placement());
    };
    const masks = part(maskedInView);
    effect(() => this.#paint(masks.value));
    const opacity = part((state) => state.opacity);
    effect(() => screen.overlay.setOpacity(opacity.value));
  }

  #place(placement: Placement): void {
    if (!this.#screen) return;
    this.#screen.overlay.place(placement);
    const { scaleX, scaleY, left, top } = placement;
    // Where the picture is on screen, for those who drive the page by its attributes.
    this.#screen.element.dataset['placement'] = [scaleX, scaleY, left, top].join(' ');
  }

  #paint(results: readonly Shown[]): void {
    const { width, height } = page.peek().open?.picture ?? { width: 0, height: 0 };
    const shown = results.filter(({ visible }) => visible);
    this.#screen?.overlay.setLayers(
      width,
      height,
      shown.map(({ mask, answer }) => ({ mask, rgb: colour(answer.index).rgb })),
    );
  }

  offerSamples(samples: Sample[]): void {
    this.#samples = samples;
    dispatch({ kind: 'samples-listed', samples: samples.map(({ id, title }) => ({ id, title })) });
  }

  /** Opens the first of these files and keeps the rest for the buttons beside it. */
  openFiles(files: File[]): void {
    if (files.length === 0) return;
    this.#files = files;
    this.#openFile(0);
  }

  stepQueue(by: number): void {
    const { queue } = page.peek();
    if (queue) this.#openFile(queue.at + by);
  }

  #openFile(at: number): void {
    const file = this.#files[at];
    if (!file) return;
    const ticket = this.#askToOpen();
    dispatch({ kind: 'queued', count: this.#files.length, at });
    void this.#open(ticket, file, null);
  }

  openSample(id: string): void {
    const sample = this.#samples.find((one) => one.id === id);
    if (!sample) return;
    const { bytes, attribution, licence, source, prompts } = sample;
    void this.#open(this.#askToOpen(), bytes, { id, attribution, licence, source, prompts: prompts.join(', ') });
  }

  /** A run that is under way ends: its picture goes. */
  #askToOpen(): number {
    this.#job?.cancel();
    const ticket = ++this.#ticket;
    dispatch({ kind: 'open-asked', ticket });
    return ticket;
  }

  async #open(ticket: number, file: Blob, sample: Extract<PageEvent, { kind: 'opened' }>['sample']): Promise<void> {
    const mine = this.#opening.then(async () => {
      const isWanted = (): boolean => this.#ticket === ticket;
      if (!isWanted()) return;
      try {
        const picture = await this.session.open(file, isWanted, ({ stage, fraction }) => dispatch({ kind: 'work-step', ticket, step: { stage, fraction } }));
        dispatch({ kind: 'opened', ticket, picture, sample });
        await this.#draw(() => this.#screen?.viewer.open(picture, (frame) => this.session.frame(picture, frame)));
        dispatch({ kind: 'open-ended', ticket, failure: null });
      } catch (error) {
        this.#failed(error, (failure) => dispatch({ kind: 'open-ended', ticket, failure }));
      }
    });
    // Whatever became of it, the next one may follow.
    this.#opening = mine.catch(() => undefined);
    await mine;
  }

  /** Lets the viewer draw the frame that is chosen now, and says whether it could. */
  async #draw(draw: () => Promise<void> | undefined): Promise<void> {
    const { open } = page.peek();
    if (!open) return;
    const { ticket, frame } = open;
    const drawn = (failure: Failure | null): void => dispatch({ kind: 'frame-drawn', ticket, frame, failure });
    try {
      await draw();
      drawn(null);
    } catch (error) {
      this.#failed(error, drawn);
    }
  }

  /** Shows the frame that was chosen last; while one is being drawn, those chosen meanwhile are passed over. */
  async showFrame(frame: number): Promise<void> {
    dispatch({ kind: 'frame-chosen', frame });
    if (this.#showing) return;
    this.#showing = true;
    try {
      let shown: number | undefined;
      for (let wanted = page.peek().open?.frame; wanted !== undefined && wanted !== shown; wanted = page.peek().open?.frame) {
        shown = wanted;
        await this.#draw(() => this.#screen?.viewer.showFrame(shown ?? 0));
      }
    } finally {
      this.#showing = false;
    }
  }

  step(by: number): void {
    const { open } = page.peek();
    if (open) void this.showFrame(open.frame + by);
  }

  firstFrame(): void {
    void this.showFrame(0);
  }

  lastFrame(): void {
    const { open } = page.peek();
    if (open) void this.showFrame(open.picture.frames - 1);
  }

  setWindow(window: WindowLevel): void {
    if (!page.peek().open?.picture.window) return;
    if (!Number.isFinite(window.center) || !Number.isFinite(window.width) || window.width < 1) return;
    dispatch({ kind: 'window-chosen', window });
    this.#screen?.viewer.setWindow(window);
  }

  /** Moves the window by shares of the width that the picture was opened with. */
  nudgeWindow(center: number, width: number): void {
    const { open } = page.peek();
    if (!open?.window || !open.picture.window) return;
    const range = open.picture.window.width;
    this.setWindow({ center: open.window.center + center * range, width: Math.max(1, open.window.width + width * range) });
  }

  /** Zooms about a point of the view, by default its centre. */
  zoom(factor: number, x?: number, y?: number): void {
    const { element, viewer } = this.#screen ?? {};
    if (element && viewer && page.peek().open) viewer.zoom(factor, x ?? element.clientWidth / 2, y ?? element.clientHeight / 2);
  }

  zoomIn(): void {
    this.zoom(ZOOM_STEP);
  }

  zoomOut(): void {
    this.zoom(1 / ZOOM_STEP);
  }

  pan(dx: number, dy: number): void {
    if (page.peek().open) this.#screen?.viewer.pan(dx, dy);
  }

  /** The placement and the window that the picture was opened with. */
  resetView(): void {
    const { open } = page.peek();
    if (open?.picture.window) this.setWindow(open.picture.window);
    this.fit();
  }

  /** The placement alone. */
  fit(): void {
    if (page.peek().open) this.#screen?.viewer.reset();
  }

  toggleMasks(): void {
    dispatch({ kind: 'masks-hidden', hidden: !page.peek().masksHidden });
  }

  /** Segments the frame on screen, with the window on screen, by each prompt of the field. */
  async segment(): Promise<void> {
    const { open, prompts } = page.peek();
    if (!open || !canSegment(page.peek())) return;
    const ticket = ++this.#ticket;
    dispatch({ kind: 'run-asked', ticket });
    const { frame, window } = open;
    let job: Job | undefined;
    try {
      this.#job = job = this.session.segment({ prompts, frame, window, rule: 'model', threshold: null }, (answer) => this.#answered(ticket, answer));
      await job.done;
      dispatch({ kind: 'run-ended', ticket, failure: null });
    } catch (error) {
      const isCancel = error instanceof Cancelled;
      if (isCancel) dispatch({ kind: 'run-ended', ticket, failure: null });
      else this.#failed(error, (failure) => dispatch({ kind: 'run-ended', ticket, failure }));
    } finally {
      if (this.#job === job) this.#job = undefined;
    }
  }

  #answered(ticket: number, { message, buffers }: Answer): void {
    if (message.kind === 'progress') {
      dispatch({ kind: 'work-step', ticket, step: { stage: message.stage, fraction: message.fraction } });
    } else if (message.kind === 'prompt') {
      const mask = new Uint8Array(buffers[0] ?? new ArrayBuffer(0));
      dispatch({ kind: 'prompt-answered', ticket, shown: { answer: message.result, mask, visible: true } });
    }
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

// The page's state and what each control does to it.
import type { Sample } from './assets';
import { colour } from './colours';
import type { Answer, Job } from './engine';
import { Cancelled, failureOf } from './failure';
import type { Failure, ModelInfo, PictureInfo, WindowLevel } from './protocol';
import type { Session } from './session';
import { clearErrors, showError, showNotice } from './ui/alerts';
import { byId, element, number } from './ui/dom';
import { showResults, type Shown } from './ui/results';
import { showStage } from './ui/status';
import type { Overlay } from './viewer/overlay';
import type { ViewerPort } from './viewer/port';

/** A worker that does not answer a cancel within this time is ended. */
const CANCEL_PATIENCE_MS = 5000;

interface Open {
  picture: PictureInfo;
  frame: number;
  window: WindowLevel | null;
  results: Map<number, Shown[]>;
}

const ui = {
  segment: byId<HTMLButtonElement>('segment'),
  cancel: byId<HTMLButtonElement>('cancel'),
  prompts: byId<HTMLInputElement>('prompts'),
  viewer: byId('viewer'),
  empty: byId('empty'),
  tools: byId('tools'),
  facts: byId('facts'),
  attribution: byId('attribution'),
  notes: byId('notes'),
  frameTools: byId('frame-tools'),
  frame: byId<HTMLInputElement>('frame'),
  framePosition: byId('frame-position'),
  windowTools: byId('window-tools'),
  center: byId<HTMLInputElement>('window-center'),
  width: byId<HTMLInputElement>('window-width'),
  samples: byId<HTMLSelectElement>('samples'),
  queue: byId('queue'),
  queuePosition: byId('queue-position'),
  provenance: byId('provenance'),
  known: byId('known-prompts'),
};

export class App {
  #open: Open | undefined;
  #model: ModelInfo | undefined;
  #job: Job | undefined;
  #busyOpening = false;
  #restarting = false;
  /** The last change of models, under way or over. */
  #change: Promise<void> | undefined;
  #queue: File[] = [];
  #queueAt = 0;
  /** What a sample case put into the prompt field, so that it can be replaced by the next one. */
  #suggested = '';

  constructor(
    readonly session: Session,
    readonly viewer: ViewerPort,
    readonly overlay: Overlay,
  ) {
    viewer.onPlacement = () => {
      if (!this.#open) return;
      const placement = viewer.placement();
      overlay.place(placement);
      const { scaleX, scaleY, left, top } = placement;
      // Where the picture is on screen, for those who drive the page by its attributes.
      ui.viewer.dataset['placement'] = [scaleX, scaleY, left, top].join(' ');
    };
  }

  get hasPicture(): boolean {
    return this.#open !== undefined;
  }

  /** The model is ready: prompts can be answered. */
  setModel(model: ModelInfo): void {
    this.#model = model;
    ui.known.replaceChildren(...model.prompts.map((value) => element('option', { value })));
    const precision = model.precision === 'f32' ? 'full precision (f32)' : `precision ${model.precision}`;
    ui.provenance.textContent = `Model ${model.name}, ${precision}, ${number(model.imageSide)} px, licence ${model.licence}. Nothing you open leaves this machine.`;
    this.idle();
  }

  /** Puts another model in place of the present one: what is open stays open, the old model's results go. */
  async changeModel(load: () => Promise<ModelInfo>): Promise<void> {
    this.#change = this.#changeModel(load);
    await this.#change;
  }

  async #changeModel(load: () => Promise<ModelInfo>): Promise<void> {
    this.#restarting = true;
    showStage('starting');
    this.#model = undefined;
    ui.segment.disabled = true;
    ui.cancel.disabled = true;
    this.#open?.results.clear();
    this.#refreshResults();
    try {
      const model = await load();
      this.#restarting = false;
      this.setModel(model);
    } finally {
      this.#restarting = false;
      this.idle();
    }
  }

  /** Nothing is being computed. */
  idle(): void {
    this.#job = undefined;
    if (this.#restarting) return;
    ui.segment.disabled = !this.#open || !this.#model;
    ui.cancel.disabled = true;
    showStage(this.#model ? 'ready' : 'failed');
  }

  /** The engine crashed; work under way is lost, what is on screen stays. */
  crashed(failure: Failure): void {
    showError(failure);
    showStage('failed');
    ui.segment.disabled = true;
  }

  /** Opens the first of these files and keeps the rest for the buttons beside it. */
  async openFiles(files: File[]): Promise<void> {
    if (files.length === 0) return;
    this.#queue = files;
    await this.#openQueued(0);
  }

  async stepQueue(by: number): Promise<void> {
    const at = this.#queueAt + by;
    if (at >= 0 && at < this.#queue.length) await this.#openQueued(at);
  }

  async #openQueued(at: number): Promise<void> {
    const file = this.#queue[at];
    if (!file) return;
    this.#queueAt = at;
    ui.queue.hidden = this.#queue.length < 2;
    ui.queuePosition.textContent = `Image ${number(at + 1)} of ${number(this.#queue.length)}`;
    if (await this.#openBlob(file)) {
      ui.attribution.hidden = true;
      ui.samples.value = '';
    }
  }

  async openSample(sample: Sample): Promise<void> {
    this.#queue = [];
    ui.queue.hidden = true;
    if (!(await this.#openBlob(sample.bytes))) return;
    ui.attribution.hidden = false;
    ui.attribution.textContent = [sample.attribution, `licence ${sample.licence}`, sample.source].join(' · ');
    if (ui.prompts.value.trim() === '' || ui.prompts.value === this.#suggested) {
      this.#suggested = sample.prompts.join(', ');
      ui.prompts.value = this.#suggested;
    }
  }

  async #openBlob(file: Blob): Promise<boolean> {
    if (this.#busyOpening || this.#job) return false;
    this.#busyOpening = true;
    try {
      // A model that fails to load says so itself; pictures can be opened all the same.
      await this.#change?.catch(() => undefined);
      showStage('decode');
      const picture = await this.session.open(file);
      this.#open = { picture, frame: 0, window: picture.window, results: new Map() };
      this.overlay.setLayers(picture.width, picture.height, []);
      await this.viewer.open(picture, (frame) => this.session.frame(frame));
      clearErrors();
      this.#describe(picture);
      this.#refreshResults();
      return true;
    } catch (error) {
      this.#report(error);
      return false;
    } finally {
      this.#busyOpening = false;
      this.idle();
    }
  }

  #describe(picture: PictureInfo): void {
    ui.empty.hidden = true;
    ui.tools.hidden = false;
    const spacing = picture.spacingMm;
    const parts = [
      [picture.format, picture.modality].filter(Boolean).join(' '),
      `${number(picture.width)} × ${number(picture.height)}`,
      ...(picture.frames > 1 ? [`${number(picture.frames)} frames`] : []),
      spacing ? `${number(spacing[1], 3)} × ${number(spacing[0], 3)} mm` : 'not calibrated',
    ];
    ui.facts.textContent = parts.join(' · ');
    ui.notes.textContent = picture.notes.join(' ');
    ui.notes.hidden = picture.notes.length === 0;
    ui.frameTools.hidden = picture.frames < 2;
    ui.frame.max = String(picture.frames);
    ui.windowTools.hidden = picture.window === null;
    this.#showPosition();
    this.#showWindow();
  }

  async showFrame(frame: number): Promise<void> {
    const open = this.#open;
    if (!open || this.#job || this.#restarting || frame < 0 || frame >= open.picture.frames || frame === open.frame) return;
    open.frame = frame;
    this.#showPosition();
    this.#refreshResults();
    try {
      await this.viewer.showFrame(frame);
    } catch (error) {
      this.#report(error);
    }
  }

  step(by: number): void {
    if (this.#open) void this.showFrame(this.#open.frame + by);
  }

  setWindow(window: WindowLevel): void {
    const open = this.#open;
    if (!open?.picture.window || this.#job) return;
    if (!Number.isFinite(window.center) || !Number.isFinite(window.width) || window.width < 1) return;
    open.window = window;
    this.viewer.setWindow(window);
    this.#showWindow();
  }

  /** Moves the window by shares of the width that the picture was opened with. */
  nudgeWindow(center: number, width: number): void {
    const open = this.#open;
    if (!open?.window || !open.picture.window) return;
    const range = open.picture.window.width;
    this.setWindow({
      center: open.window.center + center * range,
      width: Math.max(1, open.window.width + width * range),
    });
  }

  resetView(): void {
    if (this.#open?.picture.window) this.setWindow(this.#open.picture.window);
    if (this.#open) this.viewer.reset();
  }

  /** Segments the frame on screen, with the window on screen, by each prompt of the field. */
  async segment(): Promise<void> {
    const open = this.#open;
    if (!open || this.#job || this.#restarting || !this.#model) return;
    const prompts = ui.prompts.value;
    const fresh: Shown[] = [];
    const { frame, window } = open;
    const onPrompt = (answer: Answer): void => {
      if (answer.message.kind !== 'prompt') return;
      const { result } = answer.message;
      fresh.push({ answer: result, mask: new Uint8Array(answer.buffers[0] ?? new ArrayBuffer(0)), visible: true });
      if (result.cut) showNotice(result.cut);
      open.results.set(frame, fresh);
      this.#refreshResults();
    };
    ui.segment.disabled = true;
    ui.cancel.disabled = false;
    clearErrors();
    showStage('image');
    try {
      this.#job = this.session.segment({ prompts, frame, window, rule: 'model', threshold: null }, onPrompt);
      await this.#job.done;
    } catch (error) {
      this.#report(error);
    } finally {
      this.idle();
    }
  }

  /** Stops a running segmentation: politely first, then by ending the worker. */
  async cancel(): Promise<void> {
    const job = this.#job;
    if (!job) return;
    ui.cancel.disabled = true;
    showStage('cancelling');
    job.cancel();
    const ended = job.done.then(
      () => true,
      () => true,
    );
    const late = new Promise<false>((resolve) => setTimeout(() => resolve(false), CANCEL_PATIENCE_MS));
    if (await Promise.race([ended, late])) return;
    this.#restarting = true;
    try {
      await this.session.restart();
    } finally {
      this.#restarting = false;
      this.idle();
    }
  }

  #report(error: unknown): void {
    if (error instanceof Cancelled) return;
    const failure = failureOf(error);
    showError(failure);
    if (failure.code === 'PAGE-FAULT') throw error;
  }

  #showPosition(): void {
    if (!this.#open) return;
    const { frame, picture } = this.#open;
    ui.frame.value = String(frame + 1);
    ui.framePosition.textContent = `${number(frame + 1)} / ${number(picture.frames)}`;
  }

  #showWindow(): void {
    if (!this.#open?.window) return;
    ui.center.value = String(Math.round(this.#open.window.center * 10) / 10);
    ui.width.value = String(Math.round(this.#open.window.width * 10) / 10);
  }

  #refreshResults(): void {
    const open = this.#open;
    const results = open?.results.get(open.frame) ?? [];
    showResults(open?.picture, results, () => this.#paint());
    this.#paint();
  }

  #paint(): void {
    const open = this.#open;
    if (!open) return;
    const shown = (open.results.get(open.frame) ?? []).filter((result) => result.visible);
    const layers = shown.map(({ mask, answer }) => ({ mask, rgb: colour(answer.index).rgb }));
    this.overlay.setLayers(open.picture.width, open.picture.height, layers);
  }
}

// The engine with everything it needs to be started, and started again after a crash: the compiled module, the model's
// files and the series that is open, with its segments. Requests that come while it is not there wait until it is.
import { fetchModel, fetchModule, type ModelFile } from './assets';
import { Engine, type Answer, type Job, type Message } from './engine';
import { Cancelled, Failed } from './failure';
import type { BackendChoice, DocumentInfo, Failure, ListingInfo, ModelInfo, OpenSeries, Response } from './protocol';
import { Remembered } from './remembered';
import type { PageEvent } from './state/event';

/** Which model to load. */
export interface ModelChoice {
  /** Its folder in the store; `null` for the model that comes with the page. */
  stored: string | null;
  /** Side in pixels of the square that it looks at; `null` for its own. */
  imageSide: number | null;
}

type Why = Extract<PageEvent, { kind: 'launched' }>['why'];
type Progress = Extract<Response, { kind: 'progress' }>;

/** A file with the path that it has within what was chosen. The name stays in the worker: it pairs files. */
export interface NamedFile {
  name: string;
  file: Blob;
}

/** Files that were listed, and which of their series is open. */
interface Opened {
  files: NamedFile[];
  series: number | undefined;
}

/** The answer of a kind, with the buffers beside it. */
export interface AnswerOf<K extends Response['kind']> {
  message: Extract<Response, { kind: K }>;
  buffers: ArrayBuffer[];
}

/** Crashes one after the other until it stops trying by itself. */
const PATIENCE = 3;

export class Session {
  readonly #remembered = new Remembered();
  #engine: Engine | undefined;
  #module: Promise<WebAssembly.Module> | undefined;
  #builtIn: Promise<ModelFile[]> | undefined;
  #model: Promise<ModelChoice> | ModelChoice = { stored: null, imageSide: null };
  #opened: Opened | undefined;
  /** What was open before the files that were listed last: until one of their series is open, it may come back. */
  #before: Opened | undefined;
  #launch = 0;
  /** The newest engine, once it has the series that was open. */
  #ready: Promise<Engine> = new Promise(() => undefined);
  #crashes = 0;

  /** Brings the segments of the series that was open back to a new engine; set by who keeps them. */
  restore: (ask: Ask) => Promise<void> = () => Promise.resolve();

  constructor(
    readonly choice: BackendChoice,
    readonly tell: (event: PageEvent) => void,
  ) {}

  /** Starts the engine with a model; rejects with `Cancelled` where another launch took its place. */
  launch(why: Why, model: Promise<ModelChoice> | ModelChoice = this.#model): Promise<ModelInfo> {
    this.#model = model;
    const launch = ++this.#launch;
    this.#engine?.stop();
    this.#engine = undefined;
    this.tell({ kind: 'launched', launch, why });
    this.#ready = this.#start(launch);
    return this.#load(launch, this.#ready);
  }

  /** The worker, running, with the series that was open. */
  async #start(launch: number): Promise<Engine> {
    this.#module ??= fetchModule();
    // A failed download is tried again the next time.
    this.#module.catch(() => (this.#module = undefined));
    const module = await this.#module;
    this.#mustBe(launch);
    const engine = new Engine((failure) => this.#crashed(launch, failure));
    this.#engine = engine;
    const onPart = this.#engineSteps(launch);
    const job = engine.send({ kind: 'start', backend: this.choice, kernels: kept() }, [], onPart, module);
    const { backend, whyCpu, kernels, selfTest } = expect((await job.done).message, 'started');
    this.#mustBe(launch);
    keep(kernels);
    this.tell({ kind: 'engine-started', launch, backend, whyCpu, selfTest });
    await this.#reopen(engine);
    return engine;
  }

  async #reopen(engine: Engine): Promise<void> {
    if (this.#opened?.series === undefined) this.#opened = this.#before;
    if (this.#opened?.series === undefined) return;
    const { files, series } = this.#opened;
    await engine.send(listing(files), blobs(files)).done;
    await engine.send({ kind: 'open-series', series }).done;
    await this.restore(asking(engine));
  }

  async #load(launch: number, ready: Promise<Engine>): Promise<ModelInfo> {
    const choice = await this.#model;
    this.#mustBe(launch);
    const files = choice.stored === null ? await this.#fetchBuiltIn(launch) : undefined;
    const engine = await ready;
    const { imageSide } = choice;
    const onPart = this.#engineSteps(launch);
    const job = files
      ? engine.send({ kind: 'load-model', files: files.map(({ name }) => name), imageSide }, await Promise.all(files.map(({ bytes }) => bytes.arrayBuffer())), onPart)
      : engine.send({ kind: 'open-stored', model: choice.stored ?? '', imageSide }, [], onPart);
    const { model } = expect((await job.done).message, 'model-loaded');
    const { message } = await engine.send({ kind: 'cache', budgetMib: this.#remembered.embeddings }).done;
    this.#mustBe(launch);
    this.tell({ kind: 'cache-told', cache: expect(message, 'cache').cache });
    this.tell({ kind: 'model-loaded', launch, model });
    return model;
  }

  /** Nothing that was begun for an earlier engine goes on. */
  #mustBe(launch: number): void {
    if (launch !== this.#launch) throw new Cancelled();
  }

  #engineSteps(launch: number): (answer: Answer) => void {
    return ({ message }) => {
      if (message.kind === 'progress') this.tell({ kind: 'engine-step', launch, step: { stage: message.stage, fraction: message.fraction } });
    };
  }

  #fetchBuiltIn(launch: number): Promise<ModelFile[]> {
    this.#builtIn ??= fetchModel((fraction) => this.tell({ kind: 'engine-step', launch, step: { stage: 'download', fraction } }));
    this.#builtIn.catch(() => (this.#builtIn = undefined));
    return this.#builtIn;
  }

  #crashed(launch: number, failure: Failure): void {
    if (launch !== this.#launch) return;
    this.tell({ kind: 'crashed', launch, failure });
    // A fault that comes back on the way up would go round for ever.
    const givesUp = failure.code === 'ENGINE-START' || ++this.#crashes >= PATIENCE;
    if (givesUp) return this.#giveUp(launch, failure.code === 'ENGINE-START' ? failure : gaveUp);
    this.launch('crash').catch((error: unknown) => this.#relaunchFailed(error));
  }

  #relaunchFailed(error: unknown): void {
    // Of another crash, and of a launch that another one replaced, is told elsewhere.
    if (error instanceof Cancelled || (error instanceof Failed && error.failure.code === 'ENGINE-CRASHED')) return;
    this.#giveUp(this.#launch, error instanceof Failed ? error.failure : gaveUp);
  }

  /** Until someone tries again; requests are refused with the reason. */
  #giveUp(launch: number, failure: Failure): void {
    this.#crashes = 0;
    this.#ready = Promise.reject(new Failed(failure));
    this.#ready.catch(() => undefined);
    this.tell({ kind: 'launch-failed', launch, failure });
  }

  /** The engine, as soon as it can be asked; the newest one, where it is replaced meanwhile. */
  async #up(): Promise<Engine> {
    for (;;) {
      const ready = this.#ready;
      try {
        const engine = await ready;
        if (ready === this.#ready) return engine;
      } catch (error) {
        if (ready === this.#ready) throw error;
      }
    }
  }

  /** Sorts files into series. Where there is none, what was open is open again, and it rejects with the reason. */
  async openFiles(files: NamedFile[], isWanted: () => boolean, onProgress: (progress: Progress) => void): Promise<ListingInfo> {
    const engine = await this.#up();
    if (!isWanted()) throw new Cancelled();
    const { message } = await engine.send(listing(files), blobs(files), progressTo(onProgress)).done;
    const { listing: info } = expect(message, 'listed');
    // The engine has let go of what was open.
    if (this.#opened?.series !== undefined) this.#before = this.#opened;
    this.#opened = { files, series: undefined };
    if (info.series.length === 0) {
      await this.revert();
      throw new Failed(info.failures[0]?.failure ?? (info.others > 0 ? noPixels : noImage));
    }
    return info;
  }

  /** None of the series that were listed last can be opened: opens again what was open before. */
  async revert(): Promise<void> {
    const engine = await this.#up();
    this.#opened = undefined;
    await this.#reopen(engine);
  }

  /** Opens a series of the listing; on failure what was open stays open. */
  async openSeries(series: number, onProgress: (progress: Progress) => void): Promise<{ series: OpenSeries; document: DocumentInfo }> {
    const engine = await this.#up();
    const { message } = await engine.send({ kind: 'open-series', series }, [], progressTo(onProgress)).done;
    const opened = expect(message, 'series-opened');
    if (this.#opened) this.#opened.series = series;
    return opened;
  }

  /** Asks what has one answer, of the kind given. */
  async ask<K extends Response['kind']>(message: Message, kind: K, buffers: ArrayBuffer[] = []): Promise<AnswerOf<K>> {
    return asking(await this.#up())(message, kind, buffers);
  }

  /** Segments; `onPart` is told of each picture's answers and of progress. Only while the engine is there. */
  segment(request: Omit<Extract<Message, { kind: 'segment-series' }>, 'kind'>, onPart: (answer: Answer) => void): Job {
    if (!this.#engine) throw new Failed(notStarted);
    // Asked now, with what was encoded ahead; asked afterwards it would end the next look ahead before it begins.
    void this.askCache();
    const job = this.#engine.send({ kind: 'segment-series', ...request }, [], onPart);
    void job.done.then(
      () => (this.#crashes = 0),
      () => undefined,
    );
    return job;
  }

  /** Sets what embeddings may take, in MiB, for this and later visits; `null` leaves it to the engine. */
  async setEmbeddingMemory(budgetMib: number | null): Promise<void> {
    this.#remembered.embeddings = budgetMib;
    const { message } = await (await this.#up()).send({ kind: 'cache', budgetMib }).done;
    this.tell({ kind: 'cache-told', cache: expect(message, 'cache').cache });
  }

  /** Tells what embeddings are kept, if the engine can say. */
  async askCache(): Promise<void> {
    const answer = await this.#engine?.send({ kind: 'cache', budgetMib: null }).done.catch(() => undefined);
    if (answer) this.tell({ kind: 'cache-told', cache: expect(answer.message, 'cache').cache });
  }
}

const progressTo =
  (onProgress: (progress: Progress) => void) =>
  ({ message }: Answer): void => {
    if (message.kind === 'progress') onProgress(message);
  };

const listing = (files: NamedFile[]): Message => ({ kind: 'open-files', names: files.map(({ name }) => name) });

const blobs = (files: NamedFile[]): Blob[] => files.map(({ file }) => file);

/** What `Session.ask` does, of one engine. */
export type Ask = <K extends Response['kind']>(message: Message, kind: K, buffers?: ArrayBuffer[]) => Promise<AnswerOf<K>>;

const asking =
  (engine: Engine): Ask =>
  async (message, kind, buffers = []) => {
    const answer = await engine.send(message, buffers).done;
    return { message: expect(answer.message, kind), buffers: answer.buffers };
  };

const KERNELS = 'medsam3.kernels';

/** What an earlier visit measured of the kernels on this graphics processor. Where storage is denied, it is measured anew. */
function kept(): string | null {
  try {
    return localStorage.getItem(KERNELS);
  } catch {
    return null;
  }
}

function keep(kernels: string | null): void {
  try {
    if (kernels) localStorage.setItem(KERNELS, kernels);
  } catch {
    // The next visit measures again.
  }
}

const noImage: Failure = {
  code: 'IMAGE-UNKNOWN',
  message: 'This is not a DICOM, NIfTI, PNG, JPEG or TIFF image.',
  nextStep: 'Choose files in one of these formats, a folder of them, or a zip archive.',
};

const noPixels: Failure = {
  code: 'DICOM-NO-PIXELS',
  message: 'This DICOM object holds no image.',
  nextStep: 'Choose the images of the same study.',
};

const notStarted: Failure = {
  code: 'ENGINE-NOT-READY',
  message: 'The engine is not running.',
  nextStep: 'Wait until the page is ready, or reload it.',
};

const gaveUp: Failure = {
  code: 'ENGINE-GAVE-UP',
  message: 'The engine stopped several times in a row.',
  nextStep: 'Press "Try again", or choose another model or a smaller picture.',
};

function expect<K extends Response['kind']>(message: Response, kind: K): Extract<Response, { kind: K }> {
  if (message.kind !== kind) throw new Failed({ ...notStarted, code: 'ENGINE-PROTOCOL', message: 'The engine gave an answer that the page does not know.' });
  return message as Extract<Response, { kind: K }>;
}

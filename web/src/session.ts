// The engine with everything it needs to be started, and started again after a crash: the compiled
// module, the model's files and the picture that is open.
import { fetchModel, fetchModule, type ModelFile } from './assets';
import { Engine, type Answer, type Job, type Message } from './engine';
import { Failed } from './failure';
import type { Backend, BackendChoice, CacheInfo, Failure, ModelInfo, PictureInfo, Response, SelfTest } from './protocol';
import { Remembered } from './remembered';
import type { FramePixels } from './viewer/port';

export interface SessionEvents {
  onProgress(message: Extract<Response, { kind: 'progress' }>): void;
  onDownload(fraction: number): void;
  /** What embeddings are kept has changed, or may have. */
  onCache(cache: CacheInfo): void;
  onBackend(backend: Backend, whyCpu: Failure | null, selfTest: SelfTest | null): void;
  /** The engine crashed and is being started again. */
  onCrash(failure: Failure): void;
  /** The engine is back, with the model and the picture it had. */
  onRestarted(): void;
}

/** Which model to load. */
export interface ModelChoice {
  /** Its folder in the store; `null` for the model that comes with the page. */
  stored: string | null;
  /** Side in pixels of the square that it looks at; `null` for its own. */
  imageSide: number | null;
}

export class Session {
  readonly #remembered = new Remembered();
  #engine: Engine | undefined;
  #module: WebAssembly.Module | undefined;
  #builtIn: Promise<ModelFile[]> | undefined;
  #model: ModelChoice = { stored: null, imageSide: null };
  #file: Blob | undefined;
  #picture: PictureInfo | undefined;
  #restarts = 0;

  constructor(
    readonly choice: BackendChoice,
    readonly events: SessionEvents,
  ) {}

  /** Fetches what is needed and starts the engine; pictures can be opened once it is done. */
  async start(model: Promise<ModelChoice>): Promise<void> {
    const files = async (): Promise<void> => {
      this.#model = await model;
      if (this.#model.stored === null) await this.#fetchBuiltIn();
    };
    [this.#module] = await Promise.all([fetchModule(), files()]);
    await this.#launch();
  }

  /** Hands the model to the engine. */
  async loadModel(): Promise<ModelInfo> {
    const { stored, imageSide } = this.#model;
    const job = stored === null ? await this.#loadBuiltIn(imageSide) : this.#send({ kind: 'open-stored', model: stored, imageSide });
    const { model } = expect((await job.done).message, 'model-loaded');
    await this.setEmbeddingMemory(this.#remembered.embeddings);
    return model;
  }

  /** Sets what embeddings may take, in MiB, for this and later visits; `null` leaves it to the engine. */
  async setEmbeddingMemory(budgetMib: number | null): Promise<void> {
    this.#remembered.embeddings = budgetMib;
    const { message } = await this.#send({ kind: 'cache', budgetMib }).done;
    this.events.onCache(expect(message, 'cache').cache);
  }

  /** Tells what embeddings are kept, if the engine can say. */
  async askCache(): Promise<void> {
    const answer = await this.#send({ kind: 'cache', budgetMib: null }).done.catch(() => undefined);
    if (answer) this.events.onCache(expect(answer.message, 'cache').cache);
  }

  /** Puts another model in place of the present one, in a new worker: memory that a model took is not given back. */
  async changeModel(model: ModelChoice): Promise<ModelInfo> {
    this.#model = model;
    return this.restart();
  }

  /** Opens a picture; on failure what was open stays open. */
  async open(file: Blob): Promise<PictureInfo> {
    const { message } = await this.#send({ kind: 'open' }, [await file.arrayBuffer()]).done;
    this.#file = file;
    this.#picture = expect(message, 'opened').picture;
    return this.#picture;
  }

  /** Pixels of a frame of the open picture. */
  async frame(frame: number): Promise<FramePixels> {
    const { message, buffers } = await this.#send({ kind: 'frame', frame }).done;
    const { minimum, maximum } = expect(message, 'frame');
    const buffer = buffers[0] ?? new ArrayBuffer(0);
    const values = this.#picture?.pixels === 'rgb' ? new Uint8Array(buffer) : new Float32Array(buffer);
    return { values, minimum, maximum };
  }

  /** Segments; `onPrompt` is told of each prompt's answer as it comes. */
  segment(request: Omit<Extract<Message, { kind: 'segment' }>, 'kind'>, onPrompt: (answer: Answer) => void): Job {
    // Asked now, with what was encoded ahead; asked afterwards it would end the next look ahead before it begins.
    void this.askCache();
    return this.#send({ kind: 'segment', ...request }, [], onPrompt);
  }

  /** Ends the worker, work and all, and brings a new one to the same state. */
  async restart(): Promise<ModelInfo> {
    this.#engine?.stop();
    await this.#launch();
    if (this.#file) await this.open(this.#file);
    return this.loadModel();
  }

  #fetchBuiltIn(): Promise<ModelFile[]> {
    this.#builtIn ??= fetchModel((fraction) => this.events.onDownload(fraction));
    // A failed download is tried again the next time.
    this.#builtIn.catch(() => (this.#builtIn = undefined));
    return this.#builtIn;
  }

  async #loadBuiltIn(imageSide: number | null): Promise<Job> {
    const files = await this.#fetchBuiltIn();
    const buffers = await Promise.all(files.map((file) => file.bytes.arrayBuffer()));
    return this.#send({ kind: 'load-model', files: files.map((file) => file.name), imageSide }, buffers);
  }

  async #launch(): Promise<void> {
    this.#engine = new Engine((failure) => void this.#crashed(failure));
    const job = this.#send({ kind: 'start', backend: this.choice, kernels: kept() }, [], undefined, this.#module);
    const { backend, whyCpu, kernels, selfTest } = expect((await job.done).message, 'started');
    keep(kernels);
    this.events.onBackend(backend, whyCpu, selfTest);
  }

  async #crashed(failure: Failure): Promise<void> {
    // A fault that comes back on the way up would go round for ever.
    if (failure.code === 'ENGINE-START' || ++this.#restarts > 3) return this.events.onCrash(failure);
    this.events.onCrash(failure);
    await this.restart().then(
      () => this.events.onRestarted(),
      () => undefined,
    );
  }

  #send(message: Message, buffers: (ArrayBuffer | Blob)[] = [], onPart?: (answer: Answer) => void, module?: WebAssembly.Module): Job {
    if (!this.#engine) throw new Failed(notStarted);
    const part = (answer: Answer): void => {
      if (answer.message.kind === 'progress') this.events.onProgress(answer.message);
      else onPart?.(answer);
    };
    return this.#engine.send(message, buffers, part, module);
  }
}

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

const notStarted: Failure = {
  code: 'ENGINE-NOT-READY',
  message: 'The engine is not running.',
  nextStep: 'Wait until the page is ready, or reload it.',
};

function expect<K extends Response['kind']>(message: Response, kind: K): Extract<Response, { kind: K }> {
  if (message.kind !== kind) throw new Failed({ ...notStarted, code: 'ENGINE-PROTOCOL', message: 'The engine gave an answer that the page does not know.' });
  return message as Extract<Response, { kind: K }>;
}

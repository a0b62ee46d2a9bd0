// The page's side of the worker protocol: requests with ids, progress, cancel, and what happens when the worker dies.
// Requests wait here until the worker can take them: it drops what comes before its module is there.
import { Cancelled, Failed } from './failure';
import type { Failure, Request, Response } from './protocol';

/** A request without its id, which this module assigns. */
type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;
export type Message = WithoutId<Request>;

/** An answer and the binary data beside it. */
export interface Answer {
  message: Response;
  buffers: ArrayBuffer[];
}

interface Pending {
  resolve(answer: Answer): void;
  reject(error: Error): void;
  onPart: ((answer: Answer) => void) | undefined;
}

/** A request under way. */
export interface Job {
  /** The closing answer; rejects with `Failed` or `Cancelled`. */
  done: Promise<Answer>;
  /** Asks the worker to stop it. */
  cancel(): void;
  /** Asks the worker to halt a run over a series; `run-state` says when it has. */
  pause(): void;
  /** Asks the worker to go on with it. */
  resume(): void;
}

/** Kinds of answers that come before the closing one. */
const PARTS: ReadonlySet<Response['kind']> = new Set(['progress', 'slice-segmented', 'run-state']);

export class Engine {
  #worker: Worker;
  #nextId = 1;
  #pending = new Map<number, Pending>();
  /** Requests that wait for `start` to be answered; absent once it is. */
  #waiting: (() => void)[] | undefined = [];
  /** Why it cannot be asked any more. */
  #over: Error | undefined;

  /** `onCrash` is called once when the worker cannot go on. */
  constructor(onCrash: (failure: Failure) => void) {
    this.#worker = new Worker(new URL('app/worker.js', document.baseURI), { type: 'module', name: 'medsam3' });
    const die = (failure: Failure): void => {
      this.#end(new Failed(failure));
      onCrash(failure);
    };
    this.#worker.addEventListener('message', (event: MessageEvent<Answer>) => {
      const { message } = event.data;
      if (message.kind === 'error' && message.id === 0) return die(message.error);
      this.#settle(event.data);
    });
    this.#worker.addEventListener('error', (event) => {
      event.preventDefault();
      die({
        code: 'ENGINE-START',
        message: 'The engine could not be started in this browser.',
        nextStep: 'Reload the page; use a current version of Chrome, Edge, Firefox or Safari.',
      });
    });
  }

  /**
   * Sends a request; `onPart` is told of every answer before the closing one. Array buffers move to the worker, files
   * and blobs are shared with it.
   */
  send(message: Message, buffers: (ArrayBuffer | Blob)[] = [], onPart?: (answer: Answer) => void, module?: WebAssembly.Module): Job {
    const id = this.#nextId++;
    const done = new Promise<Answer>((resolve, reject) => {
      if (this.#over) return reject(this.#over);
      this.#pending.set(id, { resolve, reject, onPart });
    });
    const transfer = buffers.filter((buffer) => buffer instanceof ArrayBuffer);
    const post = (): void => this.#worker.postMessage({ message: { ...message, id }, buffers, module }, { transfer });
    if (this.#waiting && message.kind !== 'start') this.#waiting.push(post);
    else post();
    return {
      done,
      cancel: () => void this.#post({ kind: 'cancel', target: id }),
      pause: () => void this.#post({ kind: 'pause', target: id }),
      resume: () => void this.#post({ kind: 'resume', target: id }),
    };
  }

  /** Ends the worker at once; what was under way counts as cancelled. */
  stop(): void {
    this.#end(new Cancelled());
  }

  #end(reason: Error): void {
    this.#over ??= reason;
    this.#waiting = undefined;
    this.#worker.terminate();
    for (const pending of this.#pending.values()) pending.reject(reason);
    this.#pending.clear();
  }

  #post(message: Message): void {
    const post = (): void => this.#worker.postMessage({ message: { ...message, id: this.#nextId++ }, buffers: [] });
    if (this.#waiting) this.#waiting.push(post);
    else post();
  }

  #release(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const post of waiting) post();
  }

  #settle(answer: Answer): void {
    const { message } = answer;
    if (message.kind === 'started') this.#release();
    const pending = this.#pending.get(message.id);
    if (!pending) return;
    if (PARTS.has(message.kind)) return pending.onPart?.(answer);
    this.#pending.delete(message.id);
    if (message.kind === 'error') pending.reject(new Failed(message.error));
    else if (message.kind === 'cancelled') pending.reject(new Cancelled());
    else pending.resolve(answer);
  }
}

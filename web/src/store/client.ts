// The page's side of the store's worker: requests with ids, one closing answer each. The worker is
// started by the first of them.
import { Failed } from '../failure';
import type { Advance } from './install';
import type { FromPage, StoreRequest, StoreResponse, ToPage } from './messages';

interface Pending {
  resolve(response: StoreResponse): void;
  reject(error: Error): void;
  onAdvance: ((advance: Advance) => void) | undefined;
}

export class Store {
  #worker: Worker | undefined;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;

  /** Downloads a folder of the host, or goes on with it; the model's id, or nothing when it was paused. */
  download(folder: string, onAdvance: (advance: Advance) => void): Promise<string | undefined> {
    return this.#bring({ kind: 'download', page: document.baseURI, folder }, onAdvance);
  }

  /** Copies a folder that the user chose, or goes on with it; as `download`. */
  import(files: File[], onAdvance: (advance: Advance) => void): Promise<string | undefined> {
    return this.#bring({ kind: 'import', files }, onAdvance);
  }

  async pause(): Promise<void> {
    await this.#ask({ kind: 'pause' });
  }

  async delete(model: string): Promise<void> {
    await this.#ask({ kind: 'delete', model });
  }

  async markDamaged(model: string): Promise<void> {
    await this.#ask({ kind: 'mark-damaged', model });
  }

  async #bring(request: StoreRequest, onAdvance: (advance: Advance) => void): Promise<string | undefined> {
    const response = await this.#ask(request, onAdvance);
    return response.kind === 'installed' ? response.model : undefined;
  }

  #ask(message: StoreRequest, onAdvance?: (advance: Advance) => void): Promise<StoreResponse> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, onAdvance });
      this.#worker ??= this.#start();
      this.#worker.postMessage({ id, message } satisfies FromPage);
    });
  }

  #start(): Worker {
    const worker = new Worker(new URL('app/store.js', document.baseURI), { type: 'module', name: 'store' });
    worker.addEventListener('message', (event: MessageEvent<ToPage>) => this.#settle(event.data));
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      for (const pending of this.#pending.values()) pending.reject(new Failed(notStarted));
      this.#pending.clear();
      worker.terminate();
      this.#worker = undefined;
    });
    return worker;
  }

  #settle({ id, message }: ToPage): void {
    const pending = this.#pending.get(id);
    if (!pending) return;
    if (message.kind === 'advance') return pending.onAdvance?.(message.advance);
    this.#pending.delete(id);
    if (message.kind === 'error') pending.reject(new Failed(message.error));
    else pending.resolve(message);
  }
}

const notStarted = {
  code: 'STORE-START',
  message: 'The part of the page that keeps models could not be started.',
  nextStep: 'Reload the page; the built-in model works all the same.',
};

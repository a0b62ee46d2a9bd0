// How long to wait before a broken connection is tried again, and when to give up.
import { faults } from './faults';

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 15_000;
/** Without any progress, about half a minute in all. */
const TRIES = 7;

export class Patience {
  #fruitless = 0;

  /** Waits: at once again after progress, twice as long after each try without any, at last `STORE-NETWORK`. */
  async wait(progress: boolean, signal: AbortSignal): Promise<void> {
    this.#fruitless = progress ? 0 : this.#fruitless + 1;
    if (this.#fruitless >= TRIES) throw faults.network();
    await pause(Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#fruitless), signal);
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, milliseconds);
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', stop, { once: true });
  });
}

// One writer across all tabs, and no model deleted while a tab uses it (Web Locks). The browser releases a lock
// when the tab that holds it is closed or crashes.
import type { Failed } from '../failure';

/** Held by whoever changes the store. */
export const WRITER = 'medsam3-models-writer';
/** Shared by those who use a model. */
export const userOf = (model: string): string => `medsam3-model-${model}`;

/** A tab that was closed a moment ago still holds its locks for a moment. */
const PATIENCE_MS = 1500;

/** Runs `work` while nobody else holds the lock; throws `refusal` soon where somebody does. */
export async function alone<T>(name: string, refusal: () => Failed, work: () => Promise<T>): Promise<T> {
  let isMine = false;
  try {
    return (await navigator.locks.request(name, { signal: AbortSignal.timeout(PATIENCE_MS) }, () => {
      isMine = true;
      return work();
    })) as T;
  } catch (error) {
    throw isMine ? error : refusal();
  }
}

/** Takes a share of the lock until the function that it resolves to is called. */
export function share(name: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const held = navigator.locks.request(name, { mode: 'shared' }, () => new Promise<void>((release) => resolve(release)));
    held.catch(reject);
  });
}

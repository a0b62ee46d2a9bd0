// One writer across all tabs, and no model deleted while a tab uses it (Web Locks). The browser releases a lock
// when the tab that holds it is closed or crashes.
import type { Failed } from '../failure';

/** Held by whoever changes the store. */
export const WRITER = 'medsam3-models-writer';
/** Shared by those who use a model. */
export const userOf = (model: string): string => `medsam3-model-${model}`;

/** Runs `work` while nobody else holds the lock; throws `refusal` at once where somebody does. */
export async function alone<T>(name: string, refusal: () => Failed, work: () => Promise<T>): Promise<T> {
  return navigator.locks.request(name, { ifAvailable: true }, async (lock) => {
    if (!lock) throw refusal();
    return work();
  }) as Promise<T>;
}

/** Takes a share of the lock until the function that it resolves to is called. */
export function share(name: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const held = navigator.locks.request(name, { mode: 'shared' }, () => new Promise<void>((release) => resolve(release)));
    held.catch(reject);
  });
}

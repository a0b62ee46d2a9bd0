// The store's worker: fetches models from the page's own host and keeps them. It may reach that host and nothing
// else, and no picture, prompt or mask is ever sent to it; the worker that has those has no network.
import { failureOf } from '../failure';
import { Chosen } from './chosen';
import { Paused, faults } from './faults';
import { withoutStorage } from './folder';
import { Host } from './host';
import { install, type Advance } from './install';
import { WRITER, alone } from './locks';
import type { FromPage, StoreRequest, StoreResponse, ToPage } from './messages';
import { markDamaged, remove } from './remove';
import type { Source } from './source';

/** Progress is told at most this often. */
const TELL_EVERY_MS = 100;

let running: AbortController | undefined;

self.addEventListener('message', async (event: MessageEvent<FromPage>) => {
  const { id, message } = event.data;
  const post = (response: StoreResponse): void => self.postMessage({ id, message: response } satisfies ToPage);
  try {
    post(await answer(message, (advance) => post({ kind: 'advance', advance })));
  } catch (error) {
    if (error instanceof Paused) post({ kind: 'paused' });
    else post({ kind: 'error', error: failureOf(withoutStorage(error)) });
  }
});

async function answer(request: StoreRequest, onAdvance: (advance: Advance) => void): Promise<StoreResponse> {
  switch (request.kind) {
    case 'download':
      return bring(new Host(request.folder, request.page), onAdvance);
    case 'import':
      return bring(new Chosen(request.files), onAdvance);
    case 'pause':
      running?.abort();
      return { kind: 'done' };
    case 'delete':
      await alone(WRITER, faults.busy, () => remove(request.model));
      return { kind: 'done' };
    case 'mark-damaged':
      await alone(WRITER, faults.busy, () => markDamaged(request.model));
      return { kind: 'done' };
  }
}

async function bring(source: Source, onAdvance: (advance: Advance) => void): Promise<StoreResponse> {
  return alone(WRITER, faults.busy, async () => {
    running = new AbortController();
    try {
      return { kind: 'installed', model: await install(source, running.signal, seldom(onAdvance)) };
    } finally {
      running = undefined;
    }
  });
}

/** Adds up what was fetched in between. */
function seldom(onAdvance: (advance: Advance) => void): (advance: Advance) => void {
  let told = 0;
  let fresh = 0;
  return (advance) => {
    fresh += advance.freshBytes;
    if (performance.now() - told < TELL_EVERY_MS && advance.presentBytes < advance.totalBytes) return;
    onAdvance({ ...advance, freshBytes: fresh });
    told = performance.now();
    fresh = 0;
  };
}

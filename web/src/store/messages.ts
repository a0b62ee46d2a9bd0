// What the page and the store's worker say to each other. The worker is asked to write; what is there the page reads itself.
import type { Failure } from '../protocol';
import type { Advance } from './install';

/** From the page. One `download` or `import` at a time; `pause` ends it. */
export type StoreRequest =
  | { kind: 'download'; page: string; folder: string }
  | { kind: 'import'; files: File[] }
  | { kind: 'pause' }
  | { kind: 'delete'; model: string }
  | { kind: 'mark-damaged'; model: string };

/** To the page: any number of `advance`, then one closing answer with the request's id. */
export type StoreResponse =
  | { kind: 'advance'; advance: Advance }
  | { kind: 'installed'; model: string }
  | { kind: 'paused' }
  | { kind: 'done' }
  | { kind: 'error'; error: Failure };

/** What crosses the boundary: a message and the id of its request. */
export interface FromPage {
  id: number;
  message: StoreRequest;
}

export interface ToPage {
  id: number;
  message: StoreResponse;
}

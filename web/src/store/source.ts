// Where the bytes of a model's files come from. Two of them, equal in everything behind this: the page's own
// host (host.ts) and files that the user chose (chosen.ts).
import type { FileEntry } from './manifest';
import type { Origin } from './layout';

/** A file from `offset` on. */
export interface Piece {
  /** Where the stream really begins: as asked for, or 0 where the source cannot begin in the middle. */
  offset: number;
  stream: ReadableStream<Uint8Array>;
}

export interface Source {
  readonly origin: Origin;
  manifest(signal: AbortSignal): Promise<Uint8Array>;
  /** Throws `Interrupted` where trying again may help, `Failed` where it does not. */
  open(file: FileEntry, offset: number, signal: AbortSignal): Promise<Piece>;
  /** What it means when a stream of this source ends with an error. */
  broken(file: FileEntry): Error;
}

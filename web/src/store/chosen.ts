// A model folder among files that the user chose: one folder picked whole, or all of its files.
import { faults } from './faults';
import type { Origin } from './layout';
import { MANIFEST, MANIFEST_LIMIT_BYTES, type FileEntry } from './manifest';
import type { Piece, Source } from './source';

export class Chosen implements Source {
  readonly origin: Origin = { kind: 'files' };
  readonly #files: Map<string, File>;

  constructor(files: File[]) {
    this.#files = new Map(files.map((file) => [file.name, file]));
  }

  async manifest(): Promise<Uint8Array> {
    const file = this.#files.get(MANIFEST);
    if (!file) throw faults.incomplete([MANIFEST]);
    if (file.size > MANIFEST_LIMIT_BYTES) throw faults.unreadable(MANIFEST);
    try {
      return new Uint8Array(await file.arrayBuffer());
    } catch {
      throw faults.unreadable(MANIFEST);
    }
  }

  /** Throws unless every file of the manifest was chosen; before anything is copied. */
  requireAll(files: FileEntry[]): void {
    const absent = files.filter((file) => !this.#files.has(file.name)).map((file) => file.name);
    if (absent.length > 0) throw faults.incomplete(absent);
  }

  async open(file: FileEntry, offset: number): Promise<Piece> {
    const found = this.#files.get(file.name);
    if (!found) throw faults.incomplete([file.name]);
    if (found.size !== file.bytes) throw faults.hash(file.name);
    return { offset, stream: found.slice(offset).stream() };
  }

  broken(file: FileEntry): Error {
    return faults.unreadable(file.name);
  }
}

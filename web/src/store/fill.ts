// Brings one file of the store to what the manifest says, whatever is there already: the bytes that are there
// are hashed, the rest is added from the source, and the file counts only when its SHA-256 is the manifest's.
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { Interrupted, Paused, faults } from './faults';
import { isQuota, openForWriting, writeAll } from './folder';
import type { FileEntry } from './manifest';
import { Patience } from './patience';
import type { Source } from './source';

const CHUNK_BYTES = 1 << 20;

export interface FillOptions {
  signal: AbortSignal;
  /** Told how many bytes of the file are there whenever that changes; `fresh` of them were just fetched. */
  onBytes(present: number, fresh: number): void;
}

/** Ends when the file is whole and right; throws `Paused` or `Failed` otherwise, and keeps what may be continued. */
export async function fill(folder: FileSystemDirectoryHandle, file: FileEntry, source: Source, options: FillOptions): Promise<void> {
  const handle = await openForWriting(folder, file.name);
  try {
    await new Filling(handle, file, source, options).run();
    handle.flush();
  } catch (error) {
    if (options.signal.aborted) throw new Paused();
    throw isQuota(error) ? faults.full() : error;
  } finally {
    handle.close();
  }
}

class Filling {
  #hash = sha256.create();
  /** Bytes that are in the file and in the hash. */
  #present = 0;
  readonly #patience = new Patience();

  constructor(
    readonly handle: FileSystemSyncAccessHandle,
    readonly file: FileEntry,
    readonly source: Source,
    readonly options: FillOptions,
  ) {}

  async run(): Promise<void> {
    await this.#takeUp();
    let ownBytesOnly = this.#present === 0;
    for (;;) {
      if (this.#present < this.file.bytes) ownBytesOnly = (await this.#fetchRest()) || ownBytesOnly;
      if (bytesToHex(this.#hash.digest()) === this.file.sha256) return;
      this.#startAgain();
      // Bytes from an earlier visit may have been damaged since: fetched once more, all of them. If those
      // are wrong too, the source is.
      if (ownBytesOnly) throw faults.hash(this.file.name);
      ownBytesOnly = true;
    }
  }

  /** Hashes what an earlier visit left. */
  async #takeUp(): Promise<void> {
    const size = this.handle.getSize();
    if (size > this.file.bytes) return this.#startAgain();
    const buffer = new Uint8Array(CHUNK_BYTES);
    while (this.#present < size) {
      this.options.signal.throwIfAborted();
      const read = this.handle.read(buffer, { at: this.#present });
      if (read === 0) break;
      this.#hash.update(buffer.subarray(0, read));
      this.#present += read;
      this.options.onBytes(this.#present, 0);
      // A "pause" is a message, and is heard between two pieces.
      await new Promise((done) => setTimeout(done));
    }
  }

  /** Fetches until the file has its size, over as many connections as it takes; true if it began at its first byte. */
  async #fetchRest(): Promise<boolean> {
    let fromStart = this.#present === 0;
    while (this.#present < this.file.bytes) {
      const before = this.#present;
      try {
        const { offset, stream } = await this.source.open(this.file, this.#present, this.options.signal);
        if (offset !== this.#present) {
          this.#startAgain();
          fromStart = true;
        }
        await this.#append(stream);
        if (this.#present < this.file.bytes) throw new Interrupted();
      } catch (error) {
        this.options.signal.throwIfAborted();
        if (!(error instanceof Interrupted)) throw error;
        await this.#patience.wait(this.#present > before, this.options.signal);
      }
    }
    return fromStart;
  }

  async #append(stream: ReadableStream<Uint8Array>): Promise<void> {
    const reader = stream.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read().catch(() => {
          throw this.source.broken(this.file);
        });
        if (done) return;
        if (this.#present + value.length > this.file.bytes) {
          this.#startAgain();
          throw faults.notTheFile(this.file.name);
        }
        writeAll(this.handle, value, this.#present);
        this.#hash.update(value);
        this.#present += value.length;
        this.options.onBytes(this.#present, value.length);
      }
    } finally {
      // After an error the rest is not wanted; a stream that has ended takes it in silence.
      await reader.cancel().catch(() => undefined);
    }
  }

  #startAgain(): void {
    this.handle.truncate(0);
    this.#hash = sha256.create();
    this.#present = 0;
    this.options.onBytes(0, 0);
  }
}

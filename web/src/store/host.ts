// A model folder on the page's own host, `models/<folder>/` beside the page. Files are fetched from any byte on
// (RFC 9110, section 14); a server that ignores `Range` is answered by beginning that file again.
import { Interrupted, faults } from './faults';
import type { Origin } from './layout';
import { MANIFEST, MANIFEST_LIMIT_BYTES, type FileEntry } from './manifest';
import { rangeStart } from './range';
import type { Piece, Source } from './source';

export class Host implements Source {
  readonly origin: Origin;
  readonly #base: URL;

  /** `page` is the address that relative addresses of the page start from. */
  constructor(folder: string, page: string) {
    this.origin = { kind: 'host', folder };
    this.#base = new URL(`models/${encodeURIComponent(folder)}/`, page);
  }

  async manifest(signal: AbortSignal): Promise<Uint8Array> {
    const response = await this.#get(MANIFEST, 0, signal);
    const length = Number(response.headers.get('Content-Length') ?? 0);
    if (length > MANIFEST_LIMIT_BYTES) throw faults.notTheFile(MANIFEST);
    return new Uint8Array(await response.arrayBuffer().catch(interrupted(signal)));
  }

  async open(file: FileEntry, offset: number, signal: AbortSignal): Promise<Piece> {
    const response = await this.#get(file.name, offset, signal);
    const begins = response.status === 206 ? rangeStart(response.headers.get('Content-Range'), file.bytes) : 0;
    if (begins === undefined || (begins !== 0 && begins !== offset)) {
      // A range that was not asked for: the whole file, then.
      await response.body?.cancel();
      return this.open(file, 0, signal);
    }
    const length = response.headers.get('Content-Length');
    const encoded = response.headers.has('Content-Encoding');
    if (!response.body || (length !== null && !encoded && begins + Number(length) !== file.bytes)) {
      await response.body?.cancel();
      throw faults.notTheFile(file.name);
    }
    return { offset: begins, stream: response.body };
  }

  broken(): Error {
    return new Interrupted();
  }

  async #get(name: string, offset: number, signal: AbortSignal): Promise<Response> {
    const headers: HeadersInit = offset > 0 ? { Range: `bytes=${offset}-` } : {};
    // `no-store`: the model is kept here, not once more in the browser's cache.
    const request = fetch(new URL(encodeURIComponent(name), this.#base), { headers, signal, cache: 'no-store' });
    const response = await request.catch(interrupted(signal));
    if (response.ok && !response.headers.get('Content-Type')?.startsWith('text/html')) return response;
    await response.body?.cancel();
    if (response.ok) throw faults.notTheFile(name);
    if (response.status === 416 && offset > 0) return this.#get(name, 0, signal);
    if (response.status >= 500 || response.status === 429 || response.status === 408) throw new Interrupted();
    throw faults.missing(name);
  }
}

/** What a failed fetch means: the user's own wish, or a broken connection. */
function interrupted(signal: AbortSignal): (error: unknown) => never {
  return () => {
    signal.throwIfAborted();
    throw new Interrupted();
  };
}

// Small files and sizes in the browser's private file system. Reading works anywhere, writing in the store's worker,
// where files can be written in place.
import { faults } from './faults';
import { MODELS } from './layout';

/** The folder of all models; made where it is missing. */
export async function modelsFolder(): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle(MODELS, { create: true });
}

/** The content of a small file; absent where there is none. */
export async function readFile(folder: FileSystemDirectoryHandle, name: string): Promise<Uint8Array | undefined> {
  const file = await fileIn(folder, name);
  return file && new Uint8Array(await file.arrayBuffer());
}

/** Bytes of a file; 0 where there is none. */
export async function sizeOf(folder: FileSystemDirectoryHandle, name: string): Promise<number> {
  return (await fileIn(folder, name))?.size ?? 0;
}

/** Writes a small file whole. */
export async function writeFile(folder: FileSystemDirectoryHandle, name: string, bytes: Uint8Array): Promise<void> {
  const handle = await openForWriting(folder, name);
  try {
    handle.truncate(0);
    writeAll(handle, bytes, 0);
    handle.flush();
  } finally {
    handle.close();
  }
}

/** A tab that was closed a moment ago still holds its files for a moment. */
const TRIES = 10;
const WAIT_MS = 150;

/** Opens a file for reading and writing in place; made where it is missing. Throws `STORE-BUSY` while another tab has it open. */
export async function openForWriting(folder: FileSystemDirectoryHandle, name: string): Promise<FileSystemSyncAccessHandle> {
  const file = await folder.getFileHandle(name, { create: true });
  for (let tried = 1; ; tried++) {
    try {
      return await file.createSyncAccessHandle();
    } catch (error) {
      const isTaken = error instanceof DOMException && error.name === 'NoModificationAllowedError';
      if (!isTaken) throw error;
      if (tried === TRIES) throw faults.busy();
      await new Promise((done) => setTimeout(done, WAIT_MS));
    }
  }
}

/** Writes all of `bytes`; a full disk shows as an error or as fewer bytes written. */
export function writeAll(handle: FileSystemSyncAccessHandle, bytes: Uint8Array, at: number): void {
  const written = handle.write(bytes, { at });
  if (written !== bytes.length) throw new DOMException('fewer bytes were written', 'QuotaExceededError');
}

async function fileIn(folder: FileSystemDirectoryHandle, name: string): Promise<File | undefined> {
  try {
    return await (await folder.getFileHandle(name)).getFile();
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

export const isNotFound = (error: unknown): boolean => error instanceof DOMException && error.name === 'NotFoundError';
export const isQuota = (error: unknown): boolean => error instanceof DOMException && error.name === 'QuotaExceededError';

/** A browser that keeps its storage to itself says so with a SecurityError, or lacks the function. */
export function withoutStorage(error: unknown): unknown {
  const isClosed = error instanceof DOMException && (error.name === 'SecurityError' || error.name === 'InvalidStateError');
  return isClosed || typeof navigator.storage?.getDirectory !== 'function' ? faults.noStorage() : error;
}

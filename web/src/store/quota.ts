// Room for a model: asked for before a byte of it is fetched.
import { faults } from './faults';
import { isQuota, openForWriting } from './folder';
import { bytesInWords } from './words';

/** File systems take a little more than the files' own bytes. */
const MARGIN = 1.05;

/** What the browser lets this page have, in bytes. */
export interface Room {
  usage: number;
  quota: number;
}

export async function room(): Promise<Room> {
  const { usage = 0, quota = 0 } = await navigator.storage.estimate();
  return { usage, quota };
}

/** Bytes that can still be written. */
export const freeBytes = ({ usage, quota }: Room): number => Math.max(0, quota - usage);

/** Bytes to ask for, for files of `bytes` in all. */
export const withMargin = (bytes: number): number => Math.ceil(bytes * MARGIN);

/** Throws `STORE-QUOTA` unless `bytes` more can be written. */
export async function requireRoom(bytes: number, models: FileSystemDirectoryHandle): Promise<void> {
  const needed = withMargin(bytes);
  const free = freeBytes(await room());
  if (needed > free) throw faults.quota(bytesInWords(needed), `no more than ${bytesInWords(free)}`);
  if (!(await canReserve(models, needed))) throw faults.quota(bytesInWords(needed), 'less');
}

/** Tries it: some browsers tell every page the same large quota, and refuse when it comes to writing. */
async function canReserve(models: FileSystemDirectoryHandle, bytes: number): Promise<boolean> {
  const name = 'room';
  try {
    const handle = await openForWriting(models, name);
    try {
      handle.truncate(bytes);
      // Chromium does not grow a file beyond the quota, and does not say so either.
      return handle.getSize() === bytes;
    } finally {
      handle.truncate(0);
      handle.close();
      await models.removeEntry(name);
    }
  } catch (error) {
    if (isQuota(error)) return false;
    throw error;
  }
}

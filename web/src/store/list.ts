// What is in the store, and whether it may be used. Nothing is believed that can be looked at: the manifest must
// have the SHA-256 that names the folder, and every file its size, before "complete" counts.
import { failureOf } from '../failure';
import type { Failure } from '../protocol';
import { isNotFound, modelsFolder, readFile, sizeOf, withoutStorage } from './folder';
import { STATE, idOf, isId, readState, type Origin, type State } from './layout';
import { MANIFEST, parseManifest, type Manifest } from './manifest';
import { room, type Room } from './quota';

/** A model in the store. */
export interface StoredModel {
  id: string;
  /** Absent where it cannot be read. */
  manifest: Manifest | undefined;
  condition: State['condition'] | 'unreadable';
  /** Why it is unreadable. */
  fault: Failure | undefined;
  origin: Origin;
  /** Bytes that are there. */
  presentBytes: number;
}

/** Everything the page shows of the store. */
export interface Inventory {
  models: StoredModel[];
  room: Room;
}

export async function inventory(): Promise<Inventory> {
  try {
    return { models: await list(), room: await room() };
  } catch (error) {
    throw withoutStorage(error);
  }
}

/** Every model of the store, in the order of their names. */
async function list(): Promise<StoredModel[]> {
  const models: StoredModel[] = [];
  const folder = await modelsFolder();
  for await (const [id, handle] of folder.entries()) {
    if (handle.kind === 'directory' && isId(id)) models.push(await inspect(id, handle as FileSystemDirectoryHandle));
  }
  const name = (model: StoredModel): string => `${model.manifest?.name ?? ''} ${model.id}`;
  return models.sort((a, b) => name(a).localeCompare(name(b)));
}

/** One model of the store; absent where there is none of this id. */
export async function find(id: string): Promise<StoredModel | undefined> {
  try {
    return await inspect(id, await (await modelsFolder()).getDirectoryHandle(id));
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function inspect(id: string, folder: FileSystemDirectoryHandle): Promise<StoredModel> {
  const { condition, origin } = readState(await readFile(folder, STATE));
  const bytes = (await readFile(folder, MANIFEST)) ?? new Uint8Array();
  const model = { id, origin, fault: undefined, presentBytes: 0 };
  // Broken off before its manifest was written, or the manifest was damaged since.
  if (idOf(bytes) !== id) return { ...model, manifest: undefined, condition: 'damaged' };
  let manifest: Manifest;
  try {
    manifest = parseManifest(bytes);
  } catch (error) {
    return { ...model, manifest: undefined, condition: 'unreadable', fault: failureOf(error) };
  }
  const sizes = await Promise.all(manifest.files.map((file) => sizeOf(folder, file.name)));
  const whole = manifest.files.every((file, at) => sizes[at] === file.bytes);
  const presentBytes = manifest.files.reduce((sum, file, at) => sum + Math.min(sizes[at] ?? 0, file.bytes), 0);
  return { ...model, manifest, condition: condition === 'complete' && !whole ? 'damaged' : condition, presentBytes };
}

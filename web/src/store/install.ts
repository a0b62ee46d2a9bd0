// Brings a whole model into the store, or goes on where an earlier visit stopped. "complete" is written last, after
// every file's hash has held; whatever ends it before leaves a model that nothing uses.
import { Chosen } from './chosen';
import { Interrupted, Paused, faults } from './faults';
import { fill } from './fill';
import { isQuota, modelsFolder, sizeOf, writeFile } from './folder';
import { STATE, idOf, writeState, type Condition } from './layout';
import { find } from './list';
import { MANIFEST, parseManifest, type Manifest } from './manifest';
import { requireRoom } from './quota';
import type { Source } from './source';

/** How far it is. */
export interface Advance {
  id: string;
  name: string;
  presentBytes: number;
  totalBytes: number;
  /** Bytes of this step that were fetched, not found. */
  freshBytes: number;
}

/** The id of the model, once it is complete. */
export async function install(source: Source, signal: AbortSignal, onAdvance: (advance: Advance) => void): Promise<string> {
  const bytes = await manifestOf(source, signal);
  const manifest = parseManifest(bytes);
  if (source instanceof Chosen) source.requireAll(manifest.files);
  const id = idOf(bytes);
  const known = await find(id);
  if (known?.condition === 'complete') return id;
  const models = await modelsFolder();
  await requireRoom(manifest.totalBytes - (known?.presentBytes ?? 0), models);

  const folder = await models.getDirectoryHandle(id, { create: true });
  const note = (condition: Condition): Promise<void> => writeFile(folder, STATE, writeState({ condition, origin: source.origin }));
  try {
    await note('partial');
    await writeFile(folder, MANIFEST, bytes);
    await fillAll(folder, id, manifest, source, signal, onAdvance);
    await note('complete');
  } catch (error) {
    throw isQuota(error) ? faults.full() : error;
  }
  return id;
}

async function manifestOf(source: Source, signal: AbortSignal): Promise<Uint8Array> {
  try {
    return await source.manifest(signal);
  } catch (error) {
    if (signal.aborted) throw new Paused();
    throw error instanceof Interrupted ? faults.network() : error;
  }
}

async function fillAll(
  folder: FileSystemDirectoryHandle,
  id: string,
  manifest: Manifest,
  source: Source,
  signal: AbortSignal,
  onAdvance: (advance: Advance) => void,
): Promise<void> {
  const { name, totalBytes, files } = manifest;
  const present = new Map<string, number>();
  for (const file of files) present.set(file.name, Math.min(await sizeOf(folder, file.name), file.bytes));
  const tell = (freshBytes: number): void => {
    const presentBytes = [...present.values()].reduce((sum, bytes) => sum + bytes, 0);
    onAdvance({ id, name, presentBytes, totalBytes, freshBytes });
  };
  tell(0);
  for (const file of files) {
    await fill(folder, file, source, {
      signal,
      // While the bytes of an earlier visit are hashed, they are all there already.
      onBytes: (bytes, fresh) => {
        if (fresh > 0 || bytes === 0) present.set(file.name, bytes);
        tell(fresh);
      },
    });
    present.set(file.name, file.bytes);
  }
}

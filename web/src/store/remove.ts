// Takes a model out of the store.
import { faults } from './faults';
import { isNotFound, modelsFolder, readFile, writeFile } from './folder';
import { STATE, readState, writeState } from './layout';
import { alone, userOf } from './locks';

/** Deletes a model that no tab uses. Its state goes first: broken off, what is left is not "complete". */
export async function remove(id: string): Promise<void> {
  await alone(userOf(id), faults.inUse, async () => {
    const models = await modelsFolder();
    try {
      const folder = await models.getDirectoryHandle(id);
      await writeFile(folder, STATE, writeState({ condition: 'partial', origin: { kind: 'files' } }));
      await models.removeEntry(id, { recursive: true });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  });
}

/** Notes that the engine found a file of this model wrong: it is not used again before it has been repaired. */
export async function markDamaged(id: string): Promise<void> {
  const folder = await (await modelsFolder()).getDirectoryHandle(id);
  const { origin } = readState(await readFile(folder, STATE));
  await writeFile(folder, STATE, writeState({ condition: 'damaged', origin }));
}

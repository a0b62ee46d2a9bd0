// The models that the page's own host offers: `models/index.json` beside the page, `{"models": [{"folder": "..."}]}`,
// each folder as `medsam3 convert` wrote it. The list is optional; without it models can still be imported.
import { failureOf } from '../failure';
import type { Failure } from '../protocol';
import { Host } from './host';
import { idOf } from './layout';
import { isPlainName, parseManifest, type Manifest } from './manifest';

/** A model that can be downloaded. */
export interface Offer {
  folder: string;
  id: string;
  /** Absent where it cannot be read, with the reason in `fault`. */
  manifest: Manifest | undefined;
  fault: Failure | undefined;
}

/** Asks the host; an index that is absent or not one offers nothing. */
export async function offers(page: string): Promise<Offer[]> {
  try {
    const response = await fetch(new URL('models/index.json', page));
    if (!response.ok) return [];
    const { models } = (await response.json()) as { models: { folder: unknown }[] };
    const folders = models.map(({ folder }) => String(folder)).filter(isPlainName);
    return await Promise.all([...new Set(folders)].map((folder) => offer(folder, page)));
  } catch {
    return [];
  }
}

async function offer(folder: string, page: string): Promise<Offer> {
  try {
    const bytes = await new Host(folder, page).manifest(new AbortController().signal);
    const offered = { folder, id: idOf(bytes), fault: undefined };
    try {
      return { ...offered, manifest: parseManifest(bytes) };
    } catch (error) {
      return { ...offered, manifest: undefined, fault: failureOf(error) };
    }
  } catch (error) {
    return { folder, id: '', manifest: undefined, fault: failureOf(error) };
  }
}

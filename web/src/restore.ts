// Keeps what was found in a series, a bit per pixel, so that an engine that is started anew gets it back: the segments'
// names, colours and masks. What a person corrected since it was last looked at is not among it.
import type { DocumentInfo, PicturePlace } from './protocol';
import type { Ask } from './session';
import { keyOf, type Open, type PlaceKey } from './state/state';

interface Kept {
  place: PicturePlace;
  columns: number;
  rows: number;
  bits: Uint8Array;
}

export class Keeper {
  /** The series that the masks are of, by the ticket that opened it. */
  #ticket = 0;
  #masks = new Map<number, Map<PlaceKey, Kept>>();

  /** Takes over what is known of a segment on a picture. */
  keep(ticket: number, segment: number, place: PicturePlace, size: { columns: number; rows: number }, bytes: Uint8Array): void {
    if (bytes.length !== size.columns * size.rows) return;
    if (ticket !== this.#ticket) this.#masks.clear();
    this.#ticket = ticket;
    const masks = this.#masks.get(segment) ?? new Map<PlaceKey, Kept>();
    this.#masks.set(segment, masks.set(keyOf(place), { place, ...size, bits: packed(bytes) }));
  }

  /** These masks are not what they were. */
  forget(changed: readonly { segment: number; slice: number; frame: number }[]): void {
    for (const { segment, ...place } of changed) this.#masks.get(segment)?.delete(keyOf(place));
  }

  /** Asks a new engine, in which the series is open, to take the segments; tells of the document and of their new ids. */
  async restore(ask: Ask, open: Open | null, tell: (ticket: number, document: DocumentInfo, ids: ReadonlyMap<number, number>) => void): Promise<void> {
    if (!open) return;
    const ids = new Map<number, number>();
    for (const { id, name, color } of open.document.segments) {
      const { message } = await ask({ kind: 'new-segment', name }, 'document');
      const made = message.document.segments.at(-1);
      if (!made) continue;
      ids.set(id, made.id);
      await ask({ kind: 'change-segment', segment: made.id, name: null, color, locked: null }, 'document');
      for (const kept of this.#kept(open.ticket, id)) await paint(ask, made.id, kept);
    }
    const { message } = await ask({ kind: 'document' }, 'document');
    this.#renumber(ids);
    tell(open.ticket, message.document, ids);
  }

  #kept(ticket: number, segment: number): Kept[] {
    return ticket === this.#ticket ? [...(this.#masks.get(segment)?.values() ?? [])] : [];
  }

  #renumber(ids: ReadonlyMap<number, number>): void {
    const masks = this.#masks;
    this.#masks = new Map([...masks].flatMap(([id, kept]) => (ids.has(id) ? [[ids.get(id) ?? id, kept] as const] : [])));
  }
}

async function paint(ask: Ask, segment: number, { place, columns, rows, bits }: Kept): Promise<void> {
  const bytes = unpacked(bits, columns * rows);
  if (!bytes.includes(1)) return;
  const patch = { left: 0, top: 0, width: columns, height: rows };
  await ask({ kind: 'edit', segment, edit: { kind: 'paint', ...place, patch } }, 'document', [bytes.buffer]);
}

export function packed(bytes: Uint8Array): Uint8Array {
  const bits = new Uint8Array(Math.ceil(bytes.length / 8));
  bytes.forEach((set, at) => {
    if (set) bits[at >> 3] = (bits[at >> 3] ?? 0) | (1 << (at & 7));
  });
  return bits;
}

export function unpacked(bits: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, at) => ((bits[at >> 3] ?? 0) >> (at & 7)) & 1);
}

// One colour per prompt: Okabe and Ito's palette, which people with any colour vision tell apart, without its black.
import type { Catalogue } from './words/en';

export interface Colour {
  /** Its name in the catalogue. */
  name: keyof Catalogue['colours'];
  rgb: [number, number, number];
}

const PALETTE: Colour[] = [
  { name: 'orange', rgb: [230, 159, 0] },
  { name: 'skyBlue', rgb: [86, 180, 233] },
  { name: 'green', rgb: [0, 158, 115] },
  { name: 'yellow', rgb: [240, 228, 66] },
  { name: 'purple', rgb: [204, 121, 167] },
  { name: 'vermilion', rgb: [213, 94, 0] },
  { name: 'blue', rgb: [0, 114, 178] },
];

/** The colour of the prompt at `index`; after seven they begin again. */
export function colour(index: number): Colour {
  const found = PALETTE[index % PALETTE.length];
  if (!found) throw new RangeError('a prompt index is not negative');
  return found;
}

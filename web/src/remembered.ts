// What is kept from one visit to the next: the model in use and the image side that was chosen. Nothing of any picture.

const MODEL = 'medsam3.model';
const SIDE = 'medsam3.image-side';

export class Remembered {
  /** Id of the stored model in use; `null` for the built-in one. */
  get model(): string | null {
    return read(MODEL);
  }

  set model(id: string | null) {
    write(MODEL, id);
  }

  /** Image side in pixels that the user chose; `null` where the page chooses. */
  get side(): number | null {
    const side = Number(read(SIDE));
    return Number.isInteger(side) && side > 0 ? side : null;
  }

  set side(side: number | null) {
    write(SIDE, side === null ? null : String(side));
  }
}

/** A browser may forbid it; then the page starts with the built-in model. */
function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // Then it is chosen anew at the next visit.
  }
}

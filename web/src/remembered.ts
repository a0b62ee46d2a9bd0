// What is kept from one visit to the next: the model in use, the image side, the memory for embeddings, the language and
// the use of keys that were chosen. Nothing of any picture.

const MODEL = 'medsam3.model';
const SIDE = 'medsam3.image-side';
const EMBEDDINGS = 'medsam3.embedding-mib';
const LANGUAGE = 'medsam3.language';
const SINGLE_KEYS = 'medsam3.single-keys';

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

  /** The language that was chosen; `null` where the browser's counts. */
  get language(): string | null {
    return read(LANGUAGE);
  }

  set language(language: string | null) {
    write(LANGUAGE, language);
  }

  /** Keys without a modifier act; they do unless that was switched off. */
  get singleKeys(): boolean {
    return read(SINGLE_KEYS) !== 'off';
  }

  set singleKeys(on: boolean) {
    write(SINGLE_KEYS, on ? null : 'off');
  }

  /** MiB that embeddings of slices seen may take; `null` where the engine chooses. */
  get embeddings(): number | null {
    const kept = read(EMBEDDINGS);
    const mib = Number(kept);
    return kept !== null && Number.isInteger(mib) && mib >= 0 ? mib : null;
  }

  set embeddings(mib: number | null) {
    write(EMBEDDINGS, mib === null ? null : String(mib));
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

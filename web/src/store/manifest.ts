// The page's reading of `manifest.json` (crates/weights/src/manifest.rs is its definition): what has to be
// checked before a byte of the model is fetched, and what the capability check reckons with.
import { Failed } from '../failure';

/** Versions of the folder format that this page reads: `OLDEST_FORMAT_VERSION` and `FORMAT_VERSION` of crates/weights. */
export const OLDEST_FORMAT_VERSION = 1;
export const FORMAT_VERSION = 2;
export const MANIFEST = 'manifest.json';
/** A manifest lists 1500 tensors in some hundred kilobytes; one of this size is none. */
export const MANIFEST_LIMIT_BYTES = 16 << 20;

/** One file of the folder, by the manifest. */
export interface FileEntry {
  name: string;
  bytes: number;
  sha256: string;
}

/** One tensor, or the rows of it in one file: how it is stored and how many values there are. */
export interface TensorSize {
  name: string;
  dtype: string;
  values: number;
}

/** What the page needs to know of a manifest. */
export interface Manifest {
  name: string;
  precision: string;
  licence: string;
  config: ModelShape;
  files: FileEntry[];
  tensors: TensorSize[];
  /** Bytes of all files together. */
  totalBytes: number;
}

/** The sizes of a configuration that decide how much memory it takes. */
export interface ModelShape {
  imageSide: number;
  patch: number;
  width: number;
  mlpHidden: number;
  /** Channels behind the neck. */
  features: number;
}

/** Reads and checks a manifest; throws `Failed` with the code that the engine uses for the same fault. */
export function parseManifest(bytes: Uint8Array): Manifest {
  if (bytes.length > MANIFEST_LIMIT_BYTES) throw invalid(`it has ${bytes.length} bytes`);
  let json: Json;
  try {
    json = new Json(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch {
    throw invalid('it is not JSON');
  }
  const version = json.number('format_version');
  if (version < OLDEST_FORMAT_VERSION || version > FORMAT_VERSION) throw otherVersion(version);
  const files = json.list('files');
  const entries = files.map(fileEntry);
  const names = new Set(entries.map((entry) => entry.name));
  if (entries.length === 0) throw invalid('it names no file');
  if (names.size !== entries.length) throw invalid('it names a file twice');
  return {
    name: json.text('name'),
    precision: json.text('precision'),
    licence: json.text('licence'),
    config: modelShape(json.at('config')),
    files: entries,
    tensors: files.flatMap((file) => file.optionalList('tensors').map(tensorSize)),
    totalBytes: entries.reduce((sum, entry) => sum + entry.bytes, 0),
  };
}

/** Letters, digits, `.`, `-` and `_`, not starting with a dot: such a name cannot leave its folder. */
export const isPlainName = (name: string): boolean => /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(name);

function fileEntry(file: Json): FileEntry {
  const entry = { name: file.text('name'), bytes: file.number('bytes'), sha256: file.text('sha256') };
  if (!isPlainName(entry.name) || entry.name === MANIFEST || entry.name === 'state.json') {
    throw invalid(`"${entry.name}" is not a file name it may use`);
  }
  if (!/^[0-9a-f]{64}$/.test(entry.sha256)) throw invalid(`"${entry.name}" has no SHA-256`);
  return entry;
}

function tensorSize(tensor: Json): TensorSize {
  const shape = tensor.numbers('shape');
  // A tensor too large for one shard is cut by rows.
  const [first, end] = tensor.optionalNumbers('rows');
  if (first !== undefined && end !== undefined) shape[0] = Math.max(0, end - first);
  return { name: tensor.text('name'), dtype: tensor.text('dtype'), values: shape.reduce((n, side) => n * side, 1) };
}

function modelShape(config: Json): ModelShape {
  const vit = config.at('vit');
  return {
    imageSide: config.number('image_side'),
    patch: vit.number('patch'),
    width: vit.number('width'),
    mlpHidden: vit.number('mlp_hidden'),
    features: config.at('transformer').number('width'),
  };
}

/** A value of the manifest; what is not as it should be is named in the failure. */
class Json {
  readonly #value: Record<string, unknown>;

  constructor(value: unknown) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('a part of it is missing');
    this.#value = value as Record<string, unknown>;
  }

  at(name: string): Json {
    return new Json(this.#value[name]);
  }

  text(name: string): string {
    const value = this.#value[name];
    if (typeof value !== 'string') throw invalid(`"${name}" is not a text`);
    return value;
  }

  number(name: string): number {
    return whole(this.#value[name], name);
  }

  numbers(name: string): number[] {
    const value = this.#value[name];
    if (!Array.isArray(value)) throw invalid(`"${name}" is not a list`);
    return value.map((item) => whole(item, name));
  }

  optionalNumbers(name: string): number[] {
    return this.#value[name] === undefined ? [] : this.numbers(name);
  }

  list(name: string): Json[] {
    const value = this.#value[name];
    if (!Array.isArray(value)) throw invalid(`"${name}" is not a list`);
    return value.map((item) => new Json(item));
  }

  optionalList(name: string): Json[] {
    return this.#value[name] === undefined ? [] : this.list(name);
  }
}

function whole(value: unknown, name: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw invalid(`"${name}" is not a whole number`);
  return value as number;
}

function invalid(reason: string): Failed {
  return new Failed({
    code: 'WEIGHTS-MANIFEST',
    message: `The model's manifest is not valid: ${reason}.`,
    nextStep: 'Fetch the model again, or write it anew.',
  });
}

function otherVersion(found: number): Failed {
  return new Failed({
    code: 'WEIGHTS-VERSION',
    message: `The model folder has format version ${found}; this page reads versions ${OLDEST_FORMAT_VERSION} to ${FORMAT_VERSION}.`,
    nextStep: 'Reload the page to get its newest version, or convert the model again with the program that fits this page.',
  });
}

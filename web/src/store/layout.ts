// How models lie in the browser's private file system (OPFS):
//   models/<id>/manifest.json   as it was published; id = first 16 hexadecimal digits of its SHA-256
//   models/<id>/<file>          each file that the manifest lists
//   models/<id>/state.json      this page's own bookkeeping: only "complete" may be used
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { isPlainName } from './manifest';

/** The folder of all models, in the root of the origin's private file system. */
export const MODELS = 'models';
export const STATE = 'state.json';
const STATE_VERSION = 1;

/** Where the files of a model come from, and can be had again. */
export type Origin = { kind: 'host'; folder: string } | { kind: 'files' };

/** How far a model is: every hash held, some files are missing, or a hash that held before failed. */
export type Condition = 'complete' | 'partial' | 'damaged';

/** The content of `state.json`. */
export interface State {
  condition: Condition;
  origin: Origin;
}

/** The name of a model's folder. */
export const idOf = (manifest: Uint8Array): string => bytesToHex(sha256(manifest)).slice(0, 16);

/** Whether a folder's name is an id. */
export const isId = (name: string): boolean => /^[0-9a-f]{16}$/.test(name);

export function writeState(state: State): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ version: STATE_VERSION, ...state }));
}

/** Reads `state.json`. One that is missing, cut short or of another version says nothing: the model counts as partial. */
export function readState(bytes: Uint8Array | undefined): State {
  const nothing: State = { condition: 'partial', origin: { kind: 'files' } };
  try {
    const { version, condition, origin } = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    if (version !== STATE_VERSION) return nothing;
    const known = condition === 'complete' || condition === 'damaged' ? condition : 'partial';
    return { condition: known, origin: readOrigin(origin) };
  } catch {
    return nothing;
  }
}

function readOrigin(value: unknown): Origin {
  const { kind, folder } = value as Record<string, unknown>;
  return kind === 'host' && typeof folder === 'string' && isPlainName(folder) ? { kind, folder } : { kind: 'files' };
}

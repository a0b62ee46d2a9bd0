// Decides, before anything is downloaded, at which image side a model can run on this machine and which of
// several precisions suits it, and says why in plain words.
import type { Failure } from '../protocol';
import type { Manifest } from '../store/manifest';
import { bytesInWords } from '../store/words';
import type { Machine } from './machine';
import { memory, type Memory } from './memory';

const GIB = 2 ** 30;
/** Assumed where the browser does not tell. */
const ASSUMED_MEMORY_GIB = 4;
/** Of main memory for the model: graphics processors of laptops share it with everything else. */
const SHARE = 0.5;
/** A WebAssembly module's memory is 4 GiB, of which pictures, masks and copies need their part. */
const WASM_BYTES = 2 * GIB;
/** Sides that keep the trunk's windows whole, largest first (1008 is the published model's). */
const SIDES = [1008, 672, 504, 336, 168];
/** In the order of preference; f32 is twice the download and memory of f16 for the same masks. */
const PRECISIONS = ['f16', 'q8', 'f32'];

/** What was decided for one model. */
export type Plan = { fits: true; side: number; memory: Memory; words: string } | { fits: false; failure: Failure };

/** The sides that a model can be run at, its own first. */
export function sidesOf({ config }: Manifest): number[] {
  const smaller = SIDES.filter((side) => side < config.imageSide && side % config.patch === 0);
  return [config.imageSide, ...smaller];
}

/** The largest side that fits, or `only` that one. */
export function plan(manifest: Manifest, machine: Machine, only?: number): Plan {
  const sides = only === undefined ? sidesOf(manifest) : [only];
  const budget = budgetBytes(machine);
  const tried = sides.map((side) => ({ side, memory: memory(manifest, side, machine.gpu?.hasF16 ?? false) }));
  const reasons = tried.map(({ memory }) => obstacle(memory, machine, budget));
  const at = reasons.findIndex((reason) => reason === undefined);
  const chosen = tried[at];
  const why = reasons[0];
  if (!chosen) return { fits: false, failure: doesNotFit(manifest, reasons.at(-1) ?? '', machine) };
  const need = `${chosen.side} px, about ${bytesInWords(chosen.memory.totalBytes)} of memory`;
  return { fits: true, ...chosen, words: why === undefined ? need : `${need}; not ${sides[0]} px: ${why}` };
}

/** Of several precisions of one model the one for this machine, with the reason; nothing where none fits. */
export function recommend<T extends { manifest: Manifest | undefined }>(choices: T[], machine: Machine): { choice: T; words: string } | undefined {
  const fitting = choices.flatMap((choice) => {
    const found = choice.manifest && plan(choice.manifest, machine);
    return choice.manifest && found?.fits ? [{ choice, manifest: choice.manifest, side: found.side }] : [];
  });
  const [best] = fitting.sort((a, b) => b.side - a.side || rank(a.manifest.precision) - rank(b.manifest.precision));
  if (!best) return undefined;
  const passedOver = choices.flatMap(({ manifest }) => (manifest && rank(manifest.precision) < rank(best.manifest.precision) ? [manifest.precision] : []));
  const reason =
    choices.length === 1
      ? 'it is the only one offered'
      : passedOver.length > 0
        ? `${passedOver.join(' and ')} does not fit at this image side`
        : 'the most exact results for their size, and it fits';
  return { choice: best.choice, words: `${best.manifest.precision} at ${best.side} px: ${reason}` };
}

/** What the machine has, in a sentence. */
export function describe({ gpu, memoryGib }: Machine): string {
  const memory = memoryGib === undefined ? `memory unknown (${ASSUMED_MEMORY_GIB} GB assumed)` : `${memoryGib} GB of memory or more`;
  if (!gpu) return `No graphics processor through WebGPU: models run on the CPU, slowly; ${memory}`;
  const name = gpu.isSoftware ? `${gpu.name}, a software renderer (slow)` : gpu.name;
  const f16 = gpu.hasF16 ? '16-bit shaders' : 'no 16-bit shaders (weights of 16 bits take 32)';
  return `WebGPU on ${name}; ${f16}; buffers up to ${bytesInWords(gpu.maxBindingBytes)}; ${memory}`;
}

function rank(precision: string): number {
  const at = PRECISIONS.indexOf(precision);
  return at < 0 ? PRECISIONS.length : at;
}

function budgetBytes({ gpu, memoryGib = ASSUMED_MEMORY_GIB }: Machine): number {
  const share = SHARE * memoryGib * GIB;
  return gpu ? share : Math.min(share, WASM_BYTES);
}

/** Why it does not run so; nothing when it does. */
function obstacle(memory: Memory, { gpu }: Machine, budget: number): string | undefined {
  const limit = Math.min(gpu?.maxBindingBytes ?? Infinity, gpu?.maxBufferBytes ?? Infinity);
  if (memory.bindingBytes > limit) {
    return `one tensor needs ${bytesInWords(memory.bindingBytes)}, and the graphics processor binds ${bytesInWords(limit)} at most`;
  }
  if (memory.totalBytes > budget) {
    return `it needs about ${bytesInWords(memory.totalBytes)} of memory, and about ${bytesInWords(budget)} can be had`;
  }
  return undefined;
}

function doesNotFit(manifest: Manifest, reason: string, { gpu }: Machine): Failure {
  const nextStep = gpu
    ? 'Choose the model in a smaller precision, or the built-in model, which runs on this machine.'
    : 'Use a browser with WebGPU and hardware acceleration, or the built-in model, which runs on this machine.';
  return {
    code: gpu ? 'MODEL-TOO-LARGE' : 'MODEL-NEEDS-GPU',
    message: `"${manifest.name}" (${manifest.precision}) does not run on this machine: ${reason}.`,
    nextStep,
  };
}

// Decides, before anything is downloaded, at which image side a model can run on this machine and which of
// several precisions suits it, and says why in the language of the page.
import type { Failure } from '../protocol';
import type { Manifest } from '../store/manifest';
import { bytesInWords } from '../store/words';
import { number, words } from '../words/language';
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
  const { need, notSide } = words.value.machine;
  const says = need(String(chosen.side), bytesInWords(chosen.memory.totalBytes));
  return { fits: true, ...chosen, words: why === undefined ? says : says + notSide(String(sides[0]), why) };
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
  const { choice, onlyOne, mostExact, passedOver: doNotFit } = words.value.machine;
  const reason = choices.length === 1 ? onlyOne : passedOver.length > 0 ? doNotFit(passedOver) : mostExact;
  return { choice: best.choice, words: choice(best.manifest.precision, String(best.side), reason) };
}

/** What the machine has, in a sentence. */
export function describe({ gpu, memoryGib }: Machine): string {
  const say = words.value.machine;
  const memory = memoryGib === undefined ? say.unknownMemory(number(ASSUMED_MEMORY_GIB)) : say.memory(number(memoryGib));
  if (!gpu) return say.noGpu(memory);
  const name = gpu.isSoftware ? say.software(gpu.name) : gpu.name;
  return say.gpu(name, gpu.hasF16 ? say.f16 : say.noF16, bytesInWords(gpu.maxBindingBytes), memory);
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
    return words.value.machine.binding(bytesInWords(memory.bindingBytes), bytesInWords(limit));
  }
  if (memory.totalBytes > budget) {
    return words.value.machine.tooMuch(bytesInWords(memory.totalBytes), bytesInWords(budget));
  }
  return undefined;
}

function doesNotFit(manifest: Manifest, reason: string, { gpu }: Machine): Failure {
  const { smallerPrecision, wantsGpu, doesNotRun } = words.value.machine;
  return {
    code: gpu ? 'MODEL-TOO-LARGE' : 'MODEL-NEEDS-GPU',
    message: doesNotRun(manifest.name, manifest.precision, reason),
    nextStep: gpu ? smallerPrecision : wantsGpu,
  };
}

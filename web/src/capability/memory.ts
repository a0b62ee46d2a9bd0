// How much memory a model takes, estimated from its manifest alone. Shapes: side / patch squared tokens go through
// the trunk; the neck's finest map has four times as many rows and columns, and 3x3 convolutions run on it.
import type { Manifest, TensorSize } from '../store/manifest';

const F32_BYTES = 4;
/** Weights of 8 bits: one byte each, and one 32-bit scale for 32 of them. */
const Q8_BYTES = 1 + F32_BYTES / 32;
/** What is alive at once beside the weights, as multiples of the largest activation. */
const ALIVE_AT_ONCE = 6.5;
const TEXT_ENCODER = 'detector.backbone.language_backbone.';

export interface Memory {
  /** Weights on the device. */
  weightBytes: number;
  /** Weights and what a run needs beside them. */
  totalBytes: number;
  /** The largest single tensor. */
  bindingBytes: number;
}

/** The estimate for one image side; `hasF16` says whether 16-bit weights stay 16-bit. */
export function memory(manifest: Manifest, side: number, hasF16: boolean): Memory {
  // With a vocabulary pack the text encoder is needed only for words outside it.
  const hasPack = manifest.files.some((file) => file.name.startsWith('vocabulary.'));
  const tensors = manifest.tensors.filter((tensor) => !(hasPack && tensor.name.startsWith(TEXT_ENCODER)));
  const held = (tensor: TensorSize): number => tensor.values * heldBytes(tensor.dtype, hasF16);
  const weightBytes = tensors.reduce((sum, tensor) => sum + held(tensor), 0);
  const activation = largestActivation(manifest, side);
  // Rows of a token table are read one by one.
  const largestWeight = Math.max(0, ...tensors.filter((tensor) => !tensor.name.endsWith('token_embedding.weight')).map(held));
  return {
    weightBytes,
    totalBytes: weightBytes + ALIVE_AT_ONCE * activation,
    bindingBytes: Math.max(activation, largestWeight),
  };
}

function heldBytes(dtype: string, hasF16: boolean): number {
  if (dtype === 'q8') return Q8_BYTES;
  return dtype === 'f16' && hasF16 ? F32_BYTES / 2 : F32_BYTES;
}

function largestActivation({ config }: Manifest, side: number): number {
  const grid = side / config.patch;
  const trunk = grid ** 2 * Math.max(3 * config.width, config.mlpHidden);
  const neck = (4 * grid) ** 2 * config.features;
  return F32_BYTES * Math.max(trunk, neck);
}

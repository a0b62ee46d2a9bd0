// ONNX Runtime Web on the exported graphs: the same picture, the same weights, the same browser.
import * as ort from './ort/ort.webgpu.min.mjs';

ort.env.wasm.wasmPaths = new URL('./ort/', import.meta.url).href;
ort.env.logLevel = 'error';

const state = {};

/** Bytes of the picture as `[1, 3, side, side]` in -1..1. */
async function pixels(side) {
  const blob = await (await fetch('./input.png')).blob();
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
  const context = new OffscreenCanvas(side, side).getContext('2d', { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, side, side);
  const values = new Float32Array(3 * side * side);
  for (let i = 0; i < side * side; i++) for (let c = 0; c < 3; c++) values[c * side * side + i] = data[4 * i + c] / 127.5 - 1;
  return new ort.Tensor('float32', values, [1, 3, side, side]);
}

const settled = async () => {
  if (state.provider === 'webgpu') await (await ort.env.webgpu.device).queue.onSubmittedWorkDone();
};

self.peer = {
  async open({ provider, threads, expected }) {
    ort.env.wasm.numThreads = threads;
    Object.assign(state, { provider, expected });
    const location = provider === 'webgpu' ? 'gpu-buffer' : 'cpu';
    const create = (name, preferredOutputLocation) =>
      ort.InferenceSession.create(`./${name}.onnx`, {
        executionProviders: [provider],
        graphOptimizationLevel: 'all',
        preferredOutputLocation,
      });
    const started = performance.now();
    state.encode = await create('encode', location);
    state.text = await create('text', location);
    state.ground = await create('ground', 'cpu');
    state.image = await pixels(expected.side);
    const ids = BigInt64Array.from(expected.ids, BigInt);
    state.ids = new ort.Tensor('int64', ids, [1, ids.length]);
    state.valid = new ort.Tensor('float32', Float32Array.from(expected.valid), [1, ids.length]);
    return { seconds: (performance.now() - started) / 1000, version: ort.env.versions.web ?? ort.env.versions.common };
  },

  /** Trunk and neck; the maps stay where the provider computes. */
  async encode() {
    for (const map of Object.values(state.maps ?? {})) map.dispose();
    const started = performance.now();
    state.maps = await state.encode.run({ image: state.image });
    await settled();
    return (performance.now() - started) / 1000;
  },

  /** Grounding, all outputs on the host; the text is encoded once, as the page does. */
  async prompt() {
    const started = performance.now();
    state.words ??= (await state.text.run({ ids: state.ids })).text;
    const { logits, boxes, presence, semantic } = await state.ground.run({ ...state.maps, text: state.words, valid: state.valid });
    const seconds = (performance.now() - started) / 1000;
    const list = (tensor) => Array.from(tensor.data);
    return { seconds, logits: list(logits), boxes: list(boxes), presence: presence.data[0], semantic: list(semantic) };
  },
};
self.peerReady = true;

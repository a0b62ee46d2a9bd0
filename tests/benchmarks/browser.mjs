// The page's own model and ONNX Runtime Web in one Chromium, turn by turn, on the same picture and the same weights.
//   node tests/benchmarks/browser.mjs EXPORT [--rounds 3] [--only webgpu|cpu] [--threads 1]
// EXPORT is the folder that export_onnx.py wrote. Prints one JSON object; what it does goes to standard error.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DIST, dice, launch } from '../browser/support.mjs';
import { maskOf, median, sigmoid } from './compare.mjs';
import { cleanUp, openRoot, ours, peer } from './pages.mjs';

const option = (name, fallback) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : process.argv[at + 1];
};
const say = (text) => console.error(text);
const EXPORT = process.argv[2];
const ROUNDS = Number(option('rounds', '3'));
const THREADS = Number(option('threads', '1'));
const expected = JSON.parse(await readFile(join(EXPORT, 'expected.json'), 'utf8'));
const picture = join(EXPORT, 'input.png');

/** How far the two answers are apart. */
function difference(answer, other) {
  const presence = sigmoid(other.presence);
  const best = sigmoid(Math.max(...other.logits)) * presence;
  const mask = maskOf(other.semantic, expected.side, expected.maskThreshold);
  return {
    presence: Math.abs(answer.presence - presence),
    bestScore: Math.abs(answer.bestScore - best),
    presenceFromPytorch: Math.abs(answer.presence - expected.presence),
    dice: dice(answer.mask, mask),
  };
}

async function compare(browser, backend) {
  const provider = backend === 'cpu' ? 'wasm' : 'webgpu';
  say(`${backend}: loading the page`);
  const page = await ours(browser, { backend, picture, prompt: expected.prompt });
  say(`${backend}: loading ONNX Runtime Web, ${provider}`);
  const other = await peer(browser, { provider, folder: EXPORT, expected, threads: THREADS });

  // The first run compiles shaders on either side.
  say(`${backend}: first runs`);
  const first = await page.round();
  const otherFirst = { image: await other.encode(), prompt: (await other.prompt()).seconds };
  await page.counts(true);
  await other.counts(true);

  const seconds = { image: [], prompt: [], otherImage: [], otherPrompt: [] };
  let answer;
  let otherAnswer;
  for (let round = 1; round <= ROUNDS; round++) {
    const ran = await page.round();
    answer = ran.answer;
    seconds.image.push(ran.seconds.image);
    seconds.prompt.push(ran.seconds.prompts);
    seconds.otherImage.push(await other.encode());
    otherAnswer = await other.prompt();
    seconds.otherPrompt.push(otherAnswer.seconds);
    say(
      `${backend}: round ${round}: image ${seconds.image.at(-1).toFixed(3)} s against ${seconds.otherImage.at(-1).toFixed(3)} s, ` +
        `prompt ${seconds.prompt.at(-1).toFixed(3)} s against ${seconds.otherPrompt.at(-1).toFixed(3)} s`,
    );
  }
  // A further prompt on the same picture shows what the image's share of a round is.
  await page.counts(true);
  await page.round();
  const both = await page.counts(true);
  await page.prompt();
  const prompt = await page.counts(true);
  await other.counts(true);
  await other.encode();
  const otherImage = await other.counts(true);
  await other.prompt();
  const otherPrompt = await other.counts(true);
  const medians = Object.fromEntries(Object.entries(seconds).map(([name, values]) => [name, median(values)]));
  const result = {
    rounds: ROUNDS,
    threads: backend === 'cpu' ? THREADS : undefined,
    ours: {
      secondsToReady: page.secondsToReady,
      firstRunSeconds: first.seconds,
      imageSeconds: medians.image,
      promptSeconds: medians.prompt,
      load: page.load,
      imageDispatches: both.dispatches - prompt.dispatches,
      imageSubmits: both.submits - prompt.submits,
      promptDispatches: prompt.dispatches,
      peakBytes: both.peakBytes,
      largestBinding: Math.max(page.load.largestBinding, both.largestBinding),
      wasmHeapBytes: prompt.wasmHeapBytes,
    },
    onnxRuntimeWeb: {
      version: other.opened.version,
      provider,
      secondsToReady: other.opened.seconds,
      firstRunSeconds: otherFirst,
      imageSeconds: medians.otherImage,
      promptSeconds: medians.otherPrompt,
      load: other.load,
      imageDispatches: otherImage.dispatches,
      imageSubmits: otherImage.submits,
      promptDispatches: otherPrompt.dispatches,
      peakBytes: Math.max(otherImage.peakBytes, otherPrompt.peakBytes),
      largestBinding: Math.max(other.load.largestBinding, otherImage.largestBinding, otherPrompt.largestBinding),
      wasmHeapBytes: otherPrompt.wasmHeapBytes,
    },
    all: seconds,
    imageRatio: median(seconds.image.map((value, i) => value / seconds.otherImage[i])),
    promptRatio: median(seconds.prompt.map((value, i) => value / seconds.otherPrompt[i])),
    difference: difference(answer, otherAnswer),
  };
  await page.page.context().close();
  await other.page.context().close();
  return result;
}

async function adapter(browser) {
  const { page, address } = await openRoot(browser, DIST);
  await page.goto(address);
  const info = await page.evaluate(async () => {
    const found = await navigator.gpu?.requestAdapter();
    if (!found) return null;
    const { vendor, architecture, device, description } = found.info;
    return { vendor, architecture, device, description, isFallback: found.info.isFallbackAdapter, f16: found.features.has('shader-f16') };
  });
  await page.context().close();
  return info;
}

const only = option('only', null);
const browser = await launch({ webgpu: true });
try {
  const result = { chromium: browser.version(), adapter: await adapter(browser) };
  for (const backend of ['cpu', 'webgpu']) if (!only || only === backend) result[backend] = await compare(browser, backend);
  console.log(JSON.stringify(result));
} finally {
  await browser.close();
  await cleanUp();
}

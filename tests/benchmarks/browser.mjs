// The page's own model and ONNX Runtime Web in one Chromium, turn by turn, on the same picture and the same weights.
//   node tests/benchmarks/browser.mjs EXPORT [--rounds 3] [--only webgpu|cpu] [--threads 1]
// EXPORT is the folder that export_onnx.py wrote. Prints one JSON object; what it does goes to standard error.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DIST, dice, launch } from '../browser/support.mjs';
import { maskOf, median, ratio, sigmoid } from './compare.mjs';
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

/**
 * Processor seconds so far of the processes that compute: the GPU's (a software adapter) or the pages'. On a machine that
 * does other work too they say more than a clock.
 */
async function processorSeconds(session, backend) {
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  const type = backend === 'cpu' ? 'renderer' : 'GPU';
  return processInfo.filter((process) => process.type === type).reduce((sum, { cpuTime }) => sum + cpuTime, 0);
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
  const otherFirst = await other.encode();
  await other.prompt();
  await page.counts(true);
  await other.counts(true);

  const seconds = { image: [], prompt: [], otherImage: [], otherPrompt: [] };
  const processor = { image: [], prompt: [], otherImage: [], otherPrompt: [] };
  const session = await browser.newBrowserCDPSession();
  const timed = async (work) => {
    const before = await processorSeconds(session, backend);
    const result = await work();
    return { result, spent: (await processorSeconds(session, backend)) - before };
  };
  let answer;
  let otherAnswer;
  for (let round = 1; round <= ROUNDS; round++) {
    const ran = await timed(() => page.round());
    // The same prompt once more, on the image that is open, shows what of that was the image's.
    const again = await timed(() => page.prompt());
    const encoded = await timed(() => other.encode());
    const prompted = await timed(() => other.prompt());
    answer = ran.result.answer;
    otherAnswer = prompted.result;
    seconds.image.push(ran.result.seconds.image);
    seconds.prompt.push(again.result.seconds.prompts);
    seconds.otherImage.push(encoded.result);
    seconds.otherPrompt.push(otherAnswer.seconds);
    processor.image.push(ran.spent - again.spent);
    processor.prompt.push(again.spent);
    processor.otherImage.push(encoded.spent);
    processor.otherPrompt.push(prompted.spent);
    const last = (name) => `${seconds[name].at(-1).toFixed(3)} s (processor ${processor[name].at(-1).toFixed(3)})`;
    say(`${backend}: round ${round}: image ${last('image')} against ${last('otherImage')}, prompt ${last('prompt')} against ${last('otherPrompt')}`);
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
      firstImageSeconds: first.seconds.image,
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
      firstImageSeconds: otherFirst,
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
    all: { seconds, processor },
    imageRatio: ratio(seconds.image, seconds.otherImage),
    promptRatio: ratio(seconds.prompt, seconds.otherPrompt),
    imageProcessorRatio: ratio(processor.image, processor.otherImage),
    promptProcessorRatio: ratio(processor.prompt, processor.otherPrompt),
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

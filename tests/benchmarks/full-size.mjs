// A model of any size in a real browser: from the origin's private file system through the worker onto WebGPU, one image,
// one prompt. Says how much memory the WebAssembly module took, what the largest GPU buffer and binding were, and how the
// masks agree with those of the native program on the CPU with f32 weights. Fails beyond the limits.
//   node tests/benchmarks/full-size.mjs --model FOLDER --reference FOLDER [--side 168] [--prompt Polyp] [--picture FILE]
//     [--iou 0.98] [--out FILE]
// FOLDER: of the model in the browser, and of the same model in f32 (the same folder where it is f32 already). Needs the
// built page (dist/, or MEDSAM3_DIST) and the native program (MEDSAM3_CLI).
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, link, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { serve } from '../browser/server.mjs';
import { DIST, ROOT, fixture, launchOnDisk, readPng, secondsOf } from '../browser/support.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const MIB = 1 << 20;
const HEAP_LIMIT = 256 * MIB;
const BINDING_LIMIT = 128 * MIB;
const say = (text) => console.error(`${new Date().toISOString().slice(11, 19)} ${text}`);

/** Masks are asked for in these ways: the semantic head's, and the union of all instances. */
const RULES = ['semantic', 'union'];

/** Runs in the page: fetches the model's files into the private file system, where the store keeps them. */
async function store({ id, files }) {
  const root = await navigator.storage.getDirectory();
  const models = await root.getDirectoryHandle('models', { create: true });
  const folder = await models.getDirectoryHandle(id, { create: true });
  for (const name of files) {
    const response = await fetch(`model-under-test/${name}`);
    if (!response.ok) throw new Error(`${name}: ${response.status}`);
    const handle = await folder.getFileHandle(name, { create: true });
    await response.body.pipeTo(await handle.createWritable());
  }
  return (await navigator.storage.estimate()).usage;
}

/** Runs in the page: a worker as the page makes it, spoken to in its own protocol. */
async function openWorker() {
  const worker = new Worker('app/worker.js', { type: 'module' });
  const pending = new Map();
  let last = 0;
  self.stages = [];
  worker.addEventListener('error', (event) => pending.forEach((job) => job.reject(new Error(event.message))));
  worker.addEventListener('message', ({ data: { message, buffers } }) => {
    if (message.kind === 'progress') return void self.stages.push({ ...message, at: performance.now() });
    const job = pending.get(message.id) ?? [...pending.values()][0];
    if (message.kind === 'slice-segmented') {
      return void job?.parts.push({ result: message.answers[0].answer, mask: [...new Uint8Array(buffers[0])] });
    }
    pending.delete(message.id);
    if (message.kind === 'error') job?.reject(new Error(`${message.error.code}: ${message.error.message}`));
    else job?.resolve({ message, parts: job.parts });
  });
  self.ask = (message, buffers = [], module = undefined) =>
    new Promise((resolve, reject) => {
      const id = ++last;
      pending.set(id, { resolve, reject, parts: [] });
      worker.postMessage({ message: { ...message, id }, buffers, module });
    });
  self.sizes = () =>
    new Promise((done) => {
      const channel = new BroadcastChannel('gpu-sizes');
      channel.addEventListener('message', ({ data }) => {
        if (!data.sizes) return;
        channel.close();
        done(data.sizes);
      });
      channel.postMessage({ ask: true });
    });
  const module = await WebAssembly.compileStreaming(fetch('medsam3-web_bg.wasm'));
  return (await self.ask({ kind: 'start', backend: 'auto' }, [], module)).message;
}

/** The native program's answer: its JSON line and its mask. */
async function native({ model, picture, prompt, side, rule }) {
  const out = await mkdtemp(join(tmpdir(), 'medsam3-full-size-'));
  try {
    const options = ['segment', picture, '--prompt', prompt, '--model', model, '--device', 'cpu', '--threshold', '0', '--mask', rule];
    if (side) options.push('--size', String(side));
    options.push('--out', out, '--formats', 'png', '--json');
    const { stdout } = await promisify(execFile)(process.env.MEDSAM3_CLI ?? 'medsam3', options, { maxBuffer: 1 << 28 });
    const stem = picture.split('/').at(-1).replace(/\.[^.]*$/, '');
    const { values } = await readPng(join(out, `${stem}.${prompt.toLowerCase().replace(/[^a-z0-9]/g, '-')}.png`));
    return { answer: JSON.parse(stdout.trim().split('\n')[0]), mask: values.map((value) => (value > 127 ? 1 : 0)) };
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

/** |A and B| / |A or B|; two empty masks agree. */
function iou(a, b) {
  assert.equal(a.length, b.length, 'masks of different sizes');
  let both = 0;
  let either = 0;
  for (let i = 0; i < a.length; i++) {
    both += a[i] && b[i] ? 1 : 0;
    either += a[i] || b[i] ? 1 : 0;
  }
  return either === 0 ? 1 : both / either;
}

/** The built page with the instrument in front of its worker's script, an empty page, and the model beside it. */
async function site(root, model, files) {
  await cp(DIST, root, { recursive: true });
  const worker = join(root, 'app/worker.js');
  const scripts = await Promise.all([join(HERE, 'gpu-sizes.js'), worker].map((path) => readFile(path, 'utf8')));
  await writeFile(worker, scripts.join('\n'));
  await writeFile(join(root, 'empty.html'), '<!doctype html><title>Full size</title>');
  await mkdir(join(root, 'model-under-test'));
  for (const name of files) {
    const [from, to] = [join(model, name), join(root, 'model-under-test', name)];
    await link(from, to).catch(() => cp(from, to));
  }
}

/** Loads and segments; returns what is to be written down, and the masks by rule. */
export async function run({ model, side = null, prompt, picture }) {
  const bytes = await readFile(join(model, 'manifest.json'));
  const manifest = JSON.parse(bytes);
  const id = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
  const files = ['manifest.json', ...manifest.files.map((file) => file.name)];
  const scratch = await mkdtemp(join(tmpdir(), 'medsam3-full-size-'));
  const root = join(scratch, 'site');
  let server;
  let browser;
  try {
    await site(root, model, files);
    server = await serve({ root });
    browser = await launchOnDisk(join(scratch, 'browser'));
    const page = await browser.newPage();
    page.setDefaultTimeout(0);
    const logs = [];
    page.on('console', (message) => logs.push(message.text()));
    await page.goto(`${server.address}empty.html`);
    say(`storing ${manifest.name} (${manifest.precision})`);
    const stored = await page.evaluate(store, { id, files });
    const started = await page.evaluate(openWorker);
    assert.equal(started.backend, 'webgpu', JSON.stringify(started.whyCpu));
    say('loading');
    const load = await page.evaluate(async (request) => {
      const start = performance.now();
      const { message } = await self.ask(request);
      return { model: message.model, seconds: (performance.now() - start) / 1000, sizes: await self.sizes(), stages: self.stages };
    }, { kind: 'open-stored', model: id, imageSide: side });
    say(`loaded in ${load.seconds.toFixed(1)} s, heap ${(load.sizes.heapBytes / MIB).toFixed(0)} MiB`);
    const masks = {};
    const seconds = {};
    let answer;
    await page.evaluate((file) => self.ask({ kind: 'open-files', names: [''] }, [new Blob([new Uint8Array(file)])]), [...(await readFile(picture))]);
    await page.evaluate(() => self.ask({ kind: 'open-series', series: 0 }));
    for (const rule of RULES) {
      const place = { scope: { kind: 'slice' }, at: { slice: 0, frame: 0 }, window: null };
      const request = { kind: 'segment-series', prompts: [prompt], ...place, rule, threshold: 0, onProtected: 'refuse' };
      const { parts, stages, end } = await page.evaluate(async (request) => {
        self.stages.length = 0;
        const { parts } = await self.ask(request);
        return { parts, stages: self.stages, end: performance.now() };
      }, request);
      masks[rule] = parts[0].mask;
      seconds[rule] = secondsOf([...stages, { at: end }]);
      answer = parts[0].result;
      say(`${rule}: image ${seconds[rule].image.toFixed(1)} s, prompt ${seconds[rule].prompts.toFixed(1)} s`);
    }
    const sizes = await page.evaluate(() => self.sizes());
    const known = load.stages.filter((stage) => stage.bytes);
    return {
      masks,
      answer,
      log: {
        chromium: browser.browser()?.version() ?? (await page.evaluate(() => navigator.userAgent)),
        machine: `${cpus().length} x ${cpus()[0].model}`,
        model: manifest.name,
        precision: manifest.precision,
        heldAs: load.model.heldAs,
        imageSide: load.model.imageSide,
        storedMiB: Math.round(stored / MIB),
        onDeviceMiB: Math.round(Math.max(...known.filter((stage) => stage.stage === 'weights').map((stage) => stage.bytes[1])) / MIB),
        loadSeconds: load.seconds,
        seconds,
        heapMiB: { loading: load.sizes.heapBytes / MIB, all: sizes.heapBytes / MIB },
        largestBufferMiB: sizes.largestBuffer / MIB,
        largestBindingMiB: sizes.largestBinding / MIB,
        gpuPeakMiB: { loading: load.sizes.peakBytes / MIB, all: sizes.peakBytes / MIB },
        warnings: logs.slice(0, 5),
      },
    };
  } finally {
    await browser?.close();
    server?.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

/**
 * Runs, compares with the native program, and asserts the limits; returns what is to be written down.
 *
 * With the same weights both masks must be the native program's. What storing the weights in fewer bits costs is judged by
 * the semantic mask, and by the union of all instances where `union` says so: of random weights that union is 200 masks
 * whose logits all lie near the threshold.
 */
export async function measure({ model, reference, side, prompt, picture, least, union = true }) {
  const { masks, answer, log } = await run({ model, side, prompt, picture });
  Object.assign(log, { iou: {}, iouSameWeights: {}, positive: {} });
  for (const rule of RULES) {
    say(`native, ${rule}`);
    const ask = { picture, prompt, side: log.imageSide, rule };
    const same = await native({ model, ...ask });
    const single = reference === model ? same : await native({ model: reference, ...ask });
    log.iou[rule] = iou(masks[rule], single.mask);
    log.iouSameWeights[rule] = iou(masks[rule], same.mask);
    log.positive[rule] = single.mask.filter(Boolean).length / single.mask.length;
    log.presence = { browser: answer.presence, sameWeights: same.answer.presence, single: single.answer.presence };
  }
  assert.ok(log.heapMiB.all * MIB < HEAP_LIMIT, `the WebAssembly heap grew to ${log.heapMiB.all} MiB`);
  assert.ok(log.largestBindingMiB * MIB <= BINDING_LIMIT, `a binding of ${log.largestBindingMiB} MiB`);
  assert.ok(log.largestBufferMiB * MIB <= BINDING_LIMIT, `a buffer of ${log.largestBufferMiB} MiB`);
  for (const rule of RULES) {
    assert.ok(log.positive[rule] > 0.001, `the ${rule} mask has nothing to compare`);
    assert.ok(log.iouSameWeights[rule] >= 0.995, `IoU ${log.iouSameWeights[rule]} of the ${rule} mask, with the same weights`);
    if (rule === 'semantic' || union) assert.ok(log.iou[rule] >= least, `IoU ${log.iou[rule]} of the ${rule} mask`);
  }
  return log;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const option = (name, fallback) => {
    const at = process.argv.indexOf(`--${name}`);
    return at < 0 ? fallback : process.argv[at + 1];
  };
  const model = resolve(option('model', join(ROOT, 'weights/default')));
  const { precision } = JSON.parse(await readFile(join(model, 'manifest.json'), 'utf8'));
  const log = await measure({
    model,
    reference: resolve(option('reference', model)),
    side: Number(option('side', '0')) || null,
    prompt: option('prompt', 'Polyp'),
    picture: resolve(option('picture', fixture('phantom.png'))),
    least: Number(option('iou', precision === 'q8' ? '0.98' : '0.995')),
    union: precision !== 'q8',
  });
  const text = `${JSON.stringify(log, null, 2)}\n`;
  const out = option('out', null);
  if (out) await writeFile(out, text);
  console.log(text);
}

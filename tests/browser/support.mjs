// What every browser test needs: the built page served with its shipped headers, a real Chromium with
// or without WebGPU, and eyes on what the worker says, on requests and on faults.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { PNG } from 'pngjs';
import { medsam3, serve } from './server.mjs';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const DIST = process.env.MEDSAM3_DIST ?? join(ROOT, 'dist');
export const fixture = (name) => join(ROOT, 'tests/browser/fixtures', name);
export const sample = (name) => join(ROOT, 'public/samples', name);
export const truth = (name) => join(ROOT, 'tests/fixtures/samples', name);

/** A copy of the built page that a test may change; removed when it ends. */
export async function copyOfDist(t) {
  const folder = await mkdtemp(join(tmpdir(), 'medsam3-dist-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await cp(DIST, folder, { recursive: true });
  return folder;
}

/** SwiftShader computes one image in a minute or so. */
export const PATIENCE_MS = 15 * 60_000;

const QUIET = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A browser; with `webgpu`, on SwiftShader's adapter, else without any. */
export function launch({ webgpu = false } = {}) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: webgpu ? [...QUIET, '--enable-unsafe-webgpu'] : QUIET,
  });
}

/** A browser with WebGPU whose storage is a folder on disk: what is kept in memory may be a gigabyte at most. */
export function launchOnDisk(folder) {
  return chromium.launchPersistentContext(folder, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [...QUIET, '--enable-unsafe-webgpu'],
  });
}

/** Runs in the page before its own scripts: keeps what the worker answers to each prompt, picture by picture. */
export function listen() {
  self.answers = [];
  self.workerMessages = [];
  const Plain = self.Worker;
  self.Worker = class extends Plain {
    constructor(...options) {
      super(...options);
      super.addEventListener('message', ({ data: { message, buffers } }) => {
        self.workerMessages.push({ ...message, at: performance.now() });
        if (message.kind !== 'slice-segmented') return;
        message.answers.forEach(({ answer, segment }, at) => self.answers.push({ ...answer, segment, place: message.place, mask: [...new Uint8Array(buffers[at])] }));
      });
    }
  };
}

/**
 * The page in a new context. `pageFaults` collects uncaught errors, `requests` every request the browser tried.
 * `models` are folders that the server offers, `start` starts it in another way (`serveFaulty`, which knows what
 * arrived), `before` runs in every page of the context before its own scripts.
 */
export async function openPage(t, browser, { query = '', root = DIST, viewport = { width: 1280, height: 800 }, locale = 'en-US', ready = true, models = [], start = serve, before = () => undefined } = {}) {
  const server = await start({ root, models });
  const context = await browser.newContext({ viewport, locale });
  const page = await context.newPage();
  const pageFaults = [];
  const requests = [];
  const logs = [];
  page.on('pageerror', (error) => pageFaults.push(error.stack ?? String(error)));
  page.on('console', (message) => logs.push(`${message.type()}: ${message.text()}`));
  context.on('request', (request) => requests.push(request.url()));
  await context.addInitScript(listen);
  await context.addInitScript(before);
  t.after(async () => {
    await context.close();
    server.close();
    assert.deepEqual(pageFaults, [], 'the page had uncaught errors');
  });
  const { address } = server;
  await page.goto(address + query);
  if (ready) await waitForStage(page, 'ready', 180_000);
  return { page, context, server, address, requests, logs, pageFaults };
}

/** The worker that has the model and the picture; the other one, which has a network, comes and goes. */
export const engineWorker = (page) => page.workers().find((worker) => worker.url().endsWith('/app/worker.js'));

export const waitForStage = (page, stage, timeout = PATIENCE_MS) =>
  page.locator(`#status[data-stage="${stage}"]`).waitFor({ timeout });

/** Until the page has drawn what it knows: resizing and drawing take a few animation frames. */
export const waitForShownFrame = (page) =>
  page.evaluate(async () => {
    for (let frame = 0; frame < 10; frame++) await new Promise((done) => requestAnimationFrame(done));
  });

/** Opens a file through the labelled input and waits until it is shown. */
export async function openFile(page, path) {
  const before = await page.evaluate(() => self.workerMessages.filter((m) => m.kind === 'slice').length);
  await page.getByLabel('Open images').setInputFiles(path);
  await page.waitForFunction((n) => self.workerMessages.filter((m) => m.kind === 'slice').length > n, before);
  await waitForStage(page, 'ready');
}

/** Types prompts, presses "Segment", waits for the end, and returns the worker's answers. */
export async function segment(page, prompts) {
  const before = await page.evaluate(() => self.answers.length);
  await page.getByLabel('Prompts').fill(prompts);
  await page.getByRole('button', { name: 'Segment' }).click();
  await page.waitForFunction(
    () => document.querySelector('#cancel').disabled && document.querySelector('#status').dataset.stage === 'ready',
    undefined,
    { timeout: PATIENCE_MS },
  );
  return page.evaluate((n) => self.answers.slice(n), before);
}

/** What the worker said in the last run. */
const lastRun = (page) =>
  page.evaluate(() => {
    const end = self.workerMessages.findLastIndex((m) => m.kind === 'series-segmented');
    const begin = self.workerMessages.slice(0, end).findLastIndex((m) => m.kind === 'series-segmented');
    return self.workerMessages.slice(begin + 1, end + 1).map(({ kind, stage, at }) => ({ kind, stage, at }));
  });

const isAbout = (stage) => (message) => message.stage === stage;

/**
 * What a run took, by the times of what the worker said: from the first word of the image to the first of a prompt behind
 * it (0 where the image was not looked at), and from there to the end, in seconds. A text that was not known yet is read
 * before the image is looked at.
 */
export function secondsOf(run) {
  const image = run.findIndex(isAbout('image'));
  const prompt = run.slice(image + 1).find(isAbout('prompt')).at;
  return { image: image < 0 ? 0 : (prompt - run[image].at) / 1000, prompts: (run.at(-1).at - prompt) / 1000 };
}

/** That of the last run, by the page's clock. */
export const secondsOfRun = async (page) => secondsOf(await lastRun(page));

/**
 * Steps of the image in the last run, as its progress told them: each block of the trunk, and the neck; the neck alone where
 * the trunk's result was kept; none of the picture that was asked about last.
 */
export const imageStepsOfRun = async (page) => (await lastRun(page)).filter(isAbout('image')).length;

/** The code of the message that the alert region shows. */
export async function alertCode(page) {
  const message = page.getByRole('alert').locator('.message.error');
  await message.waitFor({ timeout: 60_000 });
  return message.getAttribute('data-code');
}

/** 2 |A and B| / (|A| + |B|); two empty masks agree. */
export function dice(a, b) {
  assert.equal(a.length, b.length, 'masks of different sizes');
  let both = 0;
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    both += a[i] && b[i] ? 1 : 0;
    sum += (a[i] ? 1 : 0) + (b[i] ? 1 : 0);
  }
  return sum === 0 ? 1 : (2 * both) / sum;
}

/** A mask or picture file: width, height and the red channel. */
export async function readPng(path) {
  const { width, height, data } = PNG.sync.read(await readFile(path));
  return { width, height, values: Array.from({ length: width * height }, (_, i) => data[4 * i]) };
}

/** The mask that the native program makes of the same file on the CPU. */
export async function nativeMask(input, prompt) {
  const out = await mkdtemp(join(tmpdir(), 'medsam3-browser-'));
  try {
    const model = join(DIST, 'model');
    const options = ['segment', resolve(input), '--prompt', prompt, '--model', model, '--device', 'cpu', '--out', out, '--formats', 'png', '--json'];
    await promisify(execFile)(...medsam3(...options), { cwd: ROOT, maxBuffer: 1 << 26 });
    const stem = input.split('/').at(-1).replace(/\.[^.]*$/, '');
    const { values, width, height } = await readPng(join(out, `${stem}.${prompt.toLowerCase().replace(/[^a-z0-9]/g, '-')}.png`));
    return { width, height, mask: values.map((value) => (value > 127 ? 1 : 0)) };
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

// Series in the worker: what is listed, the pixels and the geometry of slices, runs over slices with pause and cancel, the
// document, and its files. Masks are those of the native program, files are read again by it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { ask, openEngine, openFiles } from './engine.mjs';
import { medsam3 } from './server.mjs';
import { ROOT, dice, fixture, launch, nativeMask } from './support.mjs';

const made = (name) => join(ROOT, 'tests/imaging/series', name);

let browser;
before(async () => void (browser = await launch()));
after(() => browser.close());

async function native(...words) {
  const { stdout } = await promisify(execFile)(...medsam3(...words), { cwd: ROOT, maxBuffer: 1 << 26 });
  return stdout.trim().split('\n').map((line) => JSON.parse(line));
}

async function folder(t) {
  const path = await mkdtemp(join(tmpdir(), 'medsam3-series-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

const wholeRun = { window: null, rule: 'model', threshold: null, maskThreshold: null, onProtected: 'refuse' };

/** Runs to the end; gives what came for every slice, and the closing answer. */
const run = (page, message) =>
  page.evaluate(async (message) => {
    const slices = [];
    const closing = await self.ask(message, [], ({ message, buffers }) => {
      if (message.kind === 'slice-segmented') slices.push({ message, masks: buffers.map((bytes) => [...bytes]) });
    });
    return { slices, closing: closing.message };
  }, { kind: 'segment-series', ...wholeRun, ...message });

test('a listing says what is there, and no name comes out', async (t) => {
  const page = await openEngine(t, browser);
  const axial = (await readdir(made('axial'))).map((name) => join(made('axial'), name));
  const { message } = await openFiles(page, [...axial, fixture('phantom.dcm'), fixture('phantom.png'), fixture('make.py')]);
  assert.equal(message.kind, 'listed', JSON.stringify(message));
  const { listing } = message;
  assert.deepEqual(listing.series.map(({ kind, format }) => [kind, format]), [['volume', 'DICOM'], ['image', 'DICOM'], ['image', 'PNG']]);
  assert.equal(listing.skipped, 1);
  assert.equal(listing.files, axial.length + 3);
  assert.ok(!/CANARY|phantom|make/.test(JSON.stringify(message)), 'a name came out');
  const [inspected] = await native('inspect', made('axial'), '--json');
  assert.equal(listing.series[0].slices, inspected.slices);
  assert.deepEqual(listing.series[0].spacingMm, inspected.spacing_mm);

  const opened = (await ask(page, { kind: 'open-series', series: 0 })).message;
  assert.equal(opened.kind, 'series-opened', JSON.stringify(opened));
  assert.deepEqual(opened.series.affine, inspected.affine);
  // The affine takes the first pixel of every slice to its plane.
  opened.series.planes.forEach(({ position, gridIndex }) => {
    const expected = opened.series.affine.slice(0, 3).map((row) => row[2] * gridIndex + row[3]);
    position.forEach((value, axis) => assert.ok(Math.abs(value - expected[axis]) < 1e-3, `${position} is not ${expected}`));
  });
  assert.deepEqual(opened.series.planes[0].edges, ['R', 'L', 'A', 'P'], 'an axial volume');
  const thumbnail = await ask(page, { kind: 'thumbnail', series: 1, side: 64 });
  assert.equal(thumbnail.message.width, 64);
  assert.equal(thumbnail.buffers[0].length, 4 * thumbnail.message.width * thumbnail.message.height);
});

test('a mask is the native one, and what is exported is read again', async (t) => {
  const page = await openEngine(t, browser);
  await openFiles(page, [fixture('phantom.dcm')]);
  await ask(page, { kind: 'open-series', series: 0 });
  const { slices, closing } = await run(page, { prompts: ['lungs'], scope: { kind: 'slice' }, at: { slice: 0, frame: 0 } });
  assert.equal(closing.kind, 'series-segmented', JSON.stringify(closing));
  const [segment] = closing.document.segments;
  const { mask } = await nativeMask(fixture('phantom.dcm'), 'lungs');
  assert.ok(mask.some((pixel) => pixel), 'the native mask is empty');
  const found = dice(slices[0].masks[0], mask);
  t.diagnostic(`Dice with the native mask ${found}`);
  assert.ok(found >= 0.99, `${found}`);
  assert.equal(segment.voxels, slices[0].masks[0].filter((pixel) => pixel).length);
  assert.equal(segment.origin.prompt, 'lungs');
  assert.match(segment.origin.modelVersion, /^[0-9a-f]{64}$/);

  const { message: exported, buffers } = await ask(page, { kind: 'export', formats: ['seg', 'csv', 'json', 'png', 'rtstruct'], deidentify: true });
  assert.deepEqual(exported.refused.map(({ format }) => format), ['rtstruct'], 'a picture without a place');
  const seg = exported.files.findIndex(({ format }) => format === 'seg');
  for (const [index, bytes] of buffers.entries()) {
    const text = Buffer.from(bytes).toString('latin1') + exported.files[index].name;
    assert.ok(!text.includes('CANARY'), `${exported.files[index].name} names the patient`);
  }
  const path = join(await folder(t), exported.files[seg].name);
  await writeFile(path, Buffer.from(buffers[seg]));
  const [measured] = await native('measure', fixture('phantom.dcm'), path, '--json');
  assert.equal(measured.voxels, segment.voxels, 'the native program reads another mask');

  const { message: imported } = await ask(page, { kind: 'import-segmentation', found: null, into: 'reference' }, [buffers[seg]]);
  assert.equal(imported.kind, 'imported', JSON.stringify(imported));
  const reference = imported.import.segments[0].id;
  const { message: same } = await ask(page, { kind: 'compare', segment: segment.id, reference, frame: 0, tolerance: 2 });
  assert.equal(same.comparison.dice, 1);
});

test('a run is halted, goes on and is cancelled; slices come meanwhile, and what was found stays', async (t) => {
  const page = await openEngine(t, browser);
  const axial = (await readdir(made('axial'))).map((name) => join(made('axial'), name));
  await openFiles(page, axial);
  await ask(page, { kind: 'open-series', series: 0 });
  const heard = await page.evaluate(async (wholeRun) => {
    const times = {};
    const slices = [];
    let halted;
    const message = { kind: 'segment-series', ...wholeRun, threshold: 0, prompts: ['liver'], scope: { kind: 'all' }, at: { slice: 3, frame: 0 } };
    const first = new Promise((resolve) => {
      self.job = self.ask(message, [], ({ message }) => {
        if (message.kind === 'slice-segmented') slices.push(message.place.slice);
        if (message.kind === 'slice-segmented') resolve();
        if (message.kind === 'run-state') halted?.();
      });
    });
    await first;
    const wait = new Promise((resolve) => (halted = resolve));
    self.post({ kind: 'pause', target: self.job.id });
    await wait;
    const before = slices.length;
    const asked = performance.now();
    const slice = await self.ask({ kind: 'slice', slice: 0, frame: 0, compact: true }, []);
    times.slice = performance.now() - asked;
    await new Promise((resolve) => setTimeout(resolve, 1500));
    times.whileHalted = slices.length - before;
    self.post({ kind: 'resume', target: self.job.id });
    while (slices.length < 3) await new Promise((resolve) => setTimeout(resolve, 20));
    const cancelled = performance.now();
    self.post({ kind: 'cancel', target: self.job.id });
    const closing = await self.job;
    times.cancel = performance.now() - cancelled;
    const document = await self.ask({ kind: 'document' }, []);
    const undone = await self.ask({ kind: 'undo' }, []);
    return { slices, times, samples: slice.message.samples, closing: closing.message.kind, document: document.message.document, undone: undone.message.document };
  }, wholeRun);
  t.diagnostic(JSON.stringify(heard.times));
  assert.equal(heard.closing, 'cancelled');
  assert.deepEqual(heard.slices.slice(0, 3), [3, 4, 2], 'the slice in view, then outwards');
  assert.ok(heard.slices.length < 6, 'the run went on to its end');
  assert.ok(heard.times.whileHalted <= 1, 'it went on while halted');
  assert.ok(heard.times.cancel < 300, `cancelled after ${heard.times.cancel} ms`);
  assert.equal(heard.samples, 'i16');
  assert.ok(heard.document.segments[0].slices.length >= 1, 'what was found is gone');
  assert.equal(heard.document.undo.what, 'run');
  assert.deepEqual(heard.undone.segments, []);
});

// A series in the page: how it is found, listed and looked at, a run over its slices, undo, and what is saved.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { ROOT, engineWorker, fixture, launch, openFile, openPage, segment, waitForStage } from './support.mjs';

let browser;
before(async () => void (browser = await launch()));
after(() => browser.close());

const CPU = { query: '?backend=cpu' };
const SERIES = join(ROOT, 'tests/imaging/series');
const CHEST = fixture('chest.zip');
/** Pixels of the fixture are 2 mm wide and high, slices 4 mm apart. */
const VOXEL_ML = (2 * 2 * 4) / 1000;

const list = (page) => page.getByRole('list', { name: 'Series' });
const item = (page, at = 0) => list(page).getByRole('listitem').nth(at);
const facts = async (page, at = 0) => {
  const [kind, modality, slices, problems] = await Promise.all(['kind', 'modality', 'slices', 'problems'].map((name) => item(page, at).getAttribute(`data-${name}`)));
  return { kind, modality, slices, problems };
};
const slider = (page) => page.getByRole('slider', { name: 'Slice' });
const edges = (page) => page.locator('#edges').evaluate(({ dataset: { left, right, top, bottom } }) => [left, right, top, bottom].join(' '));
const result = (page, prompt) => page.getByRole('list', { name: 'Results' }).locator(`li[data-prompt="${prompt}"]`);
const attribute = async (page, prompt, name) => Number(await result(page, prompt).getAttribute(`data-${name}`));

/** Opens a folder as the labelled input does. */
async function openFolder(page, folder) {
  await page.getByLabel('Open folder').setInputFiles(folder);
  await list(page).waitFor();
  await waitForStage(page, 'ready', 120_000);
}

async function runAll(page, prompts = 'lungs') {
  await page.getByRole('radio', { name: 'All slices' }).check();
  return segment(page, prompts);
}

test('a folder becomes one series whose edges are those of the patient', async (t) => {
  const { page } = await openPage(t, browser, CPU);
  // Directions by the affines that SimpleITK reads: truth.json.
  for (const [folder, letters] of [
    ['axial', 'R L A P'],
    ['coronal', 'R L H F'],
    ['sagittal', 'A P H F'],
  ]) {
    await openFolder(page, join(SERIES, folder));
    assert.deepEqual(await facts(page), { kind: 'volume', modality: 'CT', slices: '6', problems: '' }, folder);
    await page.locator('#edges').waitFor();
    assert.equal(await edges(page), letters, folder);
    assert.equal(await slider(page).getAttribute('max'), '6');
    assert.match(await page.locator('#facts').textContent(), /12 × 10 · 6 slices · 0.800 × 1.250 mm/);
  }
});

test('what keeps a series from being a volume is said', async (t) => {
  const { page } = await openPage(t, browser, CPU);
  await openFolder(page, join(SERIES, 'tilt'));
  assert.match((await facts(page)).problems, /tilt/);
  assert.match(await item(page).textContent(), /gantry was tilted.*Not a volume: its slices are tilted/);
  await openFolder(page, join(SERIES, 'gap'));
  assert.match((await facts(page)).problems, /gap/);
  await openFolder(page, join(SERIES, 'time-points'));
  assert.deepEqual([await slider(page).getAttribute('max'), await page.getByRole('slider', { name: 'Frame' }).getAttribute('max')], ['6', '2']);
});

test('a zip archive opens, and nothing of names or files is shown', async (t) => {
  const { page, logs } = await openPage(t, browser, CPU);
  await openFile(page, CHEST);
  assert.deepEqual(await facts(page), { kind: 'volume', modality: 'MR', slices: '5', problems: '' });
  assert.match(await page.locator('#left-out').textContent(), /Skipped 1 file that is not an image\./);
  assert.ok(!(await page.content()).includes('CANARY') && !logs.join().includes('CANARY'));
});

test('several series are listed with thumbnails, and one is chosen by a key', async (t) => {
  const { page } = await openPage(t, browser, CPU);
  await page.getByLabel('Open images').setInputFiles([fixture('phantom.dcm'), fixture('blocks.png'), CHEST]);
  await page.locator('#series canvas').nth(2).waitFor();
  await waitForStage(page, 'ready');
  assert.equal(await list(page).getByRole('listitem').count(), 3);
  const current = () => list(page).locator('[aria-current="true"]').count();
  assert.equal(await current(), 1);
  await item(page, 1).getByRole('button').click();
  await page.waitForFunction(() => document.querySelectorAll('#series li')[1].querySelector('[aria-current="true"]'));
  await page.keyboard.press('p');
  await page.waitForFunction(() => document.querySelectorAll('#series li')[0].querySelector('[aria-current="true"]'));
});

test('a run over all slices: results per slice and in all, undone and done again', async (t) => {
  const { page } = await openPage(t, browser, CPU);
  await openFile(page, CHEST);
  assert.equal(await slider(page).inputValue(), '3', 'the middle is in view');
  const answers = await runAll(page);
  assert.deepEqual(answers.map(({ place }) => place.slice), [2, 3, 1, 4, 0], 'the slice in view first, then outwards');
  const areas = Object.fromEntries(answers.map(({ place, areaPx }) => [place.slice, areaPx]));
  assert.ok(Object.values(areas).every((area) => area > 1000));
  const volume = Object.values(areas).reduce((sum, area) => sum + area, 0) * VOXEL_ML;
  assert.equal(await attribute(page, 'lungs', 'slices'), 5);
  assert.ok(Math.abs((await attribute(page, 'lungs', 'volume-ml')) - volume) < 1e-6 * volume);
  for (const slice of [0, 4]) {
    await slider(page).fill(String(slice + 1));
    await page.waitForFunction((area) => Number(document.querySelector('#results li').dataset.areaPx) === area, areas[slice]);
    assert.ok(Math.abs((await attribute(page, 'lungs', 'area-mm2')) - 4 * areas[slice]) < 1e-6);
  }
  await page.getByRole('button', { name: 'Undo' }).click();
  await result(page, 'lungs').waitFor({ state: 'detached' });
  assert.ok(await page.getByRole('button', { name: 'Export' }).isDisabled());
  await page.getByRole('button', { name: 'Redo' }).click();
  await result(page, 'lungs').waitFor();
  await page.waitForFunction((area) => Number(document.querySelector('#results li').dataset.areaPx) === area, areas[4]);
  assert.equal(await attribute(page, 'lungs', 'slices'), 5);
  // A deletion is a step of the same history.
  await page.getByRole('button', { name: 'Delete lungs' }).click();
  await result(page, 'lungs').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Undo' }).click();
  await result(page, 'lungs').waitFor();
});

test('a range, paused, looked at meanwhile, and cancelled: what was found is kept', async (t) => {
  const { page } = await openPage(t, browser, CPU);
  await openFile(page, CHEST);
  await page.getByRole('radio', { name: 'Range' }).check();
  await page.getByLabel('From').fill('2');
  await page.getByLabel('From').press('Tab');
  await page.getByLabel('To', { exact: true }).fill('5');
  await page.getByLabel('To', { exact: true }).press('Tab');
  await page.getByLabel('Prompts').fill('lungs');
  await page.getByRole('button', { name: 'Segment' }).click();
  await page.waitForFunction(() => self.answers.length > 0, undefined, { timeout: 120_000 });
  await page.getByRole('button', { name: 'Pause' }).click();
  await waitForStage(page, 'paused', 60_000);
  assert.match(await page.locator('#pace-words').textContent(), /\d of 4 slices/);
  const done = await page.evaluate(() => self.answers.length);
  const seen = await page.evaluate(() => self.workerMessages.filter((m) => m.kind === 'slice').length);
  await slider(page).fill('1');
  await page.waitForFunction((n) => self.workerMessages.filter((m) => m.kind === 'slice').length > n, seen);
  await page.waitForTimeout(500);
  assert.equal(await page.evaluate(() => self.answers.length), done, 'it is halted');
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.waitForFunction((n) => self.answers.length > n, done, { timeout: 120_000 });
  await page.getByRole('button', { name: 'Cancel' }).click();
  await waitForStage(page, 'ready', 60_000);
  const found = await page.evaluate(() => self.answers.map(({ place }) => place.slice));
  assert.ok(found.length >= 2 && !found.includes(0));
  await page.waitForFunction((n) => Number(document.querySelector('#results li')?.dataset.slices) === n, found.length);
});

test('a crash during a run over slices keeps what was found, in the engine too', async (t) => {
  const { page } = await openPage(t, browser, CPU);
  await openFile(page, CHEST);
  await page.getByRole('radio', { name: 'All slices' }).check();
  await page.getByLabel('Prompts').fill('lungs');
  await page.getByRole('button', { name: 'Segment' }).click();
  await page.waitForFunction(() => self.answers.length >= 2, undefined, { timeout: 120_000 });
  await engineWorker(page).evaluate(() => void setTimeout(() => { throw new Error('a fault made by the test'); }));
  await page.getByRole('alert').locator('[data-code="ENGINE-CRASHED"]').waitFor();
  await waitForStage(page, 'ready', 120_000);
  const found = await page.evaluate(() => self.answers.map(({ place, areaPx }) => [place.slice, areaPx]));
  assert.equal(Number(await page.locator('#results li').first().getAttribute('data-slices')), found.length);
  const view = found.find(([slice]) => slice === 2);
  await page.waitForFunction((area) => Number(document.querySelector('#results li').dataset.areaPx) === area, view[1]);
  await runAll(page, 'right lung');
  assert.equal(await attribute(page, 'right lung', 'slices'), 5);
});

test('a threshold of nearly one leaves nothing, and is said to be the page\'s', async (t) => {
  const { page } = await openPage(t, browser, CPU);
  await openFile(page, CHEST);
  const [own] = await segment(page, 'lungs');
  await page.getByRole('slider', { name: 'Mask threshold' }).fill('0.95');
  const [strict] = await segment(page, 'lungs');
  assert.ok(strict.areaPx < own.areaPx, `${strict.areaPx} of ${own.areaPx} pixels`);
  await page.waitForFunction((area) => Number(document.querySelector('#results li').dataset.areaPx) === area, strict.areaPx);
});

test('export: the boxes of the dialog, and files that carry the masks', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'medsam3-export-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const { page, requests } = await openPage(t, browser, CPU);
  await openFile(page, CHEST);
  const answers = await runAll(page);
  const loaded = requests.length;
  await page.getByRole('button', { name: 'Export' }).click();
  const dialog = page.getByRole('dialog', { name: 'Export' });
  for (const name of ['DICOM SEG', 'RT Structure Set', 'NIfTI', 'PNG', 'CSV']) await dialog.getByRole('checkbox', { name, exact: true }).check();
  const downloads = [];
  page.on('download', (download) => downloads.push(download));
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.getByText(/files were saved/).waitFor({ timeout: 60_000 });
  const saved = Number(/(\d+) files/.exec(await dialog.textContent())[1]);
  for (let waited = 0; downloads.length < saved && waited < 100; waited++) await page.waitForTimeout(100);
  assert.equal(downloads.length, saved);
  const names = downloads.map((download) => download.suggestedFilename());
  assert.ok(names.every((name) => !name.includes('CANARY')), names.join());
  for (const [at, download] of downloads.entries()) await download.saveAs(join(folder, names[at]));
  const named = (end) => names.find((name) => name.endsWith(end));
  assert.ok(named('.zip') && named('.csv') && names.filter((name) => name.endsWith('.dcm')).length === 2, names.join());
  // The NIfTI volume, read here by its header (NIfTI-1: dimensions at 40, the voxels' type at 70, their offset at 108).
  const nifti = gunzipSync(await readFile(join(folder, named('.nii.gz'))));
  const [columns, rows, slices] = [42, 44, 46].map((at) => nifti.readInt16LE(at));
  // Voxels are of 16 bits with a sign (type 4).
  assert.deepEqual([columns, rows, slices, nifti.readInt16LE(70)], [190, 150, 5, 4]);
  const bytes = nifti.subarray(nifti.readFloatLE(108));
  const voxels = Int16Array.from({ length: bytes.length / 2 }, (_, at) => bytes.readInt16LE(2 * at));
  for (const { place, areaPx } of answers) {
    const slice = voxels.subarray(place.slice * columns * rows, (place.slice + 1) * columns * rows);
    assert.equal(slice.filter((value) => value > 0).length, areaPx, `slice ${place.slice}`);
  }
  assert.deepEqual(requests.slice(loaded).filter((url) => !url.startsWith('blob:')), [], 'nothing was sent');
});

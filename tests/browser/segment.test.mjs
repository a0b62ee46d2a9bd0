// The whole chain: a file through the worker, the default model on the browser's WebGPU, against the
// native program on the CPU (the same weights through another back end) and against ground truth.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { imageStepsOfRun, dice, fixture, launch, nativeMask, openFile, openPage, readPng, sample, segment, truth } from './support.mjs';

let browser;
before(async () => void (browser = await launch({ webgpu: true })));
after(() => browser.close());

/**
 * The least Dice with the ground truth for "lungs" on the chest X-ray, which the model was not trained on: low
 * enough for a model after a short training; a blob in the middle of the chest gives 0.52.
 */
const LUNGS_DICE = 0.65;

const area = (mask) => mask.reduce((sum, bit) => sum + bit, 0);

test('a DICOM file on WebGPU gives the mask of the native program and fits the ground truth', async (t) => {
  const { page } = await openPage(t, browser);
  await openFile(page, fixture('phantom.dcm'));
  assert.equal(await page.locator('#status').getAttribute('data-backend'), 'webgpu');
  const [answer] = await segment(page, 'lungs');
  assert.equal(await page.locator('#status').getAttribute('data-backend'), 'webgpu');
  const native = await nativeMask(fixture('phantom.dcm'), 'lungs');
  const expert = await readPng(fixture('phantom.lungs.png'));
  const againstNative = dice(answer.mask, native.mask);
  const againstTruth = dice(answer.mask, expert.values);
  t.diagnostic(`Dice against the native CPU ${againstNative.toFixed(4)}, against the expert ${againstTruth.toFixed(4)}`);
  assert.ok(area(answer.mask) > 1000, 'there is a mask to compare');
  assert.ok(againstNative >= 0.99, `Dice ${againstNative} against the native mask`);
  assert.ok(againstTruth >= LUNGS_DICE, `Dice ${againstTruth} against the ground truth`);

  const item = page.getByRole('list', { name: 'Results' }).getByRole('listitem');
  assert.equal(await item.getAttribute('data-prompt'), 'lungs');
  assert.equal(Number(await item.getAttribute('data-area-px')), area(answer.mask));
  // The fixture's pixels are 2 mm wide and high.
  assert.ok(Math.abs(Number(await item.getAttribute('data-area-mm2')) - 4 * area(answer.mask)) < 1e-6);
  assert.equal(Number(await item.getAttribute('data-presence')), answer.presence);
  assert.equal(Number(await item.getAttribute('data-score')), answer.bestScore);
  assert.equal(Number(await item.getAttribute('data-instances')), answer.instances.length);
});

test("a scanner's DICOM file on the CPU gives the mask of the native program", async (t) => {
  const { page } = await openPage(t, browser, { query: '?backend=cpu' });
  await openFile(page, sample('heart-cine-mr.dcm'));
  const [answer] = await segment(page, 'left ventricle');
  const native = await nativeMask(sample('heart-cine-mr.dcm'), 'left ventricle');
  const againstNative = dice(answer.mask, native.mask);
  const againstTruth = dice(answer.mask, (await readPng(truth('heart-cine-mr.left-ventricle.png'))).values);
  t.diagnostic(
    `Dice against the native CPU ${againstNative.toFixed(4)} (${area(answer.mask)} pixels), against the expert ${againstTruth.toFixed(4)}`,
  );
  assert.ok(againstNative >= 0.99);
  assert.ok(answer.areaMm2 !== null, 'the file is calibrated');
});

test('a built-in sample on the CPU gives lungs, one colour per prompt, and the embedding is reused', async (t) => {
  const { page } = await openPage(t, browser, { query: '?backend=cpu' });
  assert.equal(await page.locator('#status').getAttribute('data-backend'), 'cpu');
  await page.getByLabel('Sample cases').selectOption({ label: 'Chest X-ray' });
  await page.getByText('512 × 512').first().waitFor();
  assert.match(await page.locator('#attribution').textContent(), /Radiopaedia/);
  const [lungs, right] = await segment(page, 'lungs, right lung');
  assert.deepEqual([lungs.prompt, right.prompt], ['lungs', 'right lung']);
  const value = dice(lungs.mask, (await readPng(truth('chest-xray.lungs.png'))).values);
  t.diagnostic(`Dice against the expert ${value.toFixed(4)}`);
  assert.ok(value >= LUNGS_DICE, `Dice ${value}`);
  const colours = await page.locator('#results .swatch').evaluateAll((all) => all.map((one) => one.style.backgroundColor));
  assert.equal(new Set(colours).size, 2);
  assert.ok((await imageStepsOfRun(page)) > 0);
  await segment(page, 'left lung');
  assert.equal(await imageStepsOfRun(page), 0, 'a further prompt must not look at the image again');
});

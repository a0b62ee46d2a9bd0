// The whole chain: a file through the worker, the default model on the browser's WebGPU, against the
// native program on the CPU (the same weights through another back end) and against ground truth.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { dice, launch, nativeMask, openFile, openPage, readPng, sample, segment, truth } from './support.mjs';

let browser;
before(async () => void (browser = await launch({ webgpu: true })));
after(() => browser.close());

test('a DICOM file on WebGPU gives the mask of the native program and fits the ground truth', async (t) => {
  const { page } = await openPage(t, browser);
  await openFile(page, sample('heart-cine-mr.dcm'));
  assert.equal(await page.locator('#status').getAttribute('data-backend'), 'webgpu');
  const [answer] = await segment(page, 'left ventricle');
  const native = await nativeMask(sample('heart-cine-mr.dcm'), 'left ventricle');
  const expert = await readPng(truth('heart-cine-mr.left-ventricle.png'));
  const againstNative = dice(answer.mask, native.mask);
  const againstTruth = dice(answer.mask, expert.values);
  t.diagnostic(`Dice against the native CPU ${againstNative.toFixed(4)}, against the expert ${againstTruth.toFixed(4)}`);
  assert.ok(againstNative >= 0.99, `Dice ${againstNative} against the native mask`);
  assert.ok(againstTruth >= 0.6, `Dice ${againstTruth} against the ground truth`);

  const item = page.getByRole('list', { name: 'Results' }).getByRole('listitem');
  assert.equal(await item.getAttribute('data-prompt'), 'left ventricle');
  const area = answer.mask.reduce((sum, bit) => sum + bit, 0);
  assert.equal(Number(await item.getAttribute('data-area-px')), area);
  // Pixel Spacing of the file is 1.40625 mm both ways.
  const areaMm2 = Number(await item.getAttribute('data-area-mm2'));
  assert.ok(Math.abs(areaMm2 - area * 1.40625 ** 2) < 0.01 * areaMm2 + 1e-6, `${areaMm2} mm²`);
  assert.ok(Number(await item.getAttribute('data-presence')) > 0.5);
  assert.ok(Number(await item.getAttribute('data-score')) > 0);
  assert.match(await item.getAttribute('data-instances'), /^[0-9]+$/);
});

test('a built-in sample on the CPU gives right lungs, one colour per prompt, and the embedding is reused', async (t) => {
  const { page } = await openPage(t, browser, { query: '?backend=cpu' });
  assert.equal(await page.locator('#status').getAttribute('data-backend'), 'cpu');
  await page.getByLabel('Sample cases').selectOption({ label: 'Chest X-ray' });
  await page.getByText('512 × 512').waitFor();
  assert.match(await page.locator('#attribution').textContent(), /Radiopaedia/);
  const [lungs, right] = await segment(page, 'lungs, right lung');
  for (const [answer, name] of [
    [lungs, 'chest-xray.lungs.png'],
    [right, 'chest-xray.right-lung.png'],
  ]) {
    const value = dice(answer.mask, (await readPng(truth(name))).values);
    t.diagnostic(`${answer.prompt}: Dice against the expert ${value.toFixed(4)}`);
    assert.ok(value >= 0.8, `${answer.prompt}: Dice ${value}`);
  }
  const colours = await page.locator('#results .swatch').evaluateAll((all) => all.map((one) => one.style.backgroundColor));
  assert.equal(new Set(colours).size, 2);
  const images = () => page.evaluate(() => self.workerMessages.filter((m) => m.stage === 'image').length);
  const first = await images();
  await segment(page, 'left lung');
  assert.ok(first > 0);
  assert.equal(await images(), first, 'a further prompt must not look at the image again');
});

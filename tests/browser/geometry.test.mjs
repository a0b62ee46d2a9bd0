// A mask is never flipped, shifted or scaled: pictures that are neither square nor symmetric, as DICOM and
// as PNG, looked at on the screen itself.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PNG } from 'pngjs';
import { dice, fixture, launch, nativeMask, openFile, openPage, readPng, segment, waitForShownFrame } from './support.mjs';

let browser;
before(async () => void (browser = await launch()));
after(() => browser.close());

/** Colours on the screen at the centre of each pixel of the picture, [red, green, blue] row by row. */
async function onScreen(page, width, height) {
  await waitForShownFrame(page);
  const view = page.locator('#viewer');
  const [scaleX, scaleY, left, top] = (await view.getAttribute('data-placement')).split(' ').map(Number);
  const shot = PNG.sync.read(await view.screenshot());
  const pixels = [];
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const x = Math.floor(left + (column + 0.5) * scaleX);
      const y = Math.floor(top + (row + 0.5) * scaleY);
      assert.ok(x >= 0 && y >= 0 && x < shot.width && y < shot.height, 'the whole picture is in view');
      pixels.push([...shot.data.subarray(4 * (y * shot.width + x), 4 * (y * shot.width + x) + 3)]);
    }
  }
  return { pixels, scaleX, scaleY };
}

for (const [kind, ratio] of [
  ['png', 1],
  ['dcm', 2],
]) {
  test(`blocks.${kind} is shown where its pixels are`, async (t) => {
    const { page } = await openPage(t, browser);
    await openFile(page, fixture(`blocks.${kind}`));
    const { pixels, scaleX, scaleY } = await onScreen(page, 60, 40);
    assert.ok(Math.abs(scaleY / scaleX - ratio) < 1e-3, 'rows are as far apart as the file says');
    const { values } = await readPng(fixture('blocks.png'));
    // The screen pixel looked at lies up to half a screen pixel off the centre, where the smooth picture has
    // gone that far towards its neighbour, which differs by 160. Half a pixel of the picture off would be 80.
    const tolerance = 2 + 160 * (0.5 / scaleX + 0.5 / scaleY);
    assert.ok(tolerance < 20);
    const wrong = pixels.filter(([red], at) => Math.abs(red - values[at]) > tolerance).length;
    assert.equal(wrong, 0, `${wrong} of 2400 pixels are shown with another value`);
  });
}

test('what was taken into account in reading a file is said beside it', async (t) => {
  const { page } = await openPage(t, browser);
  const notes = page.locator('#notes');
  await openFile(page, fixture('blocks.png'));
  assert.equal(await notes.isVisible(), false);
  // An ultrasound picture whose only distances are those of its regions.
  const ultrasound = new URL('../imaging/regressions/no-pixel-spacing.dcm', import.meta.url);
  await openFile(page, fileURLToPath(ultrasound));
  assert.match(await notes.textContent(), /ultrasound region/i);
  assert.equal(await notes.isVisible(), true);
});

test('a mask is on the same pixels in PNG, in DICOM, on screen and natively', async (t) => {
  const { page } = await openPage(t, browser);
  const masks = [];
  for (const kind of ['png', 'dcm']) {
    await openFile(page, fixture(`phantom.${kind}`));
    await page.getByLabel('Prompts').fill('');
    const [answer] = await segment(page, 'right lung');
    assert.ok(answer.areaPx > 500, `there is a mask (${answer.areaPx} pixels)`);
    masks.push(answer.mask);
    const { pixels, scaleX, scaleY } = await onScreen(page, 190, 150);
    assert.ok(scaleX > 3 && Math.abs(scaleX - scaleY) < 1e-6);
    // The first colour is orange: where the mask is, red exceeds blue; the picture is grey.
    const painted = pixels.map(([red, , blue]) => (red - blue > 20 ? 1 : 0));
    assert.equal(painted.join(''), answer.mask.join(''), 'the mask on screen is not the mask of the engine');
    // Mirrored masks would not pass, or the phantom proved nothing.
    const mirrored = answer.mask.map((_, at) => answer.mask[at - (at % 190) + 189 - (at % 190)]);
    const upsideDown = answer.mask.map((_, at) => answer.mask[(149 - Math.floor(at / 190)) * 190 + (at % 190)]);
    assert.ok(dice(answer.mask, mirrored) < 0.98 && dice(answer.mask, upsideDown) < 0.98);
    const native = await nativeMask(fixture(`phantom.${kind}`), 'right lung');
    assert.deepEqual([native.width, native.height], [190, 150]);
    const value = dice(answer.mask, native.mask);
    t.diagnostic(`${kind}: Dice against the native CPU ${value.toFixed(5)}`);
    assert.ok(value >= 0.99);
  }
  assert.equal(masks[0].join(''), masks[1].join(''), 'the same pixels in another format gave another mask');
});

test('moving, zooming and another frame keep mask and picture together', async (t) => {
  const { page } = await openPage(t, browser);
  await openFile(page, fixture('phantom.png'));
  const [answer] = await segment(page, 'right lung');
  const view = page.locator('#viewer');
  await page.getByRole('button', { name: 'Zoom out' }).click();
  await view.focus();
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('ArrowDown');
  const { pixels } = await onScreen(page, 190, 150);
  const painted = pixels.map(([red, , blue]) => (red - blue > 20 ? 1 : 0));
  // At this scale the outline may touch the centre of a pixel beside the mask.
  const value = dice(painted, answer.mask);
  assert.ok(value > 0.985, `Dice ${value} between the screen and the mask`);
});

// Embeddings of slices seen: going back costs no image work, the page shows what is kept, and its budget is obeyed.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, openFile, openPage, sample, imageStepsOfRun, segment } from './support.mjs';

let browser;
before(async () => void (browser = await launch({ webgpu: true })));
after(() => browser.close());

test('going back to a slice costs no image work, within the budget that the page shows', async (t) => {
  const { page } = await openPage(t, browser, { query: '?backend=cpu' });
  await openFile(page, sample('heart-cine-mr.dcm'));
  // Six blocks and the neck, against the neck alone.
  const wasLookedAt = async () => (await imageStepsOfRun(page)) > 6;
  // The same slice through another window is another image to the model.
  const narrow = async () => {
    await page.getByLabel('Width').fill('200');
    await page.getByLabel('Width').press('Tab');
  };
  const [first] = await segment(page, 'left ventricle');
  assert.ok(await wasLookedAt());
  await narrow();
  const [other] = await segment(page, 'left ventricle');
  assert.ok(await wasLookedAt());
  const budget = page.getByLabel('Memory for slices seen (MiB)');
  await budget.focus();
  await page.getByText(/^2 kept/).waitFor();
  await page.getByRole('button', { name: 'Reset view' }).click();
  const [again] = await segment(page, 'left ventricle');
  assert.ok(!(await wasLookedAt()));
  assert.deepEqual(again.mask, first.mask);
  assert.notDeepEqual(other.mask, first.mask);

  await budget.fill('0');
  await budget.press('Tab');
  await page.getByText(/^0 kept/).waitFor();
  await narrow();
  await segment(page, 'left ventricle');
  assert.ok(await wasLookedAt(), 'nothing was kept');
  await page.reload();
  await page.locator('#status[data-stage="ready"]').waitFor({ timeout: 180_000 });
  assert.equal(await budget.inputValue(), '0', 'the choice is remembered');
});

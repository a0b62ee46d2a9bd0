// "Cancel" ends the work soon, says so, and the page goes on working.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fixture, launch, openFile, openPage, segment, waitForStage } from './support.mjs';

let browser;
before(async () => void (browser = await launch({ webgpu: true })));
after(() => browser.close());

for (const [backend, query] of [
  ['cpu', '?backend=cpu'],
  ['webgpu', ''],
]) {
  test(`cancel on ${backend}`, async (t) => {
    const { page } = await openPage(t, browser, { query });
    await openFile(page, fixture('phantom.png'));
    await page.getByLabel('Prompts').fill(Array.from({ length: 40 }, (_, i) => `structure ${i}`).join(', '));
    await page.getByRole('button', { name: 'Segment' }).click();
    await waitForStage(page, 'image');
    const start = Date.now();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await waitForStage(page, 'ready', 60_000);
    t.diagnostic(`ready again after ${Date.now() - start} ms`);
    assert.ok(await page.getByRole('button', { name: 'Cancel' }).isDisabled());
    assert.ok((await page.evaluate(() => self.answers.length)) < 40, 'the work went on to its end');
    assert.equal(await page.getByRole('alert').locator('.error').count(), 0);
    if (backend === 'cpu') assert.equal((await segment(page, 'lungs')).length, 1);
  });
}

// axe finds nothing in any state of the page, light or dark, and the page can be used with keys alone.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AxeBuilder } from '@axe-core/playwright';
import { idOf, item, modelInShards, waitForState } from './models.mjs';
import { serveFaulty } from './server.mjs';
import { fixture, launch, openFile, openPage, segment } from './support.mjs';

let browser;
before(async () => void (browser = await launch()));
after(() => browser.close());

async function violations(page) {
  const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
  const found = await new AxeBuilder({ page }).withTags(tags).analyze();
  assert.ok(found.passes.length > 20, 'axe looked at the page');
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' | ')}`);
}

test('axe finds nothing', async (t) => {
  const { page } = await openPage(t, browser);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await violations(page), [], `at the start, ${colorScheme}`);
  }
  await openFile(page, fixture('phantom.dcm'));
  await segment(page, 'lungs, optic disc');
  await page.getByLabel('Open images').setInputFiles({ name: 'x', mimeType: 'text/plain', buffer: Buffer.from('x') });
  await page.getByRole('alert').locator('.error').waitFor();
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await violations(page), [], `with results and an error, ${colorScheme}`);
  }
});

test('axe finds nothing beside a series, nor in the dialogs', async (t) => {
  const { page } = await openPage(t, browser, { query: '?backend=cpu' });
  await openFile(page, fixture('chest.zip'));
  await page.getByRole('radio', { name: 'Range' }).check();
  await segment(page, 'lungs');
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await violations(page), [], `beside a series, ${colorScheme}`);
  }
  await page.getByRole('button', { name: 'Export' }).click();
  await page.getByRole('dialog', { name: 'Export' }).waitFor();
  assert.deepEqual(await violations(page), [], 'in the dialog of exports');
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Keys (?)' }).click();
  assert.deepEqual(await violations(page), [], 'in the sheet of keys');
});

test('keys alone open, segment and move the view', async (t) => {
  const { page } = await openPage(t, browser);
  await openFile(page, fixture('phantom.png'));
  await page.getByLabel('Prompts').focus();
  await page.keyboard.type('lungs');
  await page.keyboard.press('Enter');
  await page.getByRole('list', { name: 'Results' }).getByRole('listitem').waitFor({ timeout: 300_000 });
  const view = page.getByRole('group', { name: 'Image view' });
  const placement = async () => (await view.getAttribute('data-placement')).split(' ').map(Number);
  await view.focus();
  const before = await placement();
  await page.keyboard.press('+');
  await page.waitForFunction((old) => document.querySelector('#viewer').dataset.placement !== old, before.join(' '));
  assert.ok((await placement())[0] > before[0]);
  await page.keyboard.press('0');
  await page.waitForFunction((old) => document.querySelector('#viewer').dataset.placement === old, before.join(' '));
  assert.match(await page.locator('.purpose').textContent(), /^Research and teaching only\. Not a medical device\.$/);
});

test('models are downloaded, paused and resumed with keys alone, and axe finds nothing meanwhile', async (t) => {
  const folder = await modelInShards(t);
  const { page, server } = await openPage(t, browser, { query: '?backend=cpu', models: [folder], start: serveFaulty });
  const id = await idOf(folder);
  await waitForState(page, id, 'offered');
  server.fault = (path) => (path.startsWith('/models/') ? { bytesPerSecond: 2_000_000 } : undefined);
  const focused = (name) => page.waitForFunction((label) => document.activeElement?.ariaLabel === label, name);
  await item(page, id).getByRole('button').focus();
  await focused('Download sharded (f16)');
  await page.keyboard.press('Enter');
  // The focus goes with the model, from one action to the next.
  await focused('Pause sharded (f16)');
  await page.waitForFunction(() => document.querySelector('#transfer').value > 0.1);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await violations(page), [], `during a transfer, ${colorScheme}`);
  }
  await page.keyboard.press('Enter');
  await focused('Resume sharded (f16)');
  server.fault = () => undefined;
  await page.keyboard.press('Enter');
  await waitForState(page, id, 'complete');
  assert.deepEqual(await violations(page), [], 'with a stored model');
});

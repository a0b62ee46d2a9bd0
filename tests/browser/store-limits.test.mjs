// What keeps a model out of the store or out of use: no room, another tab, another version, a machine that is too
// small. Each says so before anything is fetched, or keeps what was there.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { assertStored, errorCode, idOf, item, modelInShards, press, tamper, use, waitForState } from './models.mjs';
import { serveFaulty } from './server.mjs';
import { launch, openPage, waitForStage } from './support.mjs';

let browser;
before(async () => void (browser = await launch()));
after(() => browser.close());

const CPU = '?backend=cpu';
const shard = (path) => /^\/models\/.*\.safetensors$/.test(path);
const inUse = (page) => page.locator('#models li[data-in-use="true"]').getAttribute('data-model');

async function withOffer(t, options = {}, pageOptions = {}) {
  const folder = await modelInShards(t, options);
  const opened = await openPage(t, browser, { query: CPU, models: [folder], start: serveFaulty, ...pageOptions });
  const id = await idOf(folder);
  await waitForState(opened.page, id, 'offered');
  return { ...opened, folder, id };
}

test('a quota that is too small is said before the start, one that fills up keeps what has arrived', async (t) => {
  const { page, context, server, address, folder, id } = await withOffer(t);
  const devtools = await context.newCDPSession(page);
  const origin = new URL(address).origin;
  const setQuota = (quotaSize) => devtools.send('Storage.overrideQuotaForOrigin', quotaSize === undefined ? { origin } : { origin, quotaSize });
  await setQuota(5_000_000);
  await press(page, id, 'Download');
  assert.match(await errorCode(page, 'STORE-QUOTA'), /needs 16\.\d MB more.*Nothing was fetched/);
  assert.deepEqual([...server.sent.keys()].filter(shard), [], 'nothing was fetched');
  await waitForState(page, id, 'offered');

  await setQuota(undefined);
  server.fault = (path) => (shard(path) ? { bytesPerSecond: 3_000_000 } : undefined);
  await press(page, id, 'Download');
  await page.waitForFunction(() => document.querySelector('#transfer').value > 0.2);
  await setQuota(6_000_000);
  assert.match(await errorCode(page, 'STORE-FULL'), /Resume/);
  await waitForState(page, id, 'partial');
  assert.equal(await inUse(page), 'built-in');

  await setQuota(undefined);
  server.fault = () => undefined;
  await press(page, id, 'Resume');
  await waitForState(page, id, 'complete');
  await assertStored(page, folder);
});

test('two tabs: one writes, both use, and neither deletes what the other uses', async (t) => {
  const { page: first, context, server, address, folder, id } = await withOffer(t);
  const second = await context.newPage();
  await second.goto(address + CPU);
  await waitForStage(second, 'ready', 180_000);
  for (const page of [first, second]) page.on('dialog', (dialog) => dialog.accept());

  server.fault = (path) => (shard(path) ? { bytesPerSecond: 4_000_000 } : undefined);
  await press(first, id, 'Download');
  // Another tab sees it come, and cannot write as well.
  await waitForState(second, id, 'partial');
  await press(second, id, 'Resume');
  assert.match(await errorCode(second, 'STORE-BUSY'), /[Aa]nother tab/);
  await waitForState(first, id, 'complete');
  await waitForState(second, id, 'complete');
  await assertStored(second, folder);

  await use(first, id);
  await use(second, id);
  await use(first, 'built-in');
  await press(first, id, 'Delete');
  await errorCode(first, 'STORE-IN-USE');
  await waitForState(first, id, 'complete');
  assert.equal(await inUse(second), id);
  await use(second, 'built-in');
  await press(first, id, 'Delete');
  await waitForState(first, id, 'offered');
  await waitForState(second, id, 'offered');
});

test('a tab that is closed while it downloads leaves the store to the others', async (t) => {
  const { page: first, context, server, address, folder, id } = await withOffer(t);
  const second = await context.newPage();
  await second.goto(address + CPU);
  await waitForStage(second, 'ready', 180_000);
  server.fault = (path) => (shard(path) ? { bytesPerSecond: 3_000_000 } : undefined);
  await press(second, id, 'Download');
  await waitForState(first, id, 'partial');
  await second.waitForFunction(() => document.querySelector('#transfer').value > 0.2);
  await second.close();
  server.fault = () => undefined;
  await press(first, id, 'Resume');
  await waitForState(first, id, 'complete');
  await assertStored(first, folder);
});

test('a manifest of another version is refused wherever it turns up', async (t) => {
  const newer = (manifest) => ({ ...manifest, format_version: 99, surprise: true });
  const folder = await modelInShards(t, { name: 'newer', change: newer });
  const { page, server } = await openPage(t, browser, { query: CPU, models: [folder], start: serveFaulty });
  const id = await idOf(folder);
  // Offered by the host.
  await waitForState(page, id, 'offered');
  assert.match(await item(page, id).textContent(), /format version 99; this page reads versions \d+ to \d+/);
  assert.ok(await item(page, id).getByRole('button', { name: /^Download / }).isDisabled());
  // Chosen by the user.
  await page.getByLabel('Import model folder').setInputFiles(folder);
  assert.match(await errorCode(page, 'WEIGHTS-VERSION'), /version 99/);
  assert.deepEqual([...server.sent.keys()].filter(shard), []);
  // Stored by another version of the page, and in use there.
  await tamper(page, id, 'manifest.json', { text: await readFile(`${folder}/manifest.json`, 'utf8') });
  await tamper(page, id, 'state.json', { text: '{"version":1,"condition":"complete","origin":{"kind":"files"}}' });
  await page.evaluate((model) => localStorage.setItem('medsam3.model', model), id);
  await page.reload();
  await errorCode(page, 'WEIGHTS-VERSION');
  await waitForStage(page, 'ready', 180_000);
  await waitForState(page, id, 'unreadable');
  assert.equal(await inUse(page), 'built-in');
  assert.equal(await item(page, id).getByRole('button', { name: /^Use / }).count(), 0);
});

/** Stands in for an adapter with small limits. */
function smallAdapter() {
  const adapter = {
    info: { vendor: 'test', architecture: 'small', description: '', isFallbackAdapter: false },
    features: new Set(),
    limits: { maxStorageBufferBindingSize: 1 << 18, maxBufferSize: 1 << 18 },
  };
  Object.defineProperty(navigator, 'gpu', { value: { requestAdapter: async () => adapter } });
}

test('a model that this machine cannot run is refused before a byte of it is fetched', async (t) => {
  const { page, server, folder, id } = await withOffer(t, {}, { query: '', before: smallAdapter });
  assert.match(await page.locator('#machine').textContent(), /WebGPU on test small; no 16-bit shaders.*buffers up to 262 kB/);
  assert.match(await item(page, id).textContent(), /does not fit this machine/);
  await press(page, id, 'Download');
  assert.match(await errorCode(page, 'MODEL-TOO-LARGE'), /one tensor needs .* and the graphics processor binds 262 kB at most.*built-in/);
  await page.getByLabel('Import model folder').setInputFiles(folder);
  await errorCode(page, 'MODEL-TOO-LARGE');
  assert.deepEqual([...server.sent.keys()].filter(shard), []);
});

test('the page says what it picks and why', async (t) => {
  const { page, id } = await withOffer(t);
  assert.match(await page.locator('#machine').textContent(), /models run on the CPU, slowly.*for this machine: f16 at 252 px: it is the only one offered/);
  assert.match(await item(page, id).textContent(), /15\.5 MB to download · 252 px, about [\d.]+ MB of memory/);
  assert.match(await page.locator('#storage').textContent(), /stores [\d.]+ \w+ and may store [\d.]+ GB more\. The browser (keeps|may delete) them/);
});

test('the image side of a stored model can be chosen, and stays chosen', async (t) => {
  const { page, id } = await withOffer(t);
  await press(page, id, 'Download');
  await waitForState(page, id, 'complete');
  await use(page, id);
  const provenance = page.locator('#provenance');
  assert.match(await provenance.textContent(), /sharded, precision f16, 252 px/);
  await page.getByLabel('Image side').selectOption('168 px');
  await provenance.filter({ hasText: /sharded, precision f16, 168 px/ }).waitFor({ timeout: 60_000 });
  await page.reload();
  await provenance.filter({ hasText: /sharded, precision f16, 168 px/ }).waitFor({ timeout: 60_000 });
  await page.getByLabel('Image side').selectOption('Automatic');
  await provenance.filter({ hasText: /252 px/ }).waitFor({ timeout: 60_000 });
});

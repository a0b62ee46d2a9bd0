// Models in the browser's own storage, however badly the way there goes: each test ends with a whole, checked model
// in use, or with a clear message and the model before it; never with half a model in use.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { assertStored, errorCode, idOf, item, modelInShards, press, randomNumbers, storedHashes, tamper, use, waitForState } from './models.mjs';
import { serveFaulty } from './server.mjs';
import { fixture, launch, openFile, openPage, segment, waitForStage } from './support.mjs';

let browser;
before(async () => void (browser = await launch()));
after(() => browser.close());

const CPU = '?backend=cpu';
const shard = (path) => /^\/models\/.*\.safetensors$/.test(path);
const totalBytes = async (folder) => JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')).files.reduce((sum, file) => sum + file.bytes, 0);
const inUse = (page) => page.locator('#models li[data-in-use="true"]').getAttribute('data-model');

/** Runs in the page before its own scripts: counts how often the origin asked that its storage be kept. */
function countPersist() {
  self.persistAsked = 0;
  const { persist } = StorageManager.prototype;
  StorageManager.prototype.persist = function () {
    self.persistAsked += 1;
    return persist.call(this);
  };
}

/** The page with one offered model, its id, and the server that can be made to fail. */
async function withOffer(t, options = {}) {
  const folder = await modelInShards(t, options);
  const opened = await openPage(t, browser, { query: CPU, models: [folder], start: serveFaulty, before: countPersist });
  const id = await idOf(folder);
  await waitForState(opened.page, id, 'offered');
  return { ...opened, folder, id };
}

test('a download that is cut 20 times at random bytes ends as the very model, in use', async (t) => {
  const { page, server, folder, id } = await withOffer(t);
  await openFile(page, fixture('phantom.png'));
  const [builtIn] = await segment(page, 'lungs');
  const random = randomNumbers(20);
  let cuts = 0;
  server.fault = (path) => (shard(path) && cuts < 20 ? (cuts++, { cutAfter: Math.floor(random() * 500_000) }) : undefined);
  assert.equal(await page.evaluate(() => self.persistAsked), 0);
  await press(page, id, 'Download');
  await waitForState(page, id, 'complete');
  assert.equal(await page.evaluate(() => self.persistAsked), 1, 'asked for when there is something to keep');
  assert.equal(cuts, 20);
  const resumed = server.ranges.filter(({ path, range }) => shard(path) && range !== undefined);
  assert.ok(resumed.length >= 15, `${resumed.length} requests went on in the middle of a file`);
  const sent = [...server.sent].reduce((sum, [path, bytes]) => sum + (path.startsWith('/models/') ? bytes : 0), 0);
  const all = await totalBytes(folder);
  t.diagnostic(`${resumed.length} resumed requests; ${sent} bytes sent for a model of ${all}`);
  await assertStored(page, folder);
  await use(page, id);
  assert.equal(await inUse(page), id);
  const [stored] = await segment(page, 'lungs');
  assert.equal(stored.areaPx, builtIn.areaPx);
  assert.deepEqual([stored.mask, stored.presence, stored.bestScore], [builtIn.mask, builtIn.presence, builtIn.bestScore]);

  // It is the model of the next visit too, and nothing of it is fetched again.
  server.sent.clear();
  await page.reload();
  await waitForStage(page, 'ready', 180_000);
  assert.equal(await inUse(page), id);
  assert.match(await page.locator('#provenance').textContent(), /Model sharded,/);
  assert.deepEqual([...server.sent.keys()].filter(shard), []);
});

test('a page that is closed during a download goes on with it at the next visit', async (t) => {
  const { page, server, folder, id } = await withOffer(t);
  server.fault = (path) => (shard(path) ? { bytesPerSecond: 2_000_000 } : undefined);
  await press(page, id, 'Download');
  for (const delay of [900, 1300, 700]) {
    await page.waitForFunction(() => /· [\d.,]+ [kM]B\/s/.test(document.querySelector('#transfer-words').textContent));
    await page.waitForTimeout(delay);
    assert.ok(await page.getByRole('progressbar', { name: 'Model transfer' }).isVisible());
    await page.reload();
    await waitForState(page, id, 'partial');
    assert.equal(await item(page, id).getByRole('button', { name: /^Use / }).count(), 0, 'half a model cannot be used');
    assert.equal(await inUse(page), 'built-in');
    await press(page, id, 'Resume');
  }
  await waitForState(page, id, 'complete');
  assert.ok(server.ranges.some(({ path, range }) => shard(path) && range !== undefined));
  await assertStored(page, folder);
});

test('pause stops the download, resume goes on from there', async (t) => {
  const { page, server, folder, id } = await withOffer(t);
  server.fault = (path) => (shard(path) ? { bytesPerSecond: 4_000_000 } : undefined);
  await press(page, id, 'Download');
  await page.waitForFunction(() => document.querySelector('#transfer').value > 0.3);
  await press(page, id, 'Pause');
  await item(page, id).getByRole('button', { name: /^Resume / }).waitFor();
  assert.match(await page.locator('#model-said').textContent(), /Paused/);
  assert.ok(await page.locator('#transfer').isHidden());
  const requests = server.ranges.length;
  await page.waitForTimeout(700);
  assert.equal(server.ranges.length, requests, 'nothing is requested while it is paused');
  server.fault = () => undefined;
  await press(page, id, 'Resume');
  await waitForState(page, id, 'complete');
  assert.ok(server.ranges.slice(requests).some(({ range }) => range !== undefined));
  const again = server.ranges.slice(requests).filter(({ path, range }) => shard(path) && range === undefined);
  const before = server.ranges.slice(0, requests).filter(({ path }) => shard(path));
  assert.ok(!again.some(({ path }) => path === before[0].path), 'a file that was whole is not fetched again');
  await assertStored(page, folder);
});

test('a server that ignores ranges gets the file asked for again', async (t) => {
  const { page, server, folder, id } = await withOffer(t);
  let cuts = 0;
  server.fault = (path) => (!shard(path) ? undefined : { ignoreRange: true, ...(cuts < 3 ? (cuts++, { cutAfter: 400_000 }) : {}) });
  await press(page, id, 'Download');
  await waitForState(page, id, 'complete');
  assert.equal(cuts, 3);
  await assertStored(page, folder);
});

test('a file with another content than the manifest says is refused, and fetched once the host is right', async (t) => {
  const { page, server, folder, id } = await withOffer(t);
  const flip = (chunk) => (chunk = Buffer.from(chunk), (chunk[chunk.length >> 1] ^= 1), chunk);
  server.fault = (path) => (path.endsWith('part-002.safetensors') ? { change: flip } : undefined);
  await press(page, id, 'Download');
  assert.match(await errorCode(page, 'STORE-HASH'), /part-002\.safetensors.*SHA-256/);
  await waitForState(page, id, 'partial');
  assert.equal(await inUse(page), 'built-in');
  assert.equal(await item(page, id).getByRole('button', { name: /^Use / }).count(), 0);
  server.fault = (path) =>
    path.endsWith('part-002.safetensors') ? { answer: (response) => response.writeHead(200, { 'Content-Type': 'text/html' }).end('<p>Please sign in</p>') } : undefined;
  await press(page, id, 'Resume');
  await errorCode(page, 'STORE-NOT-THE-FILE');
  server.fault = (path) => (path.endsWith('part-002.safetensors') ? { answer: (response) => response.writeHead(404).end() } : undefined);
  await press(page, id, 'Resume');
  await errorCode(page, 'STORE-MISSING');
  server.fault = () => undefined;
  await press(page, id, 'Resume');
  await waitForState(page, id, 'complete');
  await assertStored(page, folder);
});

test('a host that is gone is said to be gone, and what has arrived is kept', async (t) => {
  const { page, server, folder, id } = await withOffer(t);
  server.fault = (path) => (path.endsWith('part-003.safetensors') ? { cutAfter: 0 } : undefined);
  await press(page, id, 'Download');
  assert.match(await errorCode(page, 'STORE-NETWORK'), /Resume/);
  await waitForState(page, id, 'partial');
  const before = server.ranges.length;
  server.fault = () => undefined;
  await press(page, id, 'Resume');
  await waitForState(page, id, 'complete');
  assert.ok(!server.ranges.slice(before).some(({ path }) => path.endsWith('part-001.safetensors')));
  await assertStored(page, folder);
});

test('a byte that was flipped in the store is found before use, and repaired by that file alone', async (t) => {
  const { page, server, folder, id } = await withOffer(t);
  await press(page, id, 'Download');
  await waitForState(page, id, 'complete');
  await tamper(page, id, 'part-004.safetensors', { at: 100_001, xor: 0x10 });
  await press(page, id, 'Use');
  assert.match(await errorCode(page, 'WEIGHTS-HASH'), /built-in model is used instead.*Repair/);
  await waitForState(page, id, 'damaged');
  await waitForStage(page, 'ready', 180_000);
  assert.equal(await inUse(page), 'built-in');
  await openFile(page, fixture('phantom.png'));
  assert.equal((await segment(page, 'lungs')).length, 1);

  const before = server.ranges.length;
  await press(page, id, 'Repair');
  await waitForState(page, id, 'complete');
  const fetched = server.ranges.slice(before).map(({ path }) => path.split('/').at(-1));
  assert.deepEqual(fetched.filter((name) => name.startsWith('part-')), ['part-004.safetensors']);
  await assertStored(page, folder);
  await use(page, id);
  assert.equal(await inUse(page), id);

  // The same at the start of a visit.
  await press(page, 'built-in', 'Use');
  await page.locator('#models li[data-model="built-in"][data-in-use="true"]').waitFor();
  await waitForStage(page, 'ready', 180_000);
  await tamper(page, id, 'part-001.safetensors', { at: 5, xor: 1 });
  await page.evaluate((model) => localStorage.setItem('medsam3.model', model), id);
  await page.reload();
  await errorCode(page, 'WEIGHTS-HASH');
  await waitForStage(page, 'ready', 180_000);
  assert.equal(await inUse(page), 'built-in');
});

test('a file that is missing or a manifest that was changed makes a stored model unusable', async (t) => {
  const { page, id } = await withOffer(t);
  await press(page, id, 'Download');
  await waitForState(page, id, 'complete');
  await tamper(page, id, 'part-001.safetensors', { text: 'short' });
  await page.reload();
  await waitForState(page, id, 'damaged');
  await press(page, id, 'Repair');
  await waitForState(page, id, 'complete');
  await tamper(page, id, 'manifest.json', { at: 40, xor: 1 });
  await page.reload();
  await waitForState(page, id, 'damaged');
  assert.equal(await item(page, id).getByRole('button', { name: /^Use / }).count(), 0);
});

test('a folder of the user is imported, an incomplete or damaged one is not', async (t) => {
  const folder = await modelInShards(t, { name: 'local' });
  const { page, server } = await openPage(t, browser, { query: CPU, start: serveFaulty });
  const id = await idOf(folder);
  const manifest = join(folder, 'manifest.json');
  await page.getByLabel('Import model files').setInputFiles([manifest, join(folder, 'part-001.safetensors')]);
  assert.match(await errorCode(page, 'STORE-FILES'), /part-002\.safetensors/);
  assert.equal(await item(page, id).count(), 0);

  const path = join(folder, 'part-002.safetensors');
  const right = await readFile(path);
  const wrong = Buffer.from(right);
  wrong[wrong.length - 1] ^= 1;
  await writeFile(path, wrong);
  await page.getByLabel('Import model folder').setInputFiles(folder);
  assert.match(await errorCode(page, 'STORE-HASH'), /part-002/);
  await waitForState(page, id, 'partial');

  await writeFile(path, right);
  await page.getByLabel('Import model folder').setInputFiles(folder);
  await waitForState(page, id, 'complete');
  await assertStored(page, folder);
  await use(page, id);
  assert.ok(!server.served.some((line) => line.includes('part-')), 'nothing of it came from the host');
});

test('a model that is deleted is gone, and its space with it', async (t) => {
  const { page, id } = await withOffer(t);
  page.on('dialog', (dialog) => dialog.accept());
  await press(page, id, 'Download');
  await waitForState(page, id, 'complete');
  await use(page, id);
  assert.equal(await item(page, id).getByRole('button', { name: /^Delete / }).count(), 0, 'not while it is in use');
  const usage = () => page.evaluate(async () => (await navigator.storage.estimate()).usage);
  const full = await usage();
  await use(page, 'built-in');
  await press(page, id, 'Delete');
  await waitForState(page, id, 'offered');
  assert.deepEqual(await storedHashes(page, id), {});
  assert.ok((await usage()) < full - 10_000_000);
});

// Nothing leaves the machine: no request to another host, none at all once the page has loaded, and the
// worker that sees pictures could make none. Each claim has a control that shows the test can fail.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { idOf, modelInShards, press, waitForState } from './models.mjs';
import { serveFaulty } from './server.mjs';
import { DIST, copyOfDist, engineWorker, fixture, launch, openFile, openPage, segment } from './support.mjs';

let browser;
let hostile;
const hits = [];
before(async () => {
  browser = await launch();
  hostile = createServer((request, response) => {
    hits.push(request.url);
    response.setHeader('Access-Control-Allow-Origin', '*');
    response.setHeader('Cross-Origin-Resource-Policy', 'cross-origin');
    response.end('taken');
  });
  await new Promise((done) => hostile.listen(0, '127.0.0.1', done));
});
after(async () => {
  await browser.close();
  hostile.closeAllConnections();
  hostile.close();
});
const evil = () => `http://127.0.0.1:${hostile.address().port}/`;

test('nothing is requested after loading, nor ever from another host', async (t) => {
  const { page, requests, server, address, logs } = await openPage(t, browser, { start: serveFaulty });
  const { served } = server;
  await page.waitForLoadState('networkidle');
  const loaded = requests.length;
  const arrived = served.length;
  assert.ok(loaded > 5 && arrived > 5, 'the page did load something');
  // The DICOM fixture carries this word as the patient's name and id.
  await openFile(page, fixture('phantom.dcm'));
  await segment(page, 'lungs, heart');
  await page.getByLabel('Sample cases').selectOption({ index: 1 });
  await page.waitForTimeout(500);
  await page.getByRole('button', { name: 'Zoom in' }).click();
  await page.waitForTimeout(500);
  assert.deepEqual(requests.slice(loaded), [], 'requested after loading');
  assert.deepEqual(served.slice(arrived), [], 'served after loading');
  assert.deepEqual(requests.filter((url) => !url.startsWith(address)), [], 'requested from elsewhere');
  assert.ok(!logs.join('\n').includes('CANARY'), 'the console names the patient');
  assert.ok(!(await page.content()).includes('CANARY'), 'the page names the patient');
  // The control: a request is seen.
  await page.evaluate(() => fetch('icon.svg?control'));
  assert.equal(requests.length, loaded + 1);
  assert.equal(served.length, arrived + 1);
});

const reach = (target) => fetch(target, { mode: 'no-cors' }).then(() => 'sent', () => 'blocked');

test('the worker cannot reach any host, not even its own', async (t) => {
  const { page, address } = await openPage(t, browser);
  const worker = engineWorker(page);
  assert.equal(await worker.evaluate(reach, address), 'blocked');
  assert.equal(await worker.evaluate(reach, evil()), 'blocked');
  // The page itself may ask its own host, for it has to load its parts, and no other.
  assert.equal(await page.evaluate(reach, address), 'sent');
  assert.equal(await page.evaluate(reach, evil()), 'blocked');
  assert.deepEqual(hits, []);
});

test('the worker that stores models reaches its own host, no other, and is told of no picture', async (t) => {
  const folder = await modelInShards(t);
  const { page, address, requests, server } = await openPage(t, browser, { query: '?backend=cpu', models: [folder], start: serveFaulty });
  await openFile(page, fixture('phantom.dcm'));
  await segment(page, 'lungs');
  assert.equal(page.workers().length, 1, 'it is not there before it is needed');
  const told = await page.evaluateHandle(() => {
    const messages = [];
    const post = Worker.prototype.postMessage;
    Worker.prototype.postMessage = function (message, ...rest) {
      messages.push(message.message);
      return post.call(this, message, ...rest);
    };
    return messages;
  });
  const id = await idOf(folder);
  await press(page, id, 'Download');
  await waitForState(page, id, 'complete');
  const [, store] = page.workers();
  assert.ok(store.url().endsWith('/app/store.js'));
  assert.equal(await store.evaluate(reach, address), 'sent');
  assert.equal(await store.evaluate(reach, evil()), 'blocked');
  assert.equal(await engineWorker(page).evaluate(reach, address), 'blocked');
  assert.deepEqual(await told.jsonValue(), [{ kind: 'download', page: address + '?backend=cpu', folder: 'sharded' }]);
  assert.deepEqual(hits, []);
  // Control: the worker exists because it was asked for, and the host saw the model's files and nothing of the picture.
  assert.ok(server.served.some((line) => line.startsWith('GET /models/sharded/part-')));
  assert.ok(requests.every((url) => url.startsWith(address) || url.startsWith(evil())));
});

test('control: without its header the worker would reach its host', async (t) => {
  const folder = await copyOfDist(t);
  const headers = await readFile(join(folder, '_headers'), 'utf8');
  const opened = headers.replace(/\/app\/worker\.js\n.*\n/, '');
  assert.notEqual(opened, headers);
  await writeFile(join(folder, '_headers'), opened);
  const { page, address } = await openPage(t, browser, { root: folder });
  assert.equal(await engineWorker(page).evaluate(reach, address), 'sent');
});

test('the other ways out are closed', async (t) => {
  const { page, address } = await openPage(t, browser);
  const before = hits.length;
  assert.equal(await page.evaluate(() => typeof RTCPeerConnection), 'undefined');
  assert.equal(await page.evaluate((url) => window.open(url) === null, evil()), true);
  await page.evaluate((url) => void (location.href = url), evil());
  await page.evaluate((url) => void navigator.sendBeacon(url, 'x'), evil());
  await page.evaluate((url) => void (new Image().src = url), evil());
  await page.waitForTimeout(500);
  assert.equal(page.url(), address);
  assert.equal(hits.length, before);
  // The control: the listener does hear.
  await fetch(evil());
  assert.equal(hits.length, before + 1);
});

test('no inline script or style is in the page', async () => {
  const html = await readFile(join(DIST, 'index.html'), 'utf8');
  assert.doesNotMatch(html, /<script(?![^>]*\bsrc=)[^>]*>/);
  assert.doesNotMatch(html, /<style|\sstyle=|\son[a-z]+=/);
});

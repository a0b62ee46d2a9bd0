// What a person sees of the page's state: requests wait for the engine, a crash while segmenting is a restart, a run
// leaves the picture to be looked at, keys and languages.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ROOT, alertCode, engineWorker, fixture, launch, openFile, openPage, segment, waitForStage } from './support.mjs';

let browser;
before(async () => void (browser = await launch()));
after(() => browser.close());

const CPU = { query: '?backend=cpu' };
const MANY = Array.from({ length: 40 }, (_, i) => `structure ${i}`).join(', ');

const crash = (page) => engineWorker(page).evaluate(() => void setTimeout(() => { throw new Error('a fault made by the test'); }));

/** What the status line and the buttons say from now on, whenever the status changes: it may be quick. */
const watchStatus = (page) =>
  page.evaluate(() => {
    self.statuses = [];
    const line = document.querySelector('#status');
    const see = () => self.statuses.push({ stage: line.dataset.stage, words: line.textContent, canSegment: !document.querySelector('#segment').disabled, canCancel: !document.querySelector('#cancel').disabled });
    new MutationObserver(see).observe(line, { attributes: true, childList: true, characterData: true, subtree: true });
  });

async function startLongRun(page, prompts = MANY) {
  const asked = () => self.workerMessages.filter((m) => m.stage === 'prompt').length;
  const before = await page.evaluate(asked);
  await page.getByLabel('Prompts').fill(prompts);
  await page.getByRole('button', { name: 'Segment' }).click();
  await page.waitForFunction((n) => self.workerMessages.filter((m) => m.stage === 'prompt').length > n, before, { timeout: 120_000 });
}

test('a picture that is opened before the engine is there waits for it', async (t) => {
  const { page } = await openPage(t, browser, { ...CPU, ready: false });
  await page.getByLabel('Open images').setInputFiles(fixture('phantom.png'));
  await page.locator('#facts').getByText('190 × 150').waitFor();
  await waitForStage(page, 'ready', 120_000);
  assert.equal(await page.getByRole('alert').locator('.error').count(), 0);
  assert.equal((await segment(page, 'lungs')).length, 1);
});

test('a crash while segmenting is a restart, and afterwards all is as it was', async (t) => {
  const { page } = await openPage(t, browser, CPU);
  await openFile(page, fixture('phantom.png'));
  await segment(page, 'lungs');
  const facts = await page.locator('#facts').textContent();
  const prompts = `lungs, ${MANY}`;
  await startLongRun(page, prompts);
  await watchStatus(page);
  await crash(page);
  await page.waitForFunction(() => self.statuses.some(({ stage }) => stage === 'restarting'));
  assert.equal(await alertCode(page), 'ENGINE-CRASHED');
  await waitForStage(page, 'ready', 120_000);
  const restarting = (await page.evaluate(() => self.statuses)).filter(({ stage }) => stage === 'restarting');
  for (const { words, canSegment, canCancel } of restarting) {
    assert.match(words, /^Restarting/);
    assert.deepEqual([canSegment, canCancel], [false, false], 'no button that does nothing');
  }
  assert.equal(await page.locator('#facts').textContent(), facts);
  assert.equal(await page.getByLabel('Prompts').inputValue(), prompts);
  assert.ok((await page.locator('#results li[data-prompt="lungs"]').count()) === 1, 'what was found is still there');
  assert.equal((await segment(page, 'right lung')).length, 1);
});

test('an engine that keeps crashing is given up, and can be tried again', async (t) => {
  const { page } = await openPage(t, browser, CPU);
  await openFile(page, fixture('phantom.png'));
  for (let crashes = 0; crashes < 3; crashes++) {
    const workers = await page.evaluate(() => self.workerMessages.filter((m) => m.kind === 'started').length);
    await crash(page);
    if (crashes < 2) await page.waitForFunction((n) => self.workerMessages.filter((m) => m.kind === 'started').length > n, workers);
    if (crashes < 2) await waitForStage(page, 'ready', 120_000);
  }
  await waitForStage(page, 'failed', 60_000);
  assert.equal(await alertCode(page), 'ENGINE-GAVE-UP');
  assert.ok(await page.getByRole('button', { name: 'Segment' }).isDisabled());
  await page.getByRole('button', { name: 'Try again' }).click();
  await waitForStage(page, 'ready', 120_000);
  assert.equal((await segment(page, 'lungs')).length, 1);
});

test('other frames can be looked at while a run goes on', async (t) => {
  const { page } = await openPage(t, browser, CPU);
  await openFile(page, join(ROOT, 'tests/imaging/dicom/SC_rgb_rle_2frame.dcm'));
  await startLongRun(page);
  const before = await page.evaluate(() => self.workerMessages.filter((m) => m.kind === 'slice').length);
  await page.getByRole('group', { name: 'Image view' }).focus();
  await page.keyboard.press('PageDown');
  await page.waitForFunction((n) => self.workerMessages.filter((m) => m.kind === 'slice').length > n, before);
  assert.ok(await page.getByRole('button', { name: 'Cancel' }).isEnabled(), 'the run goes on');
  assert.equal(await page.locator('#frame-position').textContent(), '2 / 2');
  await page.getByRole('button', { name: 'Cancel' }).click();
  await waitForStage(page, 'ready', 60_000);
  await page.getByRole('group', { name: 'Image view' }).focus();
  await page.keyboard.press('Home');
  assert.equal(await page.locator('#frame-position').textContent(), '1 / 2');
});

test('the window can be changed while a run goes on', async (t) => {
  const { page } = await openPage(t, browser, CPU);
  await openFile(page, fixture('phantom.png'));
  await startLongRun(page);
  await page.getByLabel('Width').fill('321');
  await page.getByLabel('Width').press('Tab');
  await page.waitForTimeout(300);
  assert.equal(await page.getByLabel('Width').inputValue(), '321');
  assert.ok(await page.getByRole('button', { name: 'Cancel' }).isEnabled(), 'the run goes on');
});

test('a picture that is opened during a run ends it, and gets none of its results', async (t) => {
  const { page } = await openPage(t, browser, CPU);
  await openFile(page, fixture('phantom.png'));
  await startLongRun(page);
  await openFile(page, fixture('blocks.png'));
  assert.match(await page.locator('#facts').textContent(), /60 × 40/);
  await page.waitForTimeout(1000);
  assert.equal(await page.locator('#results li').count(), 0);
  assert.equal((await segment(page, 'lungs'))[0].mask.length, 60 * 40);
});

test('of several files those that cannot be opened are said, and never pass for another', async (t) => {
  const { page } = await openPage(t, browser, CPU);
  await openFile(page, fixture('phantom.png'));
  // The compression of the first is not read; the next one opens.
  await page.getByLabel('Open images').setInputFiles([join(ROOT, 'tests/imaging/dicom/derived_declared_htj2k.dcm'), fixture('blocks.png')]);
  assert.equal(await alertCode(page), 'DICOM-TRANSFER-SYNTAX');
  await waitForStage(page, 'ready');
  const series = page.getByRole('list', { name: 'Series' }).getByRole('listitem');
  assert.equal(await series.count(), 2);
  assert.match(await series.first().textContent(), /JPEG 2000/);
  assert.match(await page.locator('#facts').textContent(), /60 × 40/);
  // Asked for again, it says so again, and what is in view stays under its own name.
  await series.first().getByRole('button').click();
  await waitForStage(page, 'ready');
  assert.match(await page.locator('#facts').textContent(), /60 × 40/);
  assert.equal(await series.nth(1).getByRole('button').getAttribute('aria-current'), 'true');
  assert.equal((await segment(page, 'lungs'))[0].mask.length, 60 * 40);
});

test('keys do what the sheet says, and nothing while text is typed', async (t) => {
  const { page } = await openPage(t, browser, CPU);
  await openFile(page, fixture('phantom.png'));
  await page.keyboard.press('?');
  const sheet = page.getByRole('dialog', { name: 'Keyboard' });
  await sheet.waitFor();
  assert.ok((await sheet.getByRole('row').count()) > 15);
  await page.keyboard.press('Escape');
  await sheet.waitFor({ state: 'hidden' });
  await page.keyboard.press('/');
  await page.keyboard.type('lungs?');
  assert.equal(await page.getByLabel('Prompts').inputValue(), 'lungs?');
  assert.equal(await sheet.count(), 0);
  await page.getByLabel('Prompts').fill('lungs');
  await page.keyboard.press('Control+Enter');
  await page.locator('#results li').waitFor({ timeout: 120_000 });
  await waitForStage(page, 'ready');
  // Single keys can be switched off, and stay so.
  await page.getByRole('button', { name: 'Keys (?)' }).click();
  await sheet.getByRole('checkbox').uncheck();
  await sheet.getByRole('button', { name: 'Close' }).click();
  await page.keyboard.press('?');
  assert.equal(await sheet.count(), 0);
  await page.reload();
  await waitForStage(page, 'ready', 120_000);
  await page.keyboard.press('?');
  assert.equal(await sheet.count(), 0);
});

test('the page speaks German where the browser does, numbers too, and the choice is kept', async (t) => {
  const { page } = await openPage(t, browser, { ...CPU, locale: 'de-DE' });
  assert.equal(await page.locator('html').getAttribute('lang'), 'de');
  await page.getByLabel('Bilder öffnen').setInputFiles(fixture('phantom.dcm'));
  await page.getByText('2,000 × 2,000 mm').waitFor();
  await page.getByLabel('Suchbegriffe').fill('lungs');
  await page.getByRole('button', { name: 'Segmentieren' }).click();
  const results = page.getByRole('list', { name: 'Ergebnisse' });
  await results.getByRole('listitem').waitFor({ timeout: 120_000 });
  assert.match(await results.textContent(), /\d,\d\d.*mm²/);
  await page.getByLabel('Bilder öffnen').setInputFiles({ name: 'x', mimeType: 'text/plain', buffer: Buffer.from('x') });
  await page.getByText(/Die Datei ist weder DICOM noch/).waitFor();
  await page.getByLabel('Sprache').selectOption('English');
  await page.getByRole('button', { name: 'Segment', exact: true }).waitFor();
  await page.getByText(/2.000 × 2.000 mm/).waitFor();
  await page.reload();
  await waitForStage(page, 'ready', 120_000);
  assert.equal(await page.locator('html').getAttribute('lang'), 'en');
});

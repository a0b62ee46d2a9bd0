// Every failure has its code, says what to do, and leaves what was open as it was.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ROOT, alertCode, copyOfDist, engineWorker, fixture, launch, openFile, openPage, sample, segment, waitForShownFrame, waitForStage } from './support.mjs';

let browser;
before(async () => void (browser = await launch()));
after(() => browser.close());

test('without WebGPU the CPU is used and the page says so', async (t) => {
  const { page } = await openPage(t, browser);
  assert.equal(await page.locator('#status').getAttribute('data-backend'), 'cpu');
  assert.match(await page.locator('#status').textContent(), /cpu \(the slow path\)/);
  const notice = page.getByRole('alert').locator('[data-code="GPU-NONE"]');
  await notice.waitFor();
  assert.match(await notice.textContent(), /CPU.*slower/);
});

test('a bad file says why and leaves what was open', async (t) => {
  const { page } = await openPage(t, browser);
  await openFile(page, fixture('phantom.png'));
  const facts = await page.locator('#facts').textContent();
  // Messages take room from the view: without any, its size is the same before and after.
  await page.getByRole('button', { name: 'Dismiss message' }).click();
  await waitForShownFrame(page);
  const shown = await page.locator('#viewer').screenshot();
  const folder = await mkdtemp(join(tmpdir(), 'medsam3-bad-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const whole = await readFile(fixture('phantom.dcm'));
  const truncated = join(folder, 'truncated.dcm');
  await writeFile(truncated, whole.subarray(0, whole.length - 1000));
  const text = join(folder, 'text.txt');
  await writeFile(text, 'not an image');
  const cases = [
    [text, 'IMAGE-UNKNOWN', /not a DICOM, NIfTI, PNG, JPEG or TIFF/],
    [truncated, 'DICOM-TRUNCATED', /cut short/],
    [join(ROOT, 'tests/imaging/dicom/derived_declared_htj2k.dcm'), 'DICOM-TRANSFER-SYNTAX', /JPEG 2000.*1\.2\.840\.10008\.1\.2\.4\.201/],
    [join(ROOT, 'tests/imaging/dicom/test-SR.dcm'), 'DICOM-NO-PIXELS', /no image/],
  ];
  for (const [path, code, words] of cases) {
    await page.getByLabel('Open images').setInputFiles(path);
    await page.getByRole('alert').locator(`[data-code="${code}"]`).waitFor();
    assert.equal(await alertCode(page), code);
    const message = await page.getByRole('alert').textContent();
    assert.match(message, words);
    assert.ok(!message.includes(path.split('/').at(-1)), 'a message names no file');
    await waitForStage(page, 'ready');
    assert.equal(await page.locator('#facts').textContent(), facts);
  }
  await page.getByRole('button', { name: 'Dismiss message' }).click();
  await waitForShownFrame(page);
  const now = await page.locator('#viewer').screenshot();
  assert.ok(now.equals(shown), 'the picture on screen must not change');
  assert.equal((await segment(page, 'lungs')).length, 1, 'nor what the engine has open');
});

test('an empty prompt is refused, a long one is cut and said to be', async (t) => {
  const { page } = await openPage(t, browser);
  await openFile(page, fixture('phantom.png'));
  await segment(page, ' , ,');
  assert.equal(await alertCode(page), 'PROMPT-EMPTY');
  const long = Array.from({ length: 60 }, (_, i) => `lung${i}`).join(' ');
  const [answer] = await segment(page, long);
  assert.equal(answer.cut.code, 'PROMPT-CUT');
  await page.getByRole('alert').locator('[data-code="PROMPT-CUT"]').waitFor();
  assert.equal(await page.getByRole('alert').locator('[data-code="PROMPT-EMPTY"]').count(), 0);
});

test('a mask for words that the model was not trained on says so', async (t) => {
  const { page } = await openPage(t, browser);
  await openFile(page, sample('chest-xray.jpg'));
  const [strange, synonym] = await segment(page, 'pulmonary parenchyma, lung fields');
  assert.ok(strange.areaPx > 0 && synonym.areaPx > 0, 'both are shown a mask');
  assert.equal(strange.unknown.code, 'PROMPT-UNKNOWN');
  assert.equal(synonym.unknown, null, 'a synonym was trained on');
  const result = (prompt) => page.locator(`#results li[data-prompt="${prompt}"]`);
  assert.match(await result('pulmonary parenchyma').textContent(), /not trained on these words.+was trained on/);
  assert.doesNotMatch(await result('lung fields').textContent(), /not trained/);
});

test('nothing found is a result that shows the best score', async (t) => {
  const root = await copyOfDist(t);
  const path = join(root, 'model/manifest.json');
  const manifest = JSON.parse(await readFile(path, 'utf8'));
  // No score exceeds 1.
  manifest.prompts.push({ canonical: 'phoenix', threshold: 1 });
  await writeFile(path, JSON.stringify(manifest));
  const { page } = await openPage(t, browser, { root });
  await openFile(page, fixture('phantom.png'));
  const [answer] = await segment(page, 'phoenix');
  assert.equal(answer.areaPx, 0);
  assert.ok(answer.bestScore > 0 && answer.bestScore <= 1);
  const item = page.getByRole('list', { name: 'Results' }).getByRole('listitem');
  const shown = await item.textContent();
  assert.ok(shown.includes(`Nothing found. Best score ${answer.bestScore.toFixed(2)}`), shown);
  assert.equal(await item.getAttribute('data-instances'), '0');
  assert.equal(await item.getAttribute('data-area-px'), '0');
  assert.equal(Number(await item.getAttribute('data-score')), answer.bestScore);
});

test('weights that fail their hash are not used', async (t) => {
  const folder = await copyOfDist(t);
  const manifest = JSON.parse(await readFile(join(folder, 'model/manifest.json'), 'utf8'));
  const shard = join(folder, 'model', manifest.files.find((file) => file.tensors?.length).name);
  const bytes = await readFile(shard);
  bytes[bytes.length - 1] ^= 1;
  await writeFile(shard, bytes);
  const { page } = await openPage(t, browser, { root: folder, ready: false });
  assert.equal(await alertCode(page), 'WEIGHTS-HASH');
  await waitForStage(page, 'failed');
  assert.ok(await page.getByRole('button', { name: 'Segment' }).isDisabled());
});

test('a worker that dies is started again, with the picture it had', async (t) => {
  const { page } = await openPage(t, browser);
  await openFile(page, fixture('phantom.png'));
  await engineWorker(page).evaluate(() => void setTimeout(() => { throw new Error('a fault made by the test'); }));
  assert.equal(await alertCode(page), 'ENGINE-CRASHED');
  await waitForStage(page, 'ready', 120_000);
  const answers = await segment(page, 'lungs');
  assert.equal(answers.length, 1);
});

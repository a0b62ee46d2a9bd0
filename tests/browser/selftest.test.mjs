// The worker tests the graphics processor before anything is computed on it, and replaces a kernel that is wrong there.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { copyOfDist, launch, openPage } from './support.mjs';

let browser;
before(async () => void (browser = await launch({ webgpu: true })));
after(() => browser.close());

const started = (page) => page.evaluate(() => self.workerMessages.find((message) => message.kind === 'started'));

test('every kernel gives the stored results in the browser', async (t) => {
  const { page } = await openPage(t, browser);
  const { backend, selfTest } = await started(page);
  assert.equal(backend, 'webgpu');
  t.diagnostic(`${selfTest.checks} results, largest relative error ${selfTest.largestError}`);
  assert.ok(selfTest.checks >= 8, `only ${selfTest.checks} results were compared`);
  assert.ok(selfTest.largestError < 1e-5);
  assert.equal(selfTest.replaced, null);
  // The page follows its state a moment after the message.
  await page.locator('[role=status][data-replaced="false"]').first().waitFor({ timeout: 10_000 });
});

test('a kernel that a driver computes wrongly is found, replaced and reported', async (t) => {
  const root = await copyOfDist(t);
  // A driver whose exponential is wrong, in our attention alone: the softmax that stands in for it is another shader.
  const driver = `{
    const create = GPUDevice.prototype.createShaderModule;
    GPUDevice.prototype.createShaderModule = function (descriptor) {
      const isOurs = /fn attention/i.test(descriptor.code);
      return create.call(this, isOurs ? { ...descriptor, code: descriptor.code.replaceAll('exp(', '0.9 * exp(') } : descriptor);
    };
  }\n`;
  const worker = join(root, 'app/worker.js');
  await writeFile(worker, driver + (await readFile(worker, 'utf8')));
  const { page } = await openPage(t, browser, { root });
  const { backend, selfTest } = await started(page);
  assert.equal(backend, 'webgpu', 'plain operations are right on this adapter');
  assert.ok(selfTest.largestError > 1e-3);
  assert.equal(selfTest.replaced?.code, 'GPU-KERNELS');
  assert.match(selfTest.replaced.message, /attention/);
  assert.doesNotMatch(selfTest.replaced.message, /convolution|rotary/);
  await page.getByText(/computes wrongly with the fast attention/).waitFor();
});

// The benchmark of the full model, on the default one: from the browser's private file system through the worker onto
// WebGPU, within the limits on heap and bindings, with the masks of the native program.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measure } from '../benchmarks/full-size.mjs';
import { DIST, fixture } from './support.mjs';

test('a stored model segments within the limits, and a further prompt costs no image work', async (t) => {
  const model = `${DIST}/model`;
  const log = await measure({ model, reference: model, side: null, prompt: 'lungs', picture: fixture('phantom.png'), least: 0.995 });
  t.diagnostic(
    `heap ${log.heapMiB.all.toFixed(1)} MiB, largest binding ${log.largestBindingMiB.toFixed(1)} MiB, ` +
      `IoU ${log.iou.semantic.toFixed(4)} (semantic), ${log.iou.union.toFixed(4)} (union)`,
  );
  assert.ok(log.seconds.semantic.image > 0);
  assert.equal(log.seconds.union.image, 0);
});

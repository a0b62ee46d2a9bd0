// What the browser downloads before anything can be computed: the module, as a server sends it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sizes } from '../../web/tools/size.mjs';
import { DIST } from './support.mjs';

const BUDGET_BYTES = 5 * 1024 * 1024;

test('the module is at most 5 MiB with brotli', async (t) => {
  const { rawBytes, brotliBytes } = await sizes(DIST, true);
  t.diagnostic(`${(rawBytes / 1e6).toFixed(1)} MB, ${(brotliBytes / 1e6).toFixed(2)} MB with brotli`);
  // A module of a few kilobytes would be another one than ours.
  assert.ok(rawBytes > 1_000_000, `${rawBytes} bytes`);
  assert.ok(brotliBytes <= BUDGET_BYTES, `${brotliBytes} bytes`);
});

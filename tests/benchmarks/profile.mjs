// Which kernels the GPU's time goes to, for one image (trunk and neck) on either side, by timestamps around every dispatch.
//   node tests/benchmarks/profile.mjs EXPORT [--only ours|peer]
// Prints one JSON object: per side and kernel the dispatches and milliseconds, most costly first.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { launch } from '../browser/support.mjs';
import { cleanUp, ours, peer } from './pages.mjs';

const folder = process.argv[2];
const at = process.argv.indexOf('--only');
const only = at < 0 ? null : process.argv[at + 1];
const expected = JSON.parse(await readFile(join(folder, 'expected.json'), 'utf8'));

/** Rows of single dispatches, added up by kernel. */
function byKernel(rows) {
  const kernels = new Map();
  for (const { name, hash, size, ms } of rows) {
    const key = `${name} ${hash}`;
    const entry = kernels.get(key) ?? { kernel: name, hash, dispatches: 0, ms: 0, sizes: new Set() };
    entry.dispatches++;
    entry.ms += ms;
    entry.sizes.add(size.join('x'));
    kernels.set(key, entry);
  }
  const sorted = [...kernels.values()].sort((a, b) => b.ms - a.ms);
  return {
    ms: rows.reduce((sum, row) => sum + row.ms, 0),
    dispatches: rows.length,
    kernels: sorted.map((entry) => ({ ...entry, sizes: [...entry.sizes].slice(0, 6) })),
  };
}

const browser = await launch({ webgpu: true });
const result = {};
try {
  if (only !== 'peer') {
    const page = await ours(browser, { backend: 'webgpu', picture: join(folder, 'input.png'), prompt: expected.prompt, profile: true });
    await page.round();
    await page.prompt();
    await page.page.evaluate(() => self.gpuProfile());
    await page.prompt();
    result.prompt = byKernel(await page.page.evaluate(() => self.gpuProfile()));
    await page.round();
    const both = await page.page.evaluate(() => self.gpuProfile());
    result.image = byKernel(both.slice(0, both.length - result.prompt.dispatches));
  }
  if (only !== 'ours') {
    const other = await peer(browser, { provider: 'webgpu', folder, expected, profile: true });
    await other.encode();
    await other.page.evaluate(() => self.gpuProfile());
    await other.encode();
    result.peerImage = byKernel(await other.page.evaluate(() => self.gpuProfile()));
  }
  console.log(JSON.stringify(result));
} finally {
  await browser.close();
  await cleanUp();
}

// Copies a built page and adds compressed copies of its files beside them: `x.br` (brotli) and `x.gz`, as the server of
// crates/server and others (nginx, Caddy) send them to browsers that accept them. Weights are left out: they do not
// become smaller.
//   node web/tools/compress.mjs FROM TO
import { cp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

const KINDS = new Set(['.css', '.html', '.js', '.json', '.md', '.svg', '.txt', '.wasm']);
/** Below this a response's headers are what takes the time. */
const SMALLEST = 1024;
/** A copy that saves less is not worth its room. */
const WORTH = 0.9;

const [from, to] = process.argv.slice(2);
await rm(to, { recursive: true, force: true });
await cp(from, to, { recursive: true, preserveTimestamps: true });
const entries = await readdir(to, { recursive: true, withFileTypes: true });
const files = entries.filter((entry) => entry.isFile() && KINDS.has(extname(entry.name)));

async function compress(path) {
  const bytes = await readFile(path);
  if (bytes.length < SMALLEST) return;
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: 11,
    [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  const copies = [
    ['.br', await promisify(brotliCompress)(bytes, { params })],
    ['.gz', await promisify(gzip)(bytes, { level: 9 })],
  ];
  for (const [end, copy] of copies) if (copy.length < WORTH * bytes.length) await writeFile(path + end, copy);
}

await Promise.all(files.map((entry) => compress(join(entry.parentPath, entry.name))));

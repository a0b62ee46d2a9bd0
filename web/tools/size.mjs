// Size in bytes of the WebAssembly module in a built page: as it is, and as a server sends it with brotli.
//   node web/tools/size.mjs [dist] [--quick]
// `--quick` compresses with less effort, which gives an upper bound in a fraction of the time.
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants } from 'node:zlib';

export async function sizes(folder, quick = false) {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.wasm'));
  if (names.length !== 1) throw new Error(`${names.length} modules in ${folder}`);
  const bytes = await readFile(join(folder, names[0]));
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: quick ? 9 : 11,
    [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  const compressed = await promisify(brotliCompress)(bytes, { params });
  return { module: names[0], rawBytes: bytes.length, brotliBytes: compressed.length };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await sizes(process.argv[2] ?? 'dist', process.argv.includes('--quick'))));
}

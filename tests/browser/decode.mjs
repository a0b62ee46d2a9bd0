// The decoders of `crates/imaging` in Chromium against the native build: every value of every frame of every file.
//
//   cargo build --release -p medsam3-imaging --example decode_native
//   cargo build --release -p medsam3-imaging --example decode_wasm --target wasm32-unknown-unknown
//   node decode.mjs TARGET NAME=FOLDER...
//
// TARGET is Cargo's target folder. Prints a table: files by transfer syntax whose values are the same in both, and what
// both refuse in the same way. Exit code 1 for any difference.
import { execFileSync } from 'node:child_process';
import { createReadStream, readFileSync, readdirSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const [target, ...sets] = process.argv.slice(2);
if (!sets.length) throw new Error('usage: node decode.mjs TARGET NAME=FOLDER...');

const files = [];
for (const set of sets) {
  const [name, folder] = set.split('=');
  for (const path of readdirSync(folder, { recursive: true }).sort()) {
    const whole = join(folder, path);
    if (statSync(whole).isFile()) files.push({ set: name, path: whole });
  }
}
const native = execFileSync(join(target, 'release/examples/decode_native'), {
  input: files.map((file) => file.path).join('\n'),
  encoding: 'utf8',
  maxBuffer: 1 << 28,
}).trimEnd().split('\n');

const module = readFileSync(join(target, 'wasm32-unknown-unknown/release/examples/decode_wasm.wasm'));
const server = createServer((request, response) => {
  if (request.url === '/') return response.setHeader('content-type', 'text/html').end('<!doctype html><title>decode</title>');
  if (request.url === '/module') return response.setHeader('content-type', 'application/wasm').end(module);
  const file = files[Number(request.url.slice(1))];
  if (!file) return response.writeHead(404).end();
  createReadStream(file.path).pipe(response);
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium' });
console.log(`Chromium ${browser.version()}, ${files.length} files`);
const page = await browser.newPage();
await page.goto(`http://127.0.0.1:${server.address().port}/`);
await page.evaluate(async () => {
  // Compiled once; a fresh instance for every file, so that memory does not grow and none follows from another.
  const compiled = await WebAssembly.compileStreaming(fetch('/module'));
  if (WebAssembly.Module.imports(compiled).length) throw new Error('the module has imports');
  globalThis.decode = async (index) => {
    const bytes = new Uint8Array(await (await fetch(`/${index}`)).arrayBuffer());
    const { room, decode, line, memory } = (await WebAssembly.instantiate(compiled)).exports;
    const at = room(bytes.length) >>> 0;
    new Uint8Array(memory.buffer, at, bytes.length).set(bytes);
    const length = decode();
    return new TextDecoder().decode(new Uint8Array(memory.buffer, line() >>> 0, length));
  };
});

const table = new Map();
let different = 0;
for (const [index, file] of files.entries()) {
  const found = await page.evaluate((index) => globalThis.decode(index), index).catch((error) => ` ${error.message.split('\n')[0]}`);
  const [syntax, result] = native[index].split(' ');
  const key = `${file.set} | ${syntax || 'no transfer syntax'}`;
  const row = table.get(key) ?? { same: 0, refused: 0, different: 0 };
  table.set(key, row);
  if (found !== native[index]) {
    row.different += 1;
    different += 1;
    console.log(`${file.path}: ${found} instead of ${native[index]}`);
  } else if (/^[0-9a-f]{64}$/.test(result)) row.same += 1;
  else row.refused += 1;
}
for (const [key, row] of [...table].sort()) console.log(`| ${key} | ${row.same} same | ${row.refused} refused in both | ${row.different} different |`);
await browser.close();
server.close();
process.exitCode = different ? 1 : 0;

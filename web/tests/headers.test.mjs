// The headers that are shipped, and the small server that reads them.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { headersFor, parseHeaders, parseRange, serve } from '../tools/serve.mjs';

const shipped = parseHeaders(await readFile(new URL('../../public/_headers', import.meta.url), 'utf8'));
const policy = (path) => headersFor(shipped, path)['Content-Security-Policy'];

test('the page has one strict policy under both of its addresses', () => {
  assert.equal(policy('/'), policy('/index.html'));
  const directives = Object.fromEntries(policy('/').split('; ').map((part) => [part.split(' ')[0], part]));
  assert.equal(directives['default-src'], "default-src 'none'");
  assert.equal(directives['script-src'], "script-src 'self' 'wasm-unsafe-eval'");
  assert.equal(directives['connect-src'], "connect-src 'self'");
  assert.equal(directives['style-src'], "style-src 'self'");
  assert.equal(directives['require-trusted-types-for'], "require-trusted-types-for 'script'");
  assert.ok(!policy('/').includes('http') && !policy('/').includes('unsafe-inline') && !policy('/').includes("'unsafe-eval'"));
});

test('the worker has no network', () => {
  assert.equal(policy('/app/worker.js'), "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'none'");
});

test('the worker that stores models reaches the page\'s own host and nothing else', () => {
  assert.equal(policy('/app/store.js'), "default-src 'none'; script-src 'self'; connect-src 'self'");
});

test('every file gets the common headers', () => {
  const common = headersFor(shipped, '/app/chunks/x.js');
  assert.equal(common['X-Content-Type-Options'], 'nosniff');
  assert.equal(common['Cross-Origin-Opener-Policy'], 'same-origin');
  assert.equal(common['Content-Security-Policy'], undefined);
});

test('later rules replace earlier ones', () => {
  const rules = parseHeaders('# comment\n/*\n  A: 1\n  B: 1\n\n/x\n  A: 2\n');
  assert.deepEqual(headersFor(rules, '/x'), { A: '2', B: '1' });
  assert.deepEqual(headersFor(rules, '/y'), { A: '1', B: '1' });
});

test('the server serves its folder and nothing beside it', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'serve-'));
  const outside = await mkdtemp(join(tmpdir(), 'outside-'));
  await writeFile(join(root, '_headers'), '/*\n  X-Common: yes\n');
  await writeFile(join(root, 'index.html'), '<p>here</p>');
  await writeFile(join(outside, 'secret'), 'secret');
  await symlink(join(outside, 'secret'), join(root, 'link'));
  const server = await serve({ root });
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await rm(root, { recursive: true });
    await rm(outside, { recursive: true });
  });
  const at = `http://localhost:${server.address().port}`;
  const page = await fetch(`${at}/`);
  assert.equal(await page.text(), '<p>here</p>');
  assert.equal(page.headers.get('x-common'), 'yes');
  assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8');
  const again = await fetch(`${at}/`, { headers: { 'If-None-Match': page.headers.get('etag') } });
  assert.equal(again.status, 304);
  for (const path of ['/link', '/absent', '/..%2f..%2fetc/passwd', '/%00', '/%']) {
    assert.equal((await fetch(at + path)).status, 404, path);
  }
  assert.equal((await fetch(`${at}/`, { method: 'POST', body: 'x' })).status, 405);
});

test('a range is read as RFC 9110 says', () => {
  assert.deepEqual(parseRange('bytes=0-', 10), { first: 0, last: 9 });
  assert.deepEqual(parseRange('bytes=3-5', 10), { first: 3, last: 5 });
  assert.deepEqual(parseRange('bytes=3-500', 10), { first: 3, last: 9 });
  assert.deepEqual(parseRange('bytes=-4', 10), { first: 6, last: 9 });
  assert.deepEqual(parseRange('bytes=-40', 10), { first: 0, last: 9 });
  for (const beyond of ['bytes=10-', 'bytes=-0', 'bytes=12-14']) assert.equal(parseRange(beyond, 10), null, beyond);
  for (const ignored of [undefined, '', 'bytes=-', 'bytes=5-3', 'bytes=0-1,3-4', 'lines=0-', 'bytes=a-']) {
    assert.equal(parseRange(ignored, 10), undefined, ignored);
  }
});

test('the server answers ranges and offers model folders', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'serve-'));
  const model = join(root, 'outside', 'tiny-q8');
  await mkdir(model, { recursive: true });
  await mkdir(join(root, 'page'));
  await writeFile(join(root, 'page', '_headers'), '/*\n  X-Common: yes\n');
  await writeFile(join(model, 'shard'), '0123456789');
  await writeFile(join(root, 'outside', 'secret'), 'secret');
  const server = await serve({ root: join(root, 'page'), models: [model] });
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await rm(root, { recursive: true });
  });
  const at = `http://localhost:${server.address().port}`;
  const index = await fetch(`${at}/models/index.json`);
  assert.deepEqual(await index.json(), { models: [{ folder: 'tiny-q8' }] });
  assert.equal(index.headers.get('x-common'), 'yes');
  const shard = (headers) => fetch(`${at}/models/tiny-q8/shard`, { headers });
  const whole = await shard({});
  assert.deepEqual([whole.status, await whole.text(), whole.headers.get('accept-ranges')], [200, '0123456789', 'bytes']);
  const part = await shard({ Range: 'bytes=4-' });
  assert.deepEqual([part.status, await part.text()], [206, '456789']);
  assert.equal(part.headers.get('content-range'), 'bytes 4-9/10');
  assert.equal(part.headers.get('content-length'), '6');
  assert.equal((await shard({ Range: 'bytes=10-' })).status, 416);
  const same = await shard({ Range: 'bytes=4-', 'If-Range': whole.headers.get('etag') });
  assert.equal(same.status, 206);
  const other = await shard({ Range: 'bytes=4-', 'If-Range': '"another"' });
  assert.deepEqual([other.status, await other.text()], [200, '0123456789']);
  for (const path of ['/models/tiny-q8/..%2fsecret', '/models/tiny-q8/', '/models/other/shard', '/secret']) {
    assert.equal((await fetch(at + path)).status, 404, path);
  }
});

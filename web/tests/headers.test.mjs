// The headers that are shipped, and the small server that reads them.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { headersFor, parseHeaders, serve } from '../tools/serve.mjs';

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

// The worker without the page's scripts: requests as the page sends them, answers with their buffers. For what the
// protocol promises, whatever the page makes of it.
import assert from 'node:assert/strict';
import { serve } from './server.mjs';
import { DIST } from './support.mjs';

/** Runs in the page: a worker with the built-in model on the CPU, and `self.ask(message, buffers, onPart)`. */
async function start() {
  const worker = new Worker(new URL('app/worker.js', document.baseURI), { type: 'module' });
  const pending = new Map();
  const parts = new Set(['progress', 'slice-segmented', 'run-state']);
  let next = 1;
  worker.addEventListener('message', ({ data: { message, buffers } }) => {
    const entry = pending.get(message.id);
    if (!entry) return;
    const answer = { message, buffers: buffers.map((buffer) => new Uint8Array(buffer)), at: performance.now() };
    if (parts.has(message.kind)) return void entry.onPart(answer);
    pending.delete(message.id);
    entry.done(answer);
  });
  self.post = (message, buffers = [], module) => {
    const id = next++;
    const transfer = buffers.filter((buffer) => buffer instanceof ArrayBuffer);
    worker.postMessage({ message: { ...message, id }, buffers, module }, { transfer });
    return id;
  };
  self.ask = (message, buffers, onPart = () => undefined, module) => {
    const id = self.post(message, buffers, module);
    const done = new Promise((resolve) => pending.set(id, { done: resolve, onPart }));
    return Object.assign(done, { id });
  };
  /** A request's answer as data that a test can have. */
  self.plain = async (answer) => {
    const { message, buffers } = await answer;
    return { message, buffers: buffers.map((bytes) => [...bytes]) };
  };
  // The page's own is made by the scripts that are left out.
  const input = document.createElement('input');
  Object.assign(input, { type: 'file', id: 'files', multiple: true });
  document.body.append(input);
  const module = await WebAssembly.compileStreaming(fetch('medsam3-web_bg.wasm'));
  await self.ask({ kind: 'start', backend: 'cpu', kernels: null }, [], undefined, module);
  const manifest = await (await fetch('model/manifest.json')).arrayBuffer();
  const listed = JSON.parse(new TextDecoder().decode(manifest)).files.map((file) => file.name);
  const bytes = await Promise.all(listed.map(async (name) => (await fetch(`model/${name}`)).arrayBuffer()));
  const files = ['manifest.json', ...listed];
  const loaded = await self.ask({ kind: 'load-model', files, imageSide: null }, [manifest, ...bytes]);
  return loaded.message;
}

/** A page with a worker that has the model. */
export async function openEngine(t, browser) {
  const server = await serve({ root: DIST });
  const context = await browser.newContext();
  t.after(async () => {
    await context.close();
    server.close();
  });
  await context.route('**/app/main.js', (route) => route.fulfill({ contentType: 'text/javascript', body: '' }));
  const page = await context.newPage();
  await page.goto(server.address);
  const loaded = await page.evaluate(start);
  assert.equal(loaded.kind, 'model-loaded', JSON.stringify(loaded));
  return page;
}

/** Lists files through a file input; gives the listing and the milliseconds that it took. */
export async function openFiles(page, paths) {
  await page.locator('#files').setInputFiles(paths);
  return page.evaluate(async () => {
    const files = [...document.querySelector('#files').files];
    const names = files.map((file) => file.webkitRelativePath || file.name);
    const start = performance.now();
    const { message } = await self.ask({ kind: 'open-files', names }, files);
    return { message, milliseconds: performance.now() - start };
  });
}

/** Sends a request; gives the closing answer with its buffers as arrays. */
export const ask = (page, message, buffers = []) =>
  page.evaluate(([message, buffers]) => self.plain(self.ask(message, buffers.map((bytes) => new Uint8Array(bytes).buffer))), [message, buffers]);

// The two pages of a comparison in one browser: ours, with the counter in front of its worker's script, and ONNX Runtime
// Web's with the same counter.
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serve } from '../browser/server.mjs';
import { DIST, listen, openFile, secondsOfRun, segment, waitForStage } from '../browser/support.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
const cleanups = [];

/** Removes what was made here. */
export async function cleanUp() {
  for (const cleanup of cleanups) await cleanup();
}

/** The built page with the counter in front of its worker's script. */
export async function ours(browser, { backend, picture, prompt, profile = false }) {
  const root = await temporary();
  await cp(DIST, root, { recursive: true });
  const worker = join(root, 'app/worker.js');
  const scripts = [...instruments(profile).map((name) => join(HERE, name)), worker];
  const texts = await Promise.all(scripts.map((path) => readFile(path, 'utf8')));
  await writeFile(worker, texts.join('\n'));
  const { page, address } = await openRoot(browser, root);
  await page.addInitScript(listen);
  await page.addInitScript(() => {
    const ask = (name, question) =>
      new Promise((done) => {
        const channel = new BroadcastChannel(name);
        channel.addEventListener('message', ({ data }) => {
          channel.close();
          done(data);
        });
        channel.postMessage({ ask: true, ...question });
      });
    self.askCounts = async (reset) => (await ask('gpu-counts', { reset })).counts;
    self.gpuProfile = async () => (await ask('gpu-profile')).rows;
  });
  await page.goto(`${address}${backend === 'cpu' ? '?backend=cpu' : ''}`);
  await waitForStage(page, 'ready', 600_000);
  const secondsToReady = (await page.evaluate(() => performance.now())) / 1000;
  const found = await page.locator('#status').getAttribute('data-backend');
  if (found !== backend) throw new Error(`the page chose ${found} instead of ${backend}`);
  const counts = (reset) => page.evaluate((flag) => self.askCounts(flag), reset);
  const load = await counts(true);
  return {
    page,
    secondsToReady,
    load,
    counts,
    /** One picture opened anew and one prompt: seconds by the page's clock, and the answer. */
    async round() {
      await openFile(page, picture);
      return this.prompt();
    },
    async prompt() {
      const [answer] = await segment(page, prompt);
      return { answer, seconds: await secondsOfRun(page) };
    },
  };
}

/** ONNX Runtime Web with the same counter. */
export async function peer(browser, { provider, folder, expected, threads = 1, profile = false }) {
  const root = await temporary();
  for (const file of ['peer.js', ...instruments(profile)]) await cp(join(HERE, file), join(root, file));
  const tags = instruments(profile).map((name) => `<script src="./${name}"></script>`);
  await writeFile(join(root, 'peer.html'), `<!doctype html>${tags.join('')}<script type="module" src="./peer.js"></script>`);
  for (const file of ['encode.onnx', 'text.onnx', 'ground.onnx', 'input.png']) await cp(join(folder, file), join(root, file));
  await cp(join(HERE, 'node_modules/onnxruntime-web/dist'), join(root, 'ort'), {
    recursive: true,
    filter: (path) => !path.endsWith('.map'),
  });
  const headers = '/*\n  Cross-Origin-Opener-Policy: same-origin\n  Cross-Origin-Embedder-Policy: require-corp\n';
  await writeFile(join(root, '_headers'), headers);
  const { page, address } = await openRoot(browser, root);
  await page.goto(`${address}peer.html`);
  await page.waitForFunction(() => self.peerReady);
  const opened = await page.evaluate((options) => self.peer.open(options), { provider, threads, expected });
  const counts = (reset) => page.evaluate((flag) => self.gpuCounts(flag), reset);
  return {
    page,
    opened,
    load: await counts(true),
    counts,
    encode: () => page.evaluate(() => self.peer.encode()),
    prompt: () => page.evaluate(() => self.peer.prompt()),
  };
}

const instruments = (profile) => (profile ? ['gpu-counts.js', 'gpu-profile.js'] : ['gpu-counts.js']);

async function temporary() {
  const folder = await mkdtemp(join(tmpdir(), 'medsam3-bench-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A new page and the address at which `root` is served to it. */
export async function openRoot(browser, root) {
  const server = await serve({ root });
  cleanups.push(server.close);
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(30 * 60_000);
  page.on('pageerror', (error) => console.error(`page error: ${error}`));
  return { page, address: server.address };
}

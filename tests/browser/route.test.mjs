// The main route of who has a checkpoint and pictures of their own, as the README tells it: every command as typed there, on
// the sizes of the default model, and the result in the page.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { PNG } from 'pngjs';
import { idOf, press, use, waitForState } from './models.mjs';
import { medsam3 } from './server.mjs';
import { ROOT, launch, openFile, openPage, segment } from './support.mjs';

let browser;
before(async () => void (browser = await launch()));
after(() => browser.close());

/** Runs the program as a user types it, in the root of the project. */
async function run(...words) {
  const { stdout } = await promisify(execFile)(...medsam3(...words), { cwd: ROOT, maxBuffer: 1 << 26 });
  return stdout;
}

const readShard = async (path) => {
  const bytes = await readFile(path);
  const head = Number(bytes.readBigUInt64LE());
  const { __metadata__: _, ...tensors } = JSON.parse(bytes.subarray(8, 8 + head).toString());
  return Object.entries(tensors).map(([name, { dtype, shape, data_offsets: [from, to] }]) => ({
    name,
    dtype,
    shape,
    values: bytes.subarray(8 + head + from, 8 + head + to),
  }));
};

/** A checkpoint as a publisher gives it: the values of the default model under their names, in one file. */
async function writeCheckpoint(path) {
  const folder = join(ROOT, 'weights/default');
  const names = (await readdir(folder)).filter((name) => /^(model|text)-.*\.safetensors$/.test(name));
  const tensors = (await Promise.all(names.map((name) => readShard(join(folder, name))))).flat();
  let offset = 0;
  const entries = tensors.map(({ name, dtype, shape, values }) => [name, { dtype, shape, data_offsets: [offset, (offset += values.length)] }]);
  const text = JSON.stringify(Object.fromEntries(entries));
  const head = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(head.length));
  await writeFile(path, Buffer.concat([length, head, ...tensors.map(({ values }) => values)]));
}

function grey(width, height, valueAt) {
  const png = new PNG({ width, height, colorType: 0, inputColorType: 0, inputHasAlpha: false });
  png.data = Buffer.from(Array.from({ length: width * height }, (_, i) => valueAt(i % width, Math.floor(i / width))));
  return PNG.sync.write(png, { colorType: 0, inputColorType: 0, inputHasAlpha: false });
}

/** A user's pictures and masks: a bright disc somewhere, drawn by hand as 0 and 255. */
async function writePictures(folder) {
  for (const name of ['images', 'masks']) await mkdir(join(folder, name), { recursive: true });
  for (let number = 0; number < 10; number++) {
    const inside = (x, y) => (x - 40 - 9 * (number % 4)) ** 2 + (y - 50 - 4 * number) ** 2 < 400;
    await writeFile(join(folder, 'images', `case${number}.png`), grey(128, 128, (x, y) => (inside(x, y) ? 210 : 60 + ((x * y) % 30))));
    await writeFile(join(folder, 'masks', `case${number}.png`), grey(128, 128, (x, y) => (inside(x, y) ? 255 : 0)));
  }
}

const MANIFEST = `
name = "discs"
title = "Discs"
modality = "drawing"
body_part = "none"
labels = ["disc"]

[licence]
name = "CC0-1.0"
tier = "A"

[source]
url = "https://example.org/discs"
citation = "made by a test"

[[prompts]]
canonical = "disc"
labels = ["disc"]

[split]
val = 0.2
test = 0.2

[layout]
kind = "folders"
images = "images/{id}.png"

[[layout.masks]]
path = "masks/{id}.png"
read = "binary"
label = "disc"
`;

const CONFIG = `
extends = "${ROOT}configs/finetune.toml"
[data]
tiers = ["A"]
datasets = []
images_per_step = 2
accumulate = 1
[run]
workers = 1
checkpoint_every = 2
validate_every = 1000
[schedule]
steps = 2
cooldown_steps = 1
`;

test('convert, fine-tune, export, evaluate, serve', { timeout: 15 * 60_000 }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'medsam3-route-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const at = (...names) => join(folder, ...names);
  await writeCheckpoint(at('checkpoint.safetensors'));
  await writePictures(at('downloads'));
  await writeFile(at('discs.toml'), MANIFEST);
  await writeFile(at('mine.toml'), CONFIG);
  const set = (key, value) => ['--set', `${key}="${value}"`];

  await run('convert', at('checkpoint.safetensors'), '--out', at('base'), '--config', 'default');
  await run('import', at('discs.toml'), '--from', at('downloads'), '--out', at('corpus'));
  await run('train', at('mine.toml'), ...set('run.start_from', at('base')), ...set('run.folder', at('run')), ...set('data.root', at('corpus')));
  await run('export', at('run'), '--out', at('mine'));
  const rows = (await run('evaluate', '--model', at('mine'), '--corpus', at('corpus'), '--json')).trim().split('\n').map((line) => JSON.parse(line));
  const row = rows.find(({ kind, prompt }) => kind === 'row' && prompt === 'disc');
  assert.ok(row.images > 0 && row.dice.value >= 0, JSON.stringify(row));
  const said = await run('segment', at('downloads/images/case0.png'), '--prompt', 'disc', '--model', at('mine'), '--device', 'cpu', '--json');
  const native = JSON.parse(said);
  assert.equal(native.words_known, true);

  const { page } = await openPage(t, browser, { query: '?backend=cpu', models: [at('mine')] });
  const id = await idOf(at('mine'));
  await waitForState(page, id, 'offered');
  await press(page, id, 'Download');
  await waitForState(page, id, 'complete');
  await use(page, id);
  await openFile(page, at('downloads/images/case0.png'));
  const [answer] = await segment(page, 'disc');
  assert.ok(Math.abs(answer.presence - native.presence) < 0.01, `${answer.presence} in the page, ${native.presence} natively`);
  assert.equal(answer.unknown, null);
});

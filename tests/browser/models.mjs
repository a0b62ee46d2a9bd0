// What the tests of the model store need: a model in many small shards, and hands for the panel "Model".
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DIST } from './support.mjs';

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** The id by which the page keeps a model: the first 16 digits of its manifest's SHA-256. */
export const idOf = async (folder) => sha256(await readFile(join(folder, 'manifest.json'))).slice(0, 16);

/** A new folder that is removed when the test ends. */
export async function scratch(t) {
  const folder = await mkdtemp(join(tmpdir(), 'medsam3-models-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** The built-in model under another name, in shards of about `shardBytes`; resolves to its folder. */
export async function modelInShards(t, { name = 'sharded', shardBytes = 2_000_000, change = (manifest) => manifest } = {}) {
  const from = join(DIST, 'model');
  const folder = join(await scratch(t), name);
  await mkdir(folder);
  const manifest = JSON.parse(await readFile(join(from, 'manifest.json'), 'utf8'));
  const files = [];
  for (const file of manifest.files) {
    if (file.tensors?.length) files.push(...(await shards(from, file, folder, shardBytes, files.length)));
    else {
      await cp(join(from, file.name), join(folder, file.name));
      files.push(file);
    }
  }
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(change({ ...manifest, name, files })));
  return folder;
}

/** Cuts one safetensors file into several, named by their place after `before` others: 8 bytes of header length, header, values. */
async function shards(from, { name: source, tensors, part }, folder, shardBytes, before) {
  const bytes = await readFile(join(from, source));
  const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))));
  const sizeOf = ({ name }) => header[name].data_offsets[1] - header[name].data_offsets[0];
  const groups = [[]];
  for (const tensor of tensors) {
    const size = groups.at(-1).reduce((sum, one) => sum + sizeOf(one), 0);
    if (size > 0 && size + sizeOf(tensor) > shardBytes) groups.push([]);
    groups.at(-1).push(tensor);
  }
  return Promise.all(
    groups.map(async (group, at) => {
      const name = `part-${String(before + at + 1).padStart(3, '0')}.safetensors`;
      let end = 0;
      const entries = group.map((tensor) => {
        const { dtype, shape } = header[tensor.name];
        return [tensor.name, { dtype, shape, data_offsets: [end, (end += sizeOf(tensor))] }];
      });
      const text = JSON.stringify(Object.fromEntries(entries));
      const head = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(head.length));
      const values = group.map(({ name, offset }) => bytes.subarray(offset, offset + sizeOf({ name })));
      const shard = Buffer.concat([length, head, ...values]);
      await writeFile(join(folder, name), shard);
      const placed = group.map((tensor, i) => ({ ...tensor, offset: 8 + head.length + entries[i][1].data_offsets[0] }));
      return { name, bytes: shard.length, sha256: sha256(shard), ...(part && { part }), tensors: placed };
    }),
  );
}

/** The item of a model in the list "Models". */
export const item = (page, model) => page.getByRole('list', { name: 'Models' }).locator(`li[data-model="${model}"]`);

export const press = (page, model, action) => item(page, model).getByRole('button', { name: new RegExp(`^${action} `) }).click();

export const waitForState = (page, model, state, timeout = 120_000) =>
  page.locator(`#models li[data-model="${model}"][data-state="${state}"]`).waitFor({ timeout });

/** Presses "Use" and waits until the engine has the model, or has gone back to another. */
export async function use(page, model) {
  await press(page, model, 'Use');
  await page.locator(`#models li[data-model="${model}"][data-in-use="true"]`).waitFor();
  await page.locator('#status[data-stage="ready"]').waitFor({ timeout: 180_000 });
}

/** Waits for an error in the alert region and returns its code. */
export async function errorCode(page, code) {
  const message = page.getByRole('alert').locator(`.message.error[data-code="${code}"]`);
  await message.waitFor({ timeout: 120_000 });
  const words = await message.textContent();
  assert.ok(words.length > 60, `"${words}" says what happened and what to do`);
  return words;
}

/** Name -> SHA-256 of what lies in a model's folder, computed by the browser itself; empty where there is none. */
export const storedHashes = (page, model) =>
  page.evaluate(async (id) => {
    try {
      const root = await navigator.storage.getDirectory();
      const folder = await (await root.getDirectoryHandle('models')).getDirectoryHandle(id);
      const found = {};
      for await (const [name, handle] of folder.entries()) {
        const digest = await crypto.subtle.digest('SHA-256', await (await handle.getFile()).arrayBuffer());
        found[name] = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
      }
      return found;
    } catch {
      return {};
    }
  }, model);

/** Asserts that every file of the manifest lies in the store with its SHA-256. */
export async function assertStored(page, folder) {
  const manifest = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'));
  const found = await storedHashes(page, await idOf(folder));
  for (const { name, sha256: wanted } of manifest.files) assert.equal(found[name], wanted, name);
  assert.equal(found['manifest.json'], sha256(await readFile(join(folder, 'manifest.json'))));
}

/** Writes bytes into a file of the store, behind the page's back: `edit` is `{ at, xor }`, or the whole `text`. */
export const tamper = (page, model, file, edit) =>
  page.evaluate(
    async ([id, name, { at, xor, text }]) => {
      const root = await navigator.storage.getDirectory();
      const models = await root.getDirectoryHandle('models', { create: true });
      const handle = await (await models.getDirectoryHandle(id, { create: true })).getFileHandle(name, { create: true });
      const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
      const stream = await handle.createWritable();
      if (text === undefined) {
        bytes[at] ^= xor;
        await stream.write(bytes);
      } else await stream.write(text);
      await stream.close();
    },
    [model, file, edit],
  );

/** Numbers in 0..1 that are the same in every run (mulberry32). */
export function randomNumbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

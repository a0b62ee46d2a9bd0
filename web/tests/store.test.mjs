// The decisions of the model store and of the capability check, without a browser.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

const load = async (path) => (await runnerImport(fileURLToPath(new URL(`../src/${path}`, import.meta.url)))).module;
const [layout, manifests, range, rates, words, quota, plans, memories] = await Promise.all(
  ['store/layout.ts', 'store/manifest.ts', 'store/range.ts', 'store/rate.ts', 'store/words.ts', 'store/quota.ts', 'capability/plan.ts', 'capability/memory.ts'].map(load),
);

const shipped = new Uint8Array(await readFile(new URL('../../weights/default/manifest.json', import.meta.url)));
const bytesOf = (value) => new TextEncoder().encode(JSON.stringify(value));
const changed = (change) => {
  const manifest = JSON.parse(new TextDecoder().decode(shipped));
  change(manifest);
  return bytesOf(manifest);
};
const codeOf = (work) => {
  try {
    work();
    return undefined;
  } catch (error) {
    return error.failure?.code ?? String(error);
  }
};

test('the shipped manifest is read, and its version is that of the Rust crate', async () => {
  const manifest = manifests.parseManifest(shipped);
  assert.equal(manifest.precision, 'f16');
  assert.deepEqual(manifest.config, { imageSide: 252, patch: 14, width: 192, mlpHidden: 768, features: 64 });
  assert.equal(manifest.totalBytes, JSON.parse(new TextDecoder().decode(shipped)).files.reduce((sum, file) => sum + file.bytes, 0));
  const rust = await readFile(new URL('../../crates/weights/src/manifest.rs', import.meta.url), 'utf8');
  assert.equal(manifests.FORMAT_VERSION, Number(/ FORMAT_VERSION: u32 = (\d+)/.exec(rust)[1]));
  assert.equal(manifests.OLDEST_FORMAT_VERSION, Number(/OLDEST_FORMAT_VERSION: u32 = (\d+)/.exec(rust)[1]));
});

test('a manifest that cannot be trusted is refused before anything else', () => {
  const code = (change) => codeOf(() => manifests.parseManifest(changed(change)));
  assert.equal(code(() => undefined), undefined);
  assert.equal(code((m) => (m.format_version = 2)), undefined);
  for (const version of [0, 3]) assert.equal(code((m) => (m.format_version = version)), 'WEIGHTS-VERSION');
  assert.equal(codeOf(() => manifests.parseManifest(bytesOf({ format_version: 3, all: 'else' }))), 'WEIGHTS-VERSION');
  for (const name of ['../x', 'a/b', '', '.x', 'manifest.json', 'state.json', 'c:\\x']) {
    assert.equal(code((m) => (m.files[0].name = name)), 'WEIGHTS-MANIFEST', name);
  }
  assert.equal(code((m) => m.files.push(m.files[0])), 'WEIGHTS-MANIFEST');
  assert.equal(code((m) => (m.files = [])), 'WEIGHTS-MANIFEST');
  assert.equal(code((m) => (m.files[0].bytes = -1)), 'WEIGHTS-MANIFEST');
  assert.equal(code((m) => (m.files[0].sha256 = 'x')), 'WEIGHTS-MANIFEST');
  assert.equal(code((m) => delete m.config.vit), 'WEIGHTS-MANIFEST');
  for (const text of ['', '[]', 'null', '<html>']) {
    assert.equal(codeOf(() => manifests.parseManifest(new TextEncoder().encode(text))), 'WEIGHTS-MANIFEST', text);
  }
});

test('a tensor that is cut over files counts once', () => {
  const manifest = manifests.parseManifest(
    changed((m) => {
      m.format_version = 2;
      const tensor = (rows) => ({ name: 'table', dtype: 'q8', shape: [10, 32], offset: 8, scales_offset: 400, rows });
      m.files = [[0, 6], [6, 10]].map((rows, i) => ({ name: `s${i}`, bytes: 1, sha256: '0'.repeat(64), part: 'text', tensors: [tensor(rows)] }));
    }),
  );
  assert.deepEqual(manifest.tensors.map(({ values }) => values), [192, 128]);
});

test("a model's id is the start of its manifest's SHA-256 (FIPS 180-4, example B.1)", () => {
  assert.equal(layout.idOf(new TextEncoder().encode('abc')), 'ba7816bf8f01cfea');
  assert.ok(layout.isId('ba7816bf8f01cfea') && !layout.isId('models') && !layout.isId('BA7816BF8F01CFEA'));
});

test('a state that cannot be read says "partial"', () => {
  const state = { condition: 'complete', origin: { kind: 'host', folder: 'q8' } };
  const bytes = layout.writeState(state);
  assert.deepEqual(layout.readState(bytes), state);
  const nothing = { condition: 'partial', origin: { kind: 'files' } };
  for (let length = 0; length < bytes.length; length++) assert.deepEqual(layout.readState(bytes.slice(0, length)), nothing);
  assert.deepEqual(layout.readState(undefined), nothing);
  assert.deepEqual(layout.readState(bytesOf({ ...state, version: 2 })), nothing);
  assert.equal(layout.readState(bytesOf({ version: 1, condition: 'half', origin: state.origin })).condition, 'partial');
  assert.deepEqual(layout.readState(bytesOf({ version: 1, condition: 'complete', origin: { kind: 'host', folder: '../x' } })).origin, { kind: 'files' });
});

test('a partial answer counts only if it ends with the file', () => {
  assert.equal(range.rangeStart('bytes 4-9/10', 10), 4);
  assert.equal(range.rangeStart('bytes 4-9/*', 10), 4);
  for (const other of [null, '', 'bytes 4-8/10', 'bytes 4-9/11', 'bytes */10', 'bytes 9-4/10', 'items 4-9/10']) {
    assert.equal(range.rangeStart(other, 10), undefined, other);
  }
});

test('speed and time left are those of the last seconds', () => {
  const rate = new rates.Rate();
  assert.equal(rate.bytesPerSecond(0), undefined);
  // 1 MB in each of 10 s, then 3 MB in each of 5 s: a window of 5 s sees only the faster ones.
  for (let second = 0; second <= 10; second++) rate.add(1e6, 1000 * second);
  assert.equal(rate.bytesPerSecond(10_000), 1e6);
  for (let second = 11; second <= 15; second++) rate.add(3e6, 1000 * second);
  assert.equal(rate.bytesPerSecond(15_000), 3e6);
  assert.equal(rate.secondsFor(30e6, 15_000), 10);
  // Nothing more arrives: the speed falls.
  assert.equal(rate.bytesPerSecond(20_000), 1.5e6);
});

test('sizes and times in words', () => {
  const shown = [0, 999, 1000, 15_528_000, 999_999_999, 1e9, 10.7e9].map((bytes) => words.bytesInWords(bytes));
  assert.deepEqual(shown, ['0 bytes', '999 bytes', '1.00 kB', '15.5 MB', '1,000 MB', '1.00 GB', '10.7 GB']);
  assert.deepEqual([0.2, 8, 100, 7200].map(words.timeLeftInWords), ['1 s left', '8 s left', '2 min left', '2 h left']);
});

test('room is asked for with a margin', () => {
  assert.equal(quota.withMargin(1000), 1050);
  assert.equal(quota.freeBytes({ usage: 10, quota: 115 }), 105);
  assert.equal(quota.freeBytes({ usage: 5, quota: 3 }), 0);
});

/** Medical SAM3 as the converter writes it: 482 M parameters without the text encoder, 354 M with it. */
function full(precision) {
  const tensor = (name, values) => ({ name, dtype: precision, values });
  return {
    name: 'Medical SAM3',
    precision,
    licence: '',
    config: { imageSide: 1008, patch: 14, width: 1024, mlpHidden: 4736, features: 256 },
    files: [{ name: 'vocabulary.safetensors', bytes: 1, sha256: '' }],
    tensors: [
      tensor('detector.backbone.vision_backbone.trunk.blocks.0.mlp.fc1.weight', 4736 * 1024),
      tensor('the rest of it', 477_150_000),
      tensor('detector.backbone.language_backbone.encoder.token_embedding.weight', 49408 * 1024),
      tensor('detector.backbone.language_backbone.the rest of it', 303_000_000),
    ].flatMap((one) => (one.name.endsWith('it') ? Array.from({ length: 100 }, () => ({ ...one, values: one.values / 100 })) : [one])),
    totalBytes: 1e9,
  };
}

const MIB = 2 ** 20;
const gpu = { name: 'a GPU', isSoftware: false, hasF16: true, maxBindingBytes: 128 * MIB, maxBufferBytes: 256 * MIB };

test('memory: weights as the device holds them, the text encoder only without a vocabulary pack', () => {
  const at = (model, hasF16) => memories.memory(model, 1008, hasF16);
  assert.ok(Math.abs(at(full('f16'), true).weightBytes - 482e6 * 2) < 1e6);
  assert.ok(Math.abs(at(full('f16'), false).weightBytes - 482e6 * 4) < 1e6);
  assert.ok(Math.abs(at(full('q8'), false).weightBytes - 482e6 * 1.125) < 1e6);
  const noPack = { ...full('f16'), files: [] };
  assert.ok(Math.abs(at(noPack, true).weightBytes - (482e6 + 353.6e6) * 2) < 1e6);
  // The widest activation of the trunk: 5184 tokens x 4736 hidden channels x 4 bytes.
  assert.equal(at(full('q8'), false).bindingBytes, 5184 * 4736 * 4);
  // design: weights + 0.6 GiB at 1008
  const beside = at(full('q8'), false).totalBytes - at(full('q8'), false).weightBytes;
  assert.ok(Math.abs(beside / (0.6 * 2 ** 30) - 1) < 0.02);
});

test('the largest image side that fits is taken, and the reason is given', () => {
  const model = full('f16');
  assert.deepEqual(plans.sidesOf(model), [1008, 672, 504, 336, 168]);
  const easy = plans.plan(model, { gpu, memoryGib: 8 });
  assert.equal(easy.side, 1008);
  const tight = plans.plan(model, { gpu: { ...gpu, maxBindingBytes: 64 * MIB }, memoryGib: 8 });
  assert.equal(tight.side, 672);
  assert.match(tight.words, /672 px.*not 1008 px: one tensor needs 98\.2 MB, and the graphics processor binds 67\.1 MB at most/);
  const refused = plans.plan(model, { gpu: { ...gpu, hasF16: false }, memoryGib: 2 });
  assert.deepEqual([refused.fits, refused.failure.code], [false, 'MODEL-TOO-LARGE']);
  const cpu = plans.plan(full('q8'), { gpu: undefined, memoryGib: 4 });
  assert.deepEqual([cpu.fits, cpu.failure?.code], [true, undefined]);
  const noGpu = plans.plan(full('f32'), { gpu: undefined, memoryGib: 2 });
  assert.deepEqual([noGpu.fits, noGpu.failure.code], [false, 'MODEL-NEEDS-GPU']);
  assert.equal(plans.plan(manifests.parseManifest(shipped), { gpu: undefined, memoryGib: undefined }).side, 252);
});

test('of several precisions the one for the machine is named', () => {
  const choices = ['q8', 'f32', 'f16'].map((precision) => ({ manifest: full(precision) }));
  const pick = (machine) => {
    const found = plans.recommend(choices, machine);
    return found && [found.choice.manifest.precision, found.words];
  };
  assert.deepEqual(pick({ gpu, memoryGib: 8 }), ['f16', 'f16 at 1008 px: the most exact results for their size, and it fits']);
  // Without 16-bit shaders f16 takes as much as f32.
  assert.deepEqual(pick({ gpu: { ...gpu, hasF16: false }, memoryGib: 4 }), ['q8', 'q8 at 1008 px: f16 does not fit at this image side']);
  assert.equal(pick({ gpu: { ...gpu, maxBufferBytes: 1000 }, memoryGib: 8 }), undefined);
  assert.match(plans.describe({ gpu: undefined, memoryGib: undefined }), /CPU, slowly; memory unknown \(4 GB assumed\)/);
});

// What is kept of a series for an engine that is started anew.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

const { Keeper, packed, unpacked } = (await runnerImport(fileURLToPath(new URL('../src/restore.ts', import.meta.url)))).module;

const size = { columns: 3, rows: 3 };
const mask = (...set) => Uint8Array.from({ length: 9 }, (_, at) => (set.includes(at) ? 1 : 0));
const place = (slice) => ({ slice, frame: 0 });
const segment = (id) => ({ id, name: `s${id}`, color: [id, 0, 0] });
const openOf = (ticket, ...ids) => ({ ticket, document: { segments: ids.map(segment) } });

/** An engine that gives ids from 1 and notes what it is asked. */
function engine() {
  const asked = [];
  const segments = [];
  const ask = async (message, _kind, buffers = []) => {
    asked.push({ ...message, bytes: buffers[0] && [...new Uint8Array(buffers[0])] });
    if (message.kind === 'new-segment') segments.push({ id: segments.length + 1, name: message.name });
    return { message: { document: { segments: [...segments] } }, buffers: [] };
  };
  return { ask, asked };
}

test('masks are packed a bit per pixel and come back as they were', () => {
  for (const one of [mask(), mask(0, 8), mask(0, 1, 2, 3, 4, 5, 6, 7, 8)]) {
    assert.equal(packed(one).length, 2);
    assert.deepEqual(unpacked(packed(one), 9), one);
  }
});

test('segments come back with their names, colours and masks, under new ids', async () => {
  const keeper = new Keeper();
  keeper.keep(1, 10, place(0), size, mask(4));
  keeper.keep(1, 10, place(2), size, mask(5));
  keeper.keep(1, 10, place(3), size, mask());
  keeper.keep(1, 12, place(0), size, mask(6));
  keeper.keep(1, 12, place(1), size, new Uint8Array(4));
  keeper.forget([{ segment: 10, slice: 2, frame: 0 }]);
  const { ask, asked } = engine();
  let told;
  await keeper.restore(ask, openOf(1, 12, 10), (ticket, document, ids) => (told = { ticket, document, ids }));
  assert.deepEqual([...told.ids], [[12, 1], [10, 2]]);
  const painted = asked.filter(({ kind }) => kind === 'edit').map(({ segment: id, edit, bytes }) => [id, edit.slice, bytes.indexOf(1)]);
  assert.deepEqual(painted, [[1, 0, 6], [2, 0, 4]], 'neither what was forgotten, nor empty masks, nor those of another size');
  assert.deepEqual(asked.filter(({ kind }) => kind === 'change-segment').map(({ color }) => color[0]), [12, 10]);
  // A second crash finds them under the ids that they have now.
  const again = engine();
  await keeper.restore(again.ask, openOf(1, 1, 2), () => undefined);
  assert.equal(again.asked.filter(({ kind }) => kind === 'edit').length, 2);
});

test('masks of another series are not brought back', async () => {
  const keeper = new Keeper();
  keeper.keep(1, 10, place(0), size, mask(4));
  const { ask, asked } = engine();
  await keeper.restore(ask, openOf(2, 10), () => undefined);
  assert.equal(asked.filter(({ kind }) => kind === 'edit').length, 0);
  await keeper.restore(ask, null, () => assert.fail('nothing was open'));
});

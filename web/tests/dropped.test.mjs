// Files of a drop: folders are walked to their ends, with the path of each.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

const { chosen, dropped } = (await runnerImport(fileURLToPath(new URL('../src/features/dropped.ts', import.meta.url)))).module;

/** An entry of a file. */
const file = (fullPath) => ({ isFile: true, isDirectory: false, fullPath, file: (resolve) => resolve(new File(['x'], fullPath.split('/').at(-1))) });
/** As browsers do, it gives a hundred entries at a time. */
const folder = (fullPath, entries) => ({
  isFile: false,
  isDirectory: true,
  fullPath,
  createReader() {
    const left = [...entries];
    return { readEntries: (resolve) => resolve(left.splice(0, 100)) };
  },
});
const transfer = (...entries) => ({ items: entries.map((entry) => ({ webkitGetAsEntry: () => entry })), files: [] });

test('a dropped folder gives every file below it, however many', async () => {
  const slices = Array.from({ length: 250 }, (_, at) => file(`/study/ct/${at}.dcm`));
  const found = await dropped(transfer(folder('/study', [folder('/study/ct', slices), file('/study/DICOMDIR')]), file('/one.png')));
  assert.equal(found.length, 252);
  assert.deepEqual([found[0].name, found[249].name, found[250].name, found[251].name], ['study/ct/0.dcm', 'study/ct/249.dcm', 'study/DICOMDIR', 'one.png']);
});

test('without entries the files themselves are taken, those of a folder with their path', async () => {
  const plain = new File(['x'], 'a.dcm');
  const inFolder = Object.assign(new File(['x'], 'b.dcm'), { webkitRelativePath: 'study/b.dcm' });
  assert.deepEqual((await dropped({ items: [], files: [plain] })).map(({ name }) => name), ['a.dcm']);
  assert.deepEqual(chosen([plain, inFolder]).map(({ name }) => name), ['a.dcm', 'study/b.dcm']);
});

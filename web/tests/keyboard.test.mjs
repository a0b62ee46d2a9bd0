// The table of actions and what a key does, without a browser; and that both catalogues say everything.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

const load = async (path) => (await runnerImport(fileURLToPath(new URL(`../src/${path}`, import.meta.url)))).module;
const [{ actionOf }, { actions }, { initial }, { en }, { de }, { spoken }, { failuresInGerman }] = await Promise.all(
  ['actions/keyboard.ts', 'actions/table.ts', 'state/state.ts', 'words/en.ts', 'words/de.ts', 'words/language.ts', 'words/failures.de.ts'].map(load),
);

const press = (key, more = {}) => ({ key, ctrlKey: false, metaKey: false, altKey: false, isTyping: false, isInView: false, ...more });
const info = { index: 0, slices: 3, frames: 1 };
const open = { ticket: 1, series: { info }, place: { slice: 0, frame: 0 }, fault: null, document: { segments: [], undo: { what: 'run', name: null }, redo: null } };
const ready = { ...initial, engine: { kind: 'ready' }, model: {}, open };
const running = { ...ready, work: { kind: 'running', ticket: 2, step: { stage: 'image', fraction: null }, pace: null, paused: false } };
const does = (one, state = ready) => actionOf(one, state)?.name;

test('a key does what the table says, where it may', () => {
  assert.equal(does(press('s')), 'segment');
  assert.equal(does(press('?')), 'help');
  assert.equal(does(press('s'), running), undefined, 'not while a run goes on');
  assert.equal(does(press('Escape'), running), 'cancel');
  assert.equal(does(press('Escape')), undefined);
  assert.equal(does(press('PageDown')), undefined, 'elsewhere it scrolls the page');
  assert.equal(does(press('PageDown', { isInView: true })), 'next');
  assert.equal(does(press('ArrowUp', { isInView: true }), initial), undefined, 'there is no picture');
});

test('while text is typed only what is meant for it acts', () => {
  for (const key of ['s', 'o', 'm', '?', '/', 'n']) assert.equal(does(press(key, { isTyping: true })), undefined, key);
  assert.equal(does(press('Escape', { isTyping: true }), running), 'cancel');
  assert.equal(does(press('Enter', { isTyping: true, ctrlKey: true })), 'segment');
  assert.equal(does(press('z', { ctrlKey: true })), 'undo');
  assert.equal(does(press('z', { isTyping: true, ctrlKey: true })), undefined, 'the text has an undo of its own');
});

test('single keys can be switched off, but in the image', () => {
  const off = { ...ready, singleKeys: false };
  assert.equal(does(press('s'), off), undefined);
  assert.equal(does(press('Enter', { ctrlKey: true }), off), 'segment');
  assert.equal(does(press('+', { isInView: true }), off), 'zoomIn');
});

test('keys of the browser are left to it', () => {
  for (const modifier of ['ctrlKey', 'metaKey', 'altKey']) assert.equal(does(press('s', { [modifier]: true })), undefined, modifier);
});

test('no key is given twice, and every action has a label', () => {
  const keys = actions.flatMap((action) => action.keys);
  assert.equal(new Set(keys).size, keys.length);
  for (const { name } of actions) assert.equal(typeof en.keys[name], 'string', name);
});

const leaves = (value, path = '') => (value !== null && typeof value === 'object' ? Object.entries(value).flatMap(([key, inner]) => leaves(inner, `${path}.${key}`)) : [[path, value]]);

test('German says everything that English says', () => {
  const german = new Map(leaves(de));
  for (const [path, text] of leaves(en)) {
    assert.equal(typeof german.get(path), typeof text, path);
    if (typeof text === 'string') assert.ok(german.get(path).trim(), path);
    // Whatever is put in comes out.
    else assert.equal(german.get(path).length, text.length, path);
  }
  assert.equal(german.size, leaves(en).length);
});

test('the language is the first that the reader wants and the page speaks', () => {
  assert.equal(spoken(['fr-FR', 'de-AT', 'en']), 'de');
  assert.equal(spoken(['en-GB', 'de']), 'en');
  assert.equal(spoken(['ja']), 'en');
});

test("the engine's own failures and those of the store are said in German", async () => {
  const sources = ['crates/web/src/failure.rs', 'web/src/store/faults.ts', 'web/src/session.ts', 'web/src/engine.ts', 'web/src/worker.ts', 'web/src/failure.ts', 'web/src/assets.ts'];
  const texts = await Promise.all(sources.map((path) => readFile(new URL(`../../${path}`, import.meta.url), 'utf8')));
  const codes = texts.flatMap((text) => [...text.matchAll(/["']([A-Z]+(?:-[A-Z]+)+)["']/g)].map(([, code]) => code));
  assert.ok(codes.length > 20);
  for (const code of codes) assert.ok(failuresInGerman[code], `${code} has no German sentence`);
});

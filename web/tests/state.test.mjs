// Every transition of the page's state, without a browser.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

const load = async (path) => (await runnerImport(fileURLToPath(new URL(`../src/${path}`, import.meta.url)))).module;
const [{ transition }, { initial }, { canCancel, canEdit, canExport, canRedo, canSegment, canUndo, masksInView, stageOf, wantedMasks }] = await Promise.all(
  ['state/transition.ts', 'state/state.ts', 'state/select.ts'].map(load),
);

const freeze = (value) => {
  if (value === null || typeof value !== 'object' || Object.isFrozen(value) || ArrayBuffer.isView(value)) return value;
  Object.values(value).forEach(freeze);
  return Object.freeze(value);
};
/** The state after these events; it throws where a state is changed in place. */
const after = (...events) => events.reduce((state, event) => freeze(transition(state, event)), freeze(initial));

const failure = (code) => ({ code, message: 'What happened.', nextStep: 'What to do.' });
const model = { name: 'm', precision: 'f16', heldAs: 'f32', licence: 'l', imageSide: 252, prompts: ['lungs'] };
const info = { index: 0, kind: 'volume', format: 'DICOM', modality: 'CT', number: 1, label: 'CT 1', rows: 2, columns: 4, slices: 9, frames: 2, spacingMm: null, calibrated: false, problems: [], noVolume: null, windows: [] };
const series = { info, pixels: 'gray', window: { center: 10, width: 20 }, inverted: false, affine: null, planes: [], frameOfReference: null, notes: [] };
const segment = (id, more = {}) => ({ id, name: `s${id}`, voxels: 1, slices: [], volumeMl: null, ...more });
const doc = (version, segments = [], more = {}) => ({ version, segments, undo: null, redo: null, changed: [], ...more });
const place = (slice, frame = 0) => ({ slice, frame });
const FIRST = place(4);
const reply = (index, more = {}) => ({ segment: 10 + index, leftAlone: false, answer: { index, prompt: 'lungs', cut: null, unknown: null, presence: 1, instances: [], bestScore: 1, areaPx: 3, areaMm2: null, regions: 1 }, ...more });
const sample = (prompts) => ({ id: 's', attribution: 'a', licence: 'l', source: 's', prompts });

const launched = (launch, why = 'start') => ({ kind: 'launched', launch, why });
const loaded = (launch) => ({ kind: 'model-loaded', launch, model });
const READY = [launched(1), loaded(1)];
const opened = (ticket, more = {}) => ({ kind: 'opened', ticket, series, document: doc(1), sample: null, ...more });
const drawn = (ticket, where, result = { columns: 4, rows: 2, spacingMm: null }) => ({ kind: 'picture-drawn', ticket, place: where, result });
const known = (ticket, where, ids) => ({ kind: 'masks-told', ticket, place: where, masks: new Map(ids.map((id) => [id, { bytes: new Uint8Array(8), pixels: 1, areaMm2: null }])) });
const open = (ticket, more) => [{ kind: 'open-asked', ticket }, opened(ticket, more), { kind: 'open-ended', ticket, failure: null }];
const run = (ticket) => ({ kind: 'run-asked', ticket });
const answered = (ticket, where, answers, pace = { done: 1, total: 9, secondsLeft: 8 }) => ({ kind: 'slice-answered', ticket, place: where, pace, answers, masks: answers.map(() => new Uint8Array(8)) });
const ended = (ticket, why = null) => ({ kind: 'run-ended', ticket, failure: why });
const codes = (state) => state.alerts.map((alert) => `${alert.kind} ${alert.failure.code}`);
const said = (state, { slice, frame }) => [...(state.open.answers.get(`${slice}/${frame}`)?.keys() ?? [])];
const told = (ticket, document) => ({ kind: 'document-told', ticket, document });

test('the engine starts, says how far it is, and is ready with its model', () => {
  assert.equal(stageOf(initial).stage, 'starting');
  const step = { kind: 'engine-step', launch: 1, step: { stage: 'weights', fraction: 0.5 } };
  assert.deepEqual(stageOf(after(launched(1), step)), { stage: 'weights', fraction: 0.5 });
  const started = { kind: 'engine-started', launch: 1, backend: 'cpu', whyCpu: failure('GPU-NONE'), selfTest: null };
  const state = after(launched(1), started, loaded(1));
  assert.equal(stageOf(state).stage, 'ready');
  assert.equal(state.backend, 'cpu');
  assert.deepEqual(codes(state), ['notice GPU-NONE']);
  assert.equal(after(...READY, { ...step, launch: 1 }).engine.kind, 'ready', 'progress does not undo readiness');
});

test('a self-test that replaced something is told of', () => {
  const selfTest = { checks: 9, largestError: 0.1, replaced: failure('GPU-KERNELS') };
  const state = after(launched(1), { kind: 'engine-started', launch: 1, backend: 'webgpu', whyCpu: null, selfTest });
  assert.deepEqual(codes(state), ['notice GPU-KERNELS']);
  assert.equal(state.selfTest, selfTest);
});

test('what an earlier engine still says changes nothing', () => {
  const state = after(...READY, launched(2, 'model'));
  for (const event of [loaded(1), { kind: 'launch-failed', launch: 1, failure: failure('X') }, { kind: 'crashed', launch: 1, failure: failure('X') }]) {
    assert.equal(transition(state, event), state, event.kind);
  }
  assert.equal(transition(state, { kind: 'engine-step', launch: 1, step: { stage: 'weights', fraction: 1 } }), state);
  assert.equal(transition(state, { kind: 'engine-started', launch: 1, backend: 'webgpu', whyCpu: null, selfTest: null }), state);
  assert.equal(state.model, null, 'the model that was replaced does not come back');
  assert.equal(transition(state, loaded(2)).engine.kind, 'ready');
});

test('a model that fails leaves the page usable for looking, and offers another try', () => {
  const state = after(launched(1), ...open(1), { kind: 'launch-failed', launch: 1, failure: failure('WEIGHTS-HASH') });
  assert.equal(stageOf(state).stage, 'failed');
  assert.equal(canSegment(state), false);
  assert.ok(state.open);
  assert.deepEqual(codes(state), ['error WEIGHTS-HASH']);
  const again = freeze(transition(state, launched(2, 'retry')));
  assert.equal(again.engine.kind, 'starting');
  assert.equal(canSegment(transition(again, loaded(2))), true);
});

test('a crash while segmenting is a restart, and afterwards everything is as it was', () => {
  const run1 = [run(2), answered(2, FIRST, [reply(0)]), told(1, doc(2, [segment(10)])), ended(2)];
  const hidden = { kind: 'segment-shown', segment: 10, visible: false };
  const before = after(...READY, ...open(1), { kind: 'prompts-typed', prompts: 'lungs, heart' }, ...run1, hidden, { kind: 'place-chosen', place: place(5) }, run(3));
  const crashed = freeze(transition(before, { kind: 'crashed', launch: 1, failure: failure('ENGINE-CRASHED') }));
  assert.equal(stageOf(crashed).stage, 'restarting');
  for (const may of [canSegment, canCancel, canEdit, canUndo, canExport]) assert.equal(may(crashed), false, 'no button that does nothing');
  assert.equal(wantedMasks(crashed), null, 'masks are not asked of an engine that is not there');
  assert.deepEqual(codes(crashed), ['error ENGINE-CRASHED']);
  // The run's own end comes after the crash, and is not told twice.
  assert.equal(transition(crashed, ended(3, failure('ENGINE-CRASHED'))), crashed);
  const restarting = freeze(transition(crashed, launched(2, 'crash')));
  assert.equal(stageOf(restarting).stage, 'restarting');
  const verify = transition(restarting, { kind: 'engine-step', launch: 2, step: { stage: 'verify', fraction: 0.2 } });
  assert.deepEqual(stageOf(verify), { stage: 'restarting', fraction: 0.2, detail: 'verify' });
  // The engine has the segment under another id now.
  const restored = freeze(transition(restarting, { kind: 'document-restored', ticket: 1, document: doc(1, [segment(1)]), ids: new Map([[10, 1]]) }));
  assert.deepEqual([said(restored, FIRST), [...restored.open.hidden], restored.open.document.version], [[1], [1], 1]);
  assert.equal(transition(restarting, { kind: 'document-restored', ticket: 9, document: doc(1), ids: new Map() }), restarting);
  const back = transition(restored, loaded(2));
  assert.equal(canSegment(back), true);
  assert.deepEqual([back.open.place, back.prompts, wantedMasks(back)], [place(5), 'lungs, heart', '5/0']);
});

test('a run that had to be ended with its worker restarts without a message', () => {
  const state = after(...READY, ...open(1), run(2), { kind: 'cancel-asked' }, launched(2, 'cancel'));
  assert.equal(stageOf(state).stage, 'restarting');
  assert.deepEqual(codes(state), []);
  assert.equal(state.model, model);
});

test('another model leaves the series and its segments', () => {
  const state = after(...READY, ...open(1), told(1, doc(2, [segment(10)])), launched(2, 'model'));
  assert.deepEqual([stageOf(state).stage, state.model, state.open.document.segments.length], ['starting', null, 1]);
});

test('files are sorted into series, and the first is opened', () => {
  const asked = after(...READY, { kind: 'open-asked', ticket: 1 });
  assert.equal(stageOf(asked).stage, 'decode');
  assert.equal(canSegment(asked), false);
  const listing = { series: [info], segmentations: [], others: 0, failures: [], skipped: 2, files: 3 };
  const thumbnail = { width: 1, height: 1, pixels: new Uint8ClampedArray(4) };
  const state = after(...READY, ...open(1), { kind: 'open-asked', ticket: 2 }, { kind: 'listed', ticket: 2, info: listing, faults: new Map() });
  assert.deepEqual([state.listing.info.skipped, state.open], [2, null], 'nothing of the old files is in view');
  assert.equal(transition(state, { kind: 'listed', ticket: 1, info: listing, faults: new Map() }), state, 'an older list');
  assert.equal(transition(state, { kind: 'thumbnail-made', ticket: 1, series: 0, thumbnail }), state);
  assert.equal(transition(state, { kind: 'thumbnail-made', ticket: 2, series: 0, thumbnail }).listing.thumbnails.get(0), thumbnail);
});

test('a series is opened in its middle, with its window', () => {
  const state = after(...READY, ...open(1));
  assert.deepEqual([state.open.place, state.open.window, state.work.kind, state.scope.last], [FIRST, series.window, 'idle', 8]);
  assert.equal(canSegment(state), true);
});

test('opening waits while the engine is not there', () => {
  const state = after({ kind: 'open-asked', ticket: 1 }, launched(1), launched(2, 'crash'));
  assert.deepEqual([state.work.kind, state.work.ticket], ['opening', 1]);
  assert.equal(stageOf(state).stage, 'restarting');
});

test('a picture that does not open leaves what was open, and earlier errors go when one does', () => {
  const bad = [{ kind: 'open-asked', ticket: 2 }, { kind: 'open-ended', ticket: 2, failure: failure('IMAGE-UNKNOWN') }];
  const state = after(...READY, ...open(1), ...bad);
  assert.deepEqual([state.open.ticket, codes(state).join()], [1, 'error IMAGE-UNKNOWN']);
  assert.deepEqual(codes(after(...READY, ...bad, ...open(3))), []);
});

test('a picture that was asked for earlier never takes the place of a later one', () => {
  const state = after(...READY, ...open(2));
  assert.equal(transition(state, opened(1)), state);
  // What the engine did open is shown while the next one is on its way.
  const between = after(...READY, { kind: 'open-asked', ticket: 1 }, { kind: 'open-asked', ticket: 2 }, opened(1));
  assert.deepEqual([between.open.ticket, between.work.kind, between.work.ticket], [1, 'opening', 2]);
  assert.equal(transition(between, { kind: 'open-ended', ticket: 1, failure: null }), between);
});

test('a sample suggests prompts, and replaces its own suggestion alone', () => {
  const first = open(1, { sample: sample('lungs') });
  assert.equal(after(...READY, ...first).prompts, 'lungs');
  assert.equal(after(...READY, ...first, ...open(2, { sample: sample('optic disc') })).prompts, 'optic disc');
  const typed = { kind: 'prompts-typed', prompts: 'heart' };
  assert.equal(after(...READY, ...first, typed, ...open(2, { sample: sample('optic disc') })).prompts, 'heart');
  assert.equal(after(...READY, ...first).sample, 's');
  assert.equal(after(...READY, ...first, ...open(2)).sample, null);
});

test('a run answers for the pictures it is over, whichever is in view', () => {
  const state = after(...READY, ...open(1), run(2), { kind: 'place-chosen', place: place(0) }, answered(2, FIRST, [reply(0), reply(1)]));
  assert.deepEqual([said(state, FIRST), said(state, place(0)), state.work.kind], [[10, 11], [], 'running']);
  assert.deepEqual(state.work.pace, { done: 1, total: 9, secondsLeft: 8 });
  const gone = transition(state, answered(2, place(1), [reply(0, { segment: null })]));
  assert.deepEqual(said(gone, place(1)), [], 'its segment was deleted meanwhile');
});

test('masks of a run go beside those that are known, and never stand for all where they are not', () => {
  const unknown = after(...READY, ...open(1), run(2), answered(2, FIRST, [reply(0)]));
  assert.equal(wantedMasks(unknown), '4/0', 'other segments may have masks here');
  const state = after(...READY, ...open(1), known(1, FIRST, [7]), run(2), answered(2, FIRST, [reply(0)]));
  assert.deepEqual([[...masksInView(state).keys()], masksInView(state).get(10).pixels, wantedMasks(state)], [[7, 10], 3, null]);
  const leftAlone = transition(state, answered(2, FIRST, [reply(1, { leftAlone: true })]));
  assert.deepEqual([...masksInView(leftAlone).keys()], [7, 10], 'what a person changed stays');
});

test('a run says how far it is, pauses, ends, fails, or is cancelled', () => {
  const running = after(...READY, ...open(1), run(2));
  assert.equal(canCancel(running), true);
  assert.deepEqual(stageOf(transition(running, { kind: 'work-step', ticket: 2, step: { stage: 'prompt', fraction: 0.7 } })), { stage: 'prompt', fraction: 0.7 });
  assert.equal(transition(running, { kind: 'work-step', ticket: 1, step: { stage: 'prompt', fraction: 0.7 } }), running);
  const paused = freeze(transition(running, { kind: 'run-paused', ticket: 2, paused: true }));
  assert.deepEqual([stageOf(paused).stage, canCancel(paused), stageOf(transition(paused, { kind: 'run-paused', ticket: 2, paused: false })).stage], ['paused', true, 'image']);
  assert.equal(transition(running, { kind: 'run-paused', ticket: 1, paused: true }), running);
  assert.equal(stageOf(transition(running, ended(2))).stage, 'ready');
  assert.deepEqual(codes(transition(running, ended(2, failure('PROMPT-EMPTY')))), ['error PROMPT-EMPTY']);
  const cancelling = freeze(transition(running, { kind: 'cancel-asked' }));
  assert.deepEqual([stageOf(cancelling).stage, canCancel(cancelling), canSegment(cancelling)], ['cancelling', false, false]);
  assert.equal(transition(cancelling, { kind: 'cancel-asked' }), cancelling);
  assert.equal(transition(cancelling, { kind: 'work-step', ticket: 2, step: { stage: 'image', fraction: 1 } }), cancelling);
  assert.deepEqual(said(transition(cancelling, answered(2, FIRST, [reply(0)])), FIRST), [10], 'what was found before it stopped is kept');
  assert.equal(transition(cancelling, ended(2)).work.kind, 'idle');
});

test('a run is asked for only when it can be', () => {
  for (const state of [after(...READY), after(launched(1), ...open(1)), after(...READY, ...open(1), run(2)), after(...READY, ...open(1), { kind: 'open-asked', ticket: 2 })]) {
    assert.equal(transition(state, run(9)), state);
  }
});

test('answers of a run that is over change nothing, nor of one whose series went', () => {
  const over = after(...READY, ...open(1), run(2), ended(2));
  assert.equal(transition(over, answered(2, FIRST, [reply(0)])), over);
  assert.equal(transition(over, ended(2, failure('X'))), over);
  const replaced = after(...READY, ...open(1), run(2), { kind: 'open-asked', ticket: 3 }, opened(3));
  for (const late of [answered(2, FIRST, [reply(0)]), told(1, doc(5)), known(1, FIRST, [1]), drawn(1, FIRST)]) assert.equal(transition(replaced, late), replaced, late.kind);
});

test('pictures and the window are looked at while a run goes on', () => {
  const state = after(...READY, ...open(1), run(2), { kind: 'place-chosen', place: place(2, 1) }, { kind: 'window-chosen', window: { center: 1, width: 2 } });
  assert.deepEqual([state.open.place, state.open.window.width, state.work.kind], [place(2, 1), 2, 'running']);
  for (const where of [place(-1), place(9), place(0.5), place(NaN), place(0, 2), place(2, 1)]) assert.equal(transition(state, { kind: 'place-chosen', place: where }), state, JSON.stringify(where));
  assert.equal(transition(initial, { kind: 'place-chosen', place: FIRST }), initial);
});

test('a picture that cannot be drawn is said, and nothing is segmented in its place', () => {
  const state = after(...READY, ...open(1), drawn(1, FIRST, failure('DICOM-FRAME-DAMAGED')));
  assert.deepEqual([canSegment(state), codes(state).join()], [false, 'error DICOM-FRAME-DAMAGED']);
  const next = freeze(transition(state, { kind: 'place-chosen', place: place(5) }));
  assert.equal(transition(next, drawn(1, FIRST, failure('X'))), next, 'a picture that was left');
  const shown = transition(next, drawn(1, place(5)));
  assert.deepEqual([canSegment(shown), shown.open.drawn.columns], [true, 4]);
});

test('the document: newer ones alone, and masks that changed are asked for again', () => {
  const state = after(...READY, ...open(1), known(1, FIRST, [10]), told(1, doc(3, [segment(10)], { undo: { what: 'run', name: null } })));
  assert.deepEqual([canUndo(state), canRedo(state), canExport(state)], [true, false, true]);
  assert.equal(transition(state, told(1, doc(2))), state, 'an older document');
  assert.equal(wantedMasks(state), null);
  const undone = freeze(transition(state, told(1, doc(4, [], { redo: { what: 'run', name: null }, changed: [{ segment: 10, slice: 4, frame: 0 }] }))));
  assert.deepEqual([canUndo(undone), canRedo(undone), canExport(undone), wantedMasks(undone)], [false, true, false, '4/0']);
  assert.equal(wantedMasks(transition(undone, known(1, FIRST, []))), null);
});

test('masks of the pictures that were looked at last are kept', () => {
  const many = { ...series, info: { ...info, slices: 100 } };
  const looks = Array.from({ length: 100 }, (_, slice) => known(1, place(slice), []));
  const state = after(...READY, ...open(1, { series: many }), ...looks);
  assert.deepEqual([state.open.masks.size, state.open.masks.has('99/0'), state.open.masks.has('0/0')], [64, true, false]);
});

test('masks are hidden and shown, one and all', () => {
  const state = after(...READY, ...open(1));
  const hide = (segment, visible) => ({ kind: 'segment-shown', segment, visible });
  assert.deepEqual([...transition(state, hide(3, false)).open.hidden], [3]);
  assert.deepEqual([...[hide(3, false), hide(4, false), hide(3, true)].reduce(transition, state).open.hidden], [4]);
  const hidden = freeze(transition(state, { kind: 'masks-hidden', hidden: true }));
  assert.equal(transition(hidden, run(3)).masksHidden, false, 'a new run is seen');
  assert.equal(transition(initial, hide(0, true)), initial);
  assert.deepEqual([2, -1, 0.3].map((opacity) => transition(initial, { kind: 'opacity-chosen', opacity }).opacity), [1, 0, 0.3]);
});

test('the scope stays within the series, its ends in order', () => {
  const state = after(...READY, ...open(1), { kind: 'scope-chosen', scope: { kind: 'range' } });
  const ends = (...scopes) => {
    const { first, last } = scopes.reduce((before, scope) => transition(before, { kind: 'scope-chosen', scope }), state).scope;
    return [first, last];
  };
  assert.deepEqual(ends({ first: 3 }), [3, 8]);
  assert.deepEqual(ends({ last: 5 }, { first: 7 }), [7, 7]);
  assert.deepEqual(ends({ first: 5 }, { last: 2 }), [2, 2]);
  assert.deepEqual(ends({ first: -4, last: 99 }), [0, 8]);
  assert.deepEqual(ends({ first: NaN }), [0, 8]);
  const cine = { ...series, info: { ...info, slices: 1, frames: 20 } };
  assert.equal(after(...READY, ...open(1, { series: cine })).scope.last, 19, 'of a cine the frames are what slices are of a volume');
  assert.deepEqual([transition(state, { kind: 'confidence-chosen', confidence: 0.4 }).confidence, transition(state, { kind: 'mask-threshold-chosen', maskThreshold: 0.6 }).maskThreshold], [0.4, 0.6]);
});

test('an export goes on its own, and says what was refused', () => {
  const state = after(...READY, ...open(1), told(1, doc(2, [segment(10)])), { kind: 'export-changed', exporting: { isOpen: true, formats: ['nifti'] } }, { kind: 'export-asked', ticket: 5 });
  assert.deepEqual([stageOf(state).stage, canSegment(state), canExport(state), state.exporting.formats], ['exporting', false, false, ['nifti']]);
  const end = { kind: 'export-ended', ticket: 5, refused: [{ format: 'nifti', failure: failure('SERIES-NO-VOLUME') }], saved: 0, failure: null };
  assert.equal(transition(state, { ...end, ticket: 4 }), state);
  const done = freeze(transition(state, end));
  assert.deepEqual([done.work.kind, done.exporting.refused.length, codes(done).length], ['idle', 1, 0]);
  assert.deepEqual(codes(transition(state, { ...end, failure: failure('X') })), ['error X']);
  const running = after(...READY, ...open(1), run(2));
  assert.equal(transition(running, { kind: 'export-asked', ticket: 6 }), running);
});

test('there is one error, each notice once, and each can be dismissed', () => {
  const state = after({ kind: 'noticed', failure: failure('N') }, { kind: 'failed', failure: failure('A') }, { kind: 'failed', failure: failure('B') }, { kind: 'noticed', failure: failure('N') });
  assert.deepEqual(codes(state), ['error B', 'notice N']);
  assert.deepEqual(codes(transition(state, { kind: 'dismissed', code: 'B' })), ['notice N']);
  assert.deepEqual(codes(transition(state, { kind: 'errors-cleared' })), ['notice N']);
  assert.deepEqual(codes(after(...READY, ...open(1), run(2), answered(2, FIRST, [reply(0, { answer: { ...reply(0).answer, cut: failure('PROMPT-CUT') } })]))), ['notice PROMPT-CUT']);
});

test('the rest of the page', () => {
  const samples = [{ id: 's', title: 'S' }];
  const cache = { budgetMib: 1, usedMib: 2, slices: 3 };
  const transfer = { model: null, presentBytes: null, totalBytes: 0, bytesPerSecond: null, secondsLeft: null };
  const state = after(
    { kind: 'samples-listed', samples },
    { kind: 'cache-told', cache },
    { kind: 'models-changed', models: { inUse: 'x' } },
    { kind: 'transfer-advanced', transfer },
    { kind: 'help-shown', open: true },
    { kind: 'single-keys-chosen', on: false },
  );
  assert.deepEqual([state.samples, state.cache, state.models.inUse, state.models.transfer, state.helpOpen, state.singleKeys], [samples, cache, 'x', transfer, true, false]);
  assert.equal(transition(initial, { kind: 'window-chosen', window: { center: 0, width: 1 } }), initial);
});

// Every transition of the page's state, without a browser.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

const load = async (path) => (await runnerImport(fileURLToPath(new URL(`../src/${path}`, import.meta.url)))).module;
const [{ transition }, { initial }, { canCancel, canSegment, maskedInView, resultsInView, stageOf }] = await Promise.all(
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
const picture = { width: 4, height: 2, frames: 3, pixels: 'gray', format: 'DICOM', modality: 'MR', spacingMm: null, window: { center: 10, width: 20 }, inverted: false, notes: [] };
const shown = (index, prompt = 'lungs', cut = null) => ({ answer: { index, prompt, cut, unknown: null, presence: 1, instances: [], bestScore: 1, areaPx: 1, areaMm2: null, regions: 1 }, mask: new Uint8Array(8), visible: true });
const sample = (prompts) => ({ id: 's', attribution: 'a', licence: 'l', source: 's', prompts });

const launched = (launch, why = 'start') => ({ kind: 'launched', launch, why });
const loaded = (launch) => ({ kind: 'model-loaded', launch, model });
const READY = [launched(1), loaded(1)];
const opened = (ticket, more = {}) => ({ kind: 'opened', ticket, picture, sample: null, ...more });
const open = (ticket, more) => [{ kind: 'open-asked', ticket }, opened(ticket, more), { kind: 'open-ended', ticket, failure: null }];
const run = (ticket) => ({ kind: 'run-asked', ticket });
const answered = (ticket, one) => ({ kind: 'prompt-answered', ticket, shown: one });
const ended = (ticket, why = null) => ({ kind: 'run-ended', ticket, failure: why });
const codes = (state) => state.alerts.map((alert) => `${alert.kind} ${alert.failure.code}`);
const prompts = (state, frame = state.open.frame) => (state.open.results.get(frame) ?? []).map((one) => one.answer.prompt);

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
  const before = after(...READY, ...open(1), { kind: 'prompts-typed', prompts: 'lungs, heart' }, run(2), answered(2, shown(0)), ended(2), { kind: 'frame-chosen', frame: 1 }, run(3));
  const crashed = freeze(transition(before, { kind: 'crashed', launch: 1, failure: failure('ENGINE-CRASHED') }));
  assert.equal(stageOf(crashed).stage, 'restarting');
  assert.equal(canSegment(crashed), false, 'no button that does nothing');
  assert.equal(canCancel(crashed), false);
  assert.deepEqual(codes(crashed), ['error ENGINE-CRASHED']);
  // The run's own end comes after the crash, and is not told twice.
  assert.equal(transition(crashed, ended(3, failure('ENGINE-CRASHED'))), crashed);
  const restarting = freeze(transition(crashed, launched(2, 'crash')));
  assert.equal(stageOf(restarting).stage, 'restarting');
  const verify = transition(restarting, { kind: 'engine-step', launch: 2, step: { stage: 'verify', fraction: 0.2 } });
  assert.deepEqual(stageOf(verify), { stage: 'restarting', fraction: 0.2, detail: 'verify' });
  const back = transition(restarting, loaded(2));
  assert.equal(canSegment(back), true);
  assert.deepEqual([back.open, back.prompts, prompts(back, 0)], [before.open, 'lungs, heart', ['lungs']]);
});

test('a run that had to be ended with its worker restarts without a message', () => {
  const state = after(...READY, ...open(1), run(2), { kind: 'cancel-asked' }, launched(2, 'cancel'));
  assert.equal(stageOf(state).stage, 'restarting');
  assert.deepEqual(codes(state), []);
  assert.equal(state.model, model);
});

test('another model takes the old one\'s results away and nothing else', () => {
  const state = after(...READY, ...open(1), run(2), answered(2, shown(0)), ended(2), launched(2, 'model'));
  assert.deepEqual([stageOf(state).stage, state.model, state.open.results.size], ['starting', null, 0]);
  assert.equal(state.open.picture, picture);
});

test('a picture is opened', () => {
  const asked = after(...READY, { kind: 'open-asked', ticket: 1 });
  assert.equal(stageOf(asked).stage, 'decode');
  assert.equal(canSegment(asked), false);
  const state = after(...READY, ...open(1));
  assert.deepEqual([state.open.frame, state.open.window, state.work.kind], [0, picture.window, 'idle']);
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

test('several files: the place follows what was asked for, and says what could not be opened', () => {
  const queued = { kind: 'queued', count: 20, at: 0 };
  const asked = { kind: 'open-asked', ticket: 2 };
  const state = after(...READY, ...open(1), asked, queued, { kind: 'open-ended', ticket: 2, failure: failure('X') });
  assert.deepEqual(state.queue, { count: 20, at: 0, failed: true });
  assert.deepEqual(after(queued, { ...queued, at: 1 }).queue, { count: 20, at: 1, failed: false });
  assert.equal(after({ ...queued, count: 1 }).queue, null);
  assert.equal(after(...READY, queued, ...open(1, { sample: sample('lungs') })).queue, null, 'a sample is not one of the files');
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

test('a run answers for the frame it was asked for', () => {
  const state = after(...READY, ...open(1), run(2), { kind: 'frame-chosen', frame: 2 }, answered(2, shown(0)), answered(2, shown(1, 'heart')));
  assert.deepEqual([prompts(state, 0), prompts(state, 2), state.work.kind], [['lungs', 'heart'], [], 'running']);
  assert.deepEqual(resultsInView(state), []);
  const again = after(...READY, ...open(1), run(2), answered(2, shown(0)), answered(2, shown(1, 'heart')), ended(2), run(3), answered(3, shown(0, 'liver')));
  assert.deepEqual(prompts(again), ['liver'], 'a new run takes the place of the old one');
});

test('a run says how far it is, ends, fails, or is cancelled', () => {
  const running = after(...READY, ...open(1), run(2));
  assert.equal(canCancel(running), true);
  assert.deepEqual(stageOf(transition(running, { kind: 'work-step', ticket: 2, step: { stage: 'prompt', fraction: 0.7 } })), { stage: 'prompt', fraction: 0.7 });
  assert.equal(transition(running, { kind: 'work-step', ticket: 1, step: { stage: 'prompt', fraction: 0.7 } }), running);
  assert.equal(stageOf(transition(running, ended(2))).stage, 'ready');
  assert.deepEqual(codes(transition(running, ended(2, failure('PROMPT-EMPTY')))), ['error PROMPT-EMPTY']);
  const cancelling = freeze(transition(running, { kind: 'cancel-asked' }));
  assert.deepEqual([stageOf(cancelling).stage, canCancel(cancelling), canSegment(cancelling)], ['cancelling', false, false]);
  assert.equal(transition(cancelling, { kind: 'cancel-asked' }), cancelling);
  assert.equal(transition(cancelling, { kind: 'work-step', ticket: 2, step: { stage: 'image', fraction: 1 } }), cancelling);
  assert.deepEqual(prompts(transition(cancelling, answered(2, shown(0)))), ['lungs'], 'what was found before it stopped is kept');
  assert.equal(transition(cancelling, ended(2)).work.kind, 'idle');
});

test('a run is asked for only when it can be', () => {
  for (const state of [after(...READY), after(launched(1), ...open(1)), after(...READY, ...open(1), run(2)), after(...READY, ...open(1), { kind: 'open-asked', ticket: 2 })]) {
    assert.equal(transition(state, run(9)), state);
  }
});

test('answers of a run that is over change nothing, nor of one whose picture went', () => {
  const over = after(...READY, ...open(1), run(2), ended(2));
  assert.equal(transition(over, answered(2, shown(0))), over);
  assert.equal(transition(over, ended(2, failure('X'))), over);
  const replaced = after(...READY, ...open(1), run(2), { kind: 'open-asked', ticket: 3 }, opened(3));
  assert.equal(transition(replaced, answered(2, shown(0))), replaced);
});

test('frames and the window are looked at while a run goes on', () => {
  const state = after(...READY, ...open(1), run(2), { kind: 'frame-chosen', frame: 2 }, { kind: 'window-chosen', window: { center: 1, width: 2 } });
  assert.deepEqual([state.open.frame, state.open.window.width, state.work.kind, state.work.frame], [2, 2, 'running', 0]);
  for (const frame of [-1, 3, 0.5, NaN, 2]) assert.equal(transition(state, { kind: 'frame-chosen', frame }), state, String(frame));
  assert.equal(transition(initial, { kind: 'frame-chosen', frame: 0 }), initial);
});

test('a frame that cannot be drawn is said, and nothing is segmented in its place', () => {
  const state = after(...READY, ...open(1), { kind: 'frame-drawn', ticket: 1, frame: 0, failure: failure('DICOM-FRAME-DAMAGED') });
  assert.deepEqual([canSegment(state), codes(state).join()], [false, 'error DICOM-FRAME-DAMAGED']);
  const next = freeze(transition(state, { kind: 'frame-chosen', frame: 1 }));
  assert.equal(transition(next, { kind: 'frame-drawn', ticket: 1, frame: 0, failure: failure('X') }), next, 'of a frame that was left');
  assert.equal(transition(next, { kind: 'frame-drawn', ticket: 7, frame: 1, failure: failure('X') }), next, 'of another picture');
  assert.equal(canSegment(transition(next, { kind: 'frame-drawn', ticket: 1, frame: 1, failure: null })), true);
});

test('masks are hidden and shown, one and all', () => {
  const state = after(...READY, ...open(1), run(2), answered(2, shown(0)), answered(2, shown(1, 'heart')), ended(2));
  const one = transition(state, { kind: 'mask-shown', index: 1, visible: false });
  assert.deepEqual(resultsInView(one).map(({ visible }) => visible), [true, false]);
  const hidden = freeze(transition(state, { kind: 'masks-hidden', hidden: true }));
  assert.deepEqual([maskedInView(hidden).length, resultsInView(hidden).length], [0, 2]);
  assert.equal(transition(hidden, run(3)).masksHidden, false, 'a new run is seen');
  assert.equal(transition(initial, { kind: 'mask-shown', index: 0, visible: true }), initial);
  assert.deepEqual([2, -1, 0.3].map((opacity) => transition(initial, { kind: 'opacity-chosen', opacity }).opacity), [1, 0, 0.3]);
});

test('there is one error, each notice once, and each can be dismissed', () => {
  const state = after({ kind: 'noticed', failure: failure('N') }, { kind: 'failed', failure: failure('A') }, { kind: 'failed', failure: failure('B') }, { kind: 'noticed', failure: failure('N') });
  assert.deepEqual(codes(state), ['error B', 'notice N']);
  assert.deepEqual(codes(transition(state, { kind: 'dismissed', code: 'B' })), ['notice N']);
  assert.deepEqual(codes(transition(state, { kind: 'errors-cleared' })), ['notice N']);
  assert.deepEqual(codes(after(...READY, ...open(1), run(2), answered(2, shown(0, 'long', failure('PROMPT-CUT'))))), ['notice PROMPT-CUT']);
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

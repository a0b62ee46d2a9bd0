// What to find and where: the prompt field, the scope, the thresholds, "Segment", "Pause" and "Cancel", and how far a run is.
import type { JSX } from 'preact';
import { shortcut } from '../actions/table';
import { dispatch } from '../state/page';
import { canCancel, canSegment, lengthOf } from '../state/select';
import type { ScopeChoice } from '../state/state';
import { timeLeftInWords } from '../store/words';
import { number, words } from '../words/language';
import { useServices } from './context';
import { usePart, valueOf } from './use';

export function FindPanel(): JSX.Element {
  const { controller } = useServices();
  const say = words.value.find;
  const submit = (event: Event): void => {
    event.preventDefault();
    void controller.segment();
  };
  return (
    <section aria-labelledby="prompt-heading">
      <h2 id="prompt-heading">{say.heading}</h2>
      <form id="segment-form" onSubmit={submit}>
        <PromptField />
        <Scope />
        <Thresholds />
        <Buttons />
        <Pace />
      </form>
    </section>
  );
}

function PromptField(): JSX.Element {
  const prompts = usePart((state) => state.prompts);
  const known = usePart((state) => state.model?.prompts);
  const say = words.value.find;
  return (
    <>
      <label class="field" for="prompts">
        {say.prompts}
      </label>
      <input
        id="prompts"
        type="text"
        list="known-prompts"
        autocomplete="off"
        spellcheck
        aria-describedby="prompts-hint"
        aria-keyshortcuts={shortcut('prompts')}
        value={prompts}
        onInput={(event) => dispatch({ kind: 'prompts-typed', prompts: valueOf(event) })}
      />
      <datalist id="known-prompts">
        {known?.map((prompt) => <option key={prompt} value={prompt} />)}
      </datalist>
      <p class="hint" id="prompts-hint">
        {say.hint}
      </p>
    </>
  );
}

/** Only where there is more than one picture to choose from. */
function Scope(): JSX.Element | null {
  const scope = usePart((state) => state.scope);
  const length = usePart(({ open }) => (open ? lengthOf(open.series) : 1));
  if (length < 2) return null;
  const say = words.value.find;
  const choices: [ScopeChoice['kind'], string][] = [
    ['slice', say.thisSlice],
    ['range', say.range],
    ['all', say.allSlices],
  ];
  return (
    <fieldset class="scope" role="radiogroup" aria-label={say.scope}>
      {choices.map(([kind, label]) => (
        <label key={kind}>
          <input type="radio" name="scope" value={kind} checked={scope.kind === kind} onChange={() => dispatch({ kind: 'scope-chosen', scope: { kind } })} />
          {label}
        </label>
      ))}
      {scope.kind === 'range' && (
        <div class="range">
          <End name="first" label={say.from} value={scope.first} length={length} />
          <End name="last" label={say.to} value={scope.last} length={length} />
        </div>
      )}
    </fieldset>
  );
}

/** An end of the range, from 1. */
function End({ name, label, value, length }: { name: 'first' | 'last'; label: string; value: number; length: number }): JSX.Element {
  const choose = (event: Event): void => dispatch({ kind: 'scope-chosen', scope: { [name]: Number(valueOf(event)) - 1 } });
  return (
    <label>
      {label} <input type="number" min="1" max={length} step="1" value={value + 1} onChange={choose} />
    </label>
  );
}

function Thresholds(): JSX.Element {
  const confidence = usePart((state) => state.confidence);
  const maskThreshold = usePart((state) => state.maskThreshold);
  const say = words.value.find;
  return (
    <div class="thresholds">
      <Threshold id="confidence" label={say.confidence} value={confidence} choose={(value) => dispatch({ kind: 'confidence-chosen', confidence: value })} />
      <Threshold id="mask-threshold" label={say.maskThreshold} value={maskThreshold} choose={(value) => dispatch({ kind: 'mask-threshold-chosen', maskThreshold: value })} />
    </div>
  );
}

const MIDDLE = 0.5;

/** A probability that stays the model's own until it is moved. */
function Threshold({ id, label, value, choose }: { id: string; label: string; value: number | null; choose: (value: number | null) => void }): JSX.Element {
  const say = words.value.find;
  const shown = value === null ? say.own : number(value, 2);
  return (
    <div class="threshold">
      <label for={id}>{label}</label>
      <input type="range" id={id} min="0.05" max="0.95" step="0.05" value={value ?? MIDDLE} aria-valuetext={shown} onInput={(event) => choose(Number(valueOf(event)))} />
      <output for={id}>{shown}</output>
      <button type="button" class="small" aria-label={say.reset(label)} hidden={value === null} onClick={() => choose(null)}>
        ×
      </button>
    </div>
  );
}

function Buttons(): JSX.Element {
  const { controller } = useServices();
  const segment = usePart(canSegment);
  const cancel = usePart(canCancel);
  const paused = usePart(({ work }) => work.kind === 'running' && work.paused);
  const say = words.value.find;
  return (
    <div class="actions">
      <button type="submit" class="primary" id="segment" disabled={!segment} aria-keyshortcuts={shortcut('segment')}>
        {say.segment}
      </button>
      <button type="button" id="pause" disabled={!cancel} onClick={() => controller.togglePause()}>
        {paused ? say.resume : say.pause}
      </button>
      <button type="button" id="cancel" disabled={!cancel} aria-keyshortcuts={shortcut('cancel')} onClick={() => void controller.cancel()}>
        {say.cancel}
      </button>
    </div>
  );
}

/** Of a run over more than one picture. */
function Pace(): JSX.Element | null {
  const pace = usePart(({ work }) => (work.kind === 'running' ? work.pace : null));
  if (!pace || pace.total < 2) return null;
  const say = words.value.find;
  const { done, total, secondsLeft } = pace;
  const parts = [say.pace(number(done), number(total)), ...(secondsLeft === null || done === total ? [] : [timeLeftInWords(secondsLeft)])];
  return (
    <div class="pace">
      <progress id="pace" max={total} value={done} aria-label={say.progress} />
      <p class="detail" id="pace-words">
        {parts.join(' · ')}
      </p>
    </div>
  );
}

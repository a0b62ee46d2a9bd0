// What to find: the prompt field, "Segment" and "Cancel".
import type { JSX } from 'preact';
import { shortcut } from '../actions/table';
import { dispatch } from '../state/page';
import { canCancel, canSegment } from '../state/select';
import { words } from '../words/language';
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
        <Buttons />
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

function Buttons(): JSX.Element {
  const { controller } = useServices();
  const segment = usePart(canSegment);
  const cancel = usePart(canCancel);
  const say = words.value.find;
  return (
    <div class="actions">
      <button type="submit" class="primary" id="segment" disabled={!segment} aria-keyshortcuts={shortcut('segment')}>
        {say.segment}
      </button>
      <button type="button" id="cancel" disabled={!cancel} aria-keyshortcuts={shortcut('cancel')} onClick={() => void controller.cancel()}>
        {say.cancel}
      </button>
    </div>
  );
}

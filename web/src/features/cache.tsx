// How much memory the embeddings of slices seen may take, and how much they do: going back to one of them costs no image
// work.
import type { JSX } from 'preact';
import { number, words } from '../words/language';
import { useServices } from './context';
import { usePart, valueOf } from './use';

export function CacheBudget(): JSX.Element {
  const cache = usePart((state) => state.cache);
  const say = words.value.model;
  return (
    <>
      <label class="field" for="cache-budget">
        {say.cache}
      </label>
      <Budget />
      <p class="hint" id="cache-use">
        {cache && say.cacheUse(number(cache.slices), number(cache.usedMib, 1))}
      </p>
    </>
  );
}

/** Drawn again only when the budget changes: not while another one is being typed. */
function Budget(): JSX.Element {
  const { controller } = useServices();
  const budget = usePart((state) => state.cache?.budgetMib);
  const chosen = (event: Event): void => {
    const mib = Math.round(Number(valueOf(event)));
    if (Number.isFinite(mib) && mib >= 0) void controller.setEmbeddingMemory(mib);
  };
  return (
    <input
      id="cache-budget"
      type="number"
      min="0"
      step="32"
      disabled={budget === undefined}
      aria-describedby="cache-use"
      value={budget}
      onFocus={() => void controller.session.askCache()}
      onChange={chosen}
    />
  );
}

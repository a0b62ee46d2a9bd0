// How much memory the embeddings of slices seen may take, and how much they do: going back to one of them costs no image
// work.
import type { CacheInfo } from '../protocol';
import { byId, number } from './dom';

const ui = { budget: byId<HTMLInputElement>('cache-budget'), use: byId('cache-use') };

/** Shows what is kept. */
export function showCache({ budgetMib, usedMib, slices }: CacheInfo): void {
  ui.budget.disabled = false;
  // Not while it is being typed.
  if (document.activeElement !== ui.budget) ui.budget.value = String(budgetMib);
  ui.use.textContent = `${number(slices)} kept, ${number(usedMib, 1)} MiB`;
}

/** Tells `apply` of each budget that the user chooses, and `ask`s for what is kept when the user looks. */
export function offerBudget(apply: (budgetMib: number) => void, ask: () => void): void {
  ui.budget.addEventListener('focus', ask);
  ui.budget.addEventListener('change', () => {
    const budget = Math.round(Number(ui.budget.value));
    if (Number.isFinite(budget) && budget >= 0) apply(budget);
  });
}

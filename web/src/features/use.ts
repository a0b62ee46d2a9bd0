// How views read the state: only the part they need, so that nothing else draws them again.
import { useComputed } from '@preact/signals';
import { page } from '../state/page';
import type { PageState } from '../state/state';

/** A part of the state; the component is drawn again when it changes. Objects must be parts of the state themselves. */
export const usePart = <T,>(select: (state: PageState) => T): T => useComputed(() => select(page.value)).value;

/** The value of the input that an event came from. */
export const valueOf = (event: Event): string => (event.currentTarget as HTMLInputElement).value;

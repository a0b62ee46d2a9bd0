// The state of this page as a signal. `dispatch` is the only way to change it.
import { computed, signal, type ReadonlySignal } from '@preact/signals';
import type { PageEvent } from './event';
import { initial, type PageState } from './state';
import { transition } from './transition';

const state = signal<PageState>(initial);

export const page: ReadonlySignal<PageState> = state;

export function dispatch(event: PageEvent): void {
  state.value = transition(state.peek(), event);
}

/** A part of the state; views that read it follow that part alone. */
export const part = <T>(select: (state: PageState) => T): ReadonlySignal<T> => computed(() => select(state.value));

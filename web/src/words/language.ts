// The language of the page: the browser's, unless one was chosen. Sentences, numbers and failures in it.
import { computed, signal } from '@preact/signals';
import type { Failure } from '../protocol';
import { de } from './de';
import { en, type Catalogue } from './en';
import { failuresInGerman } from './failures.de';

export type Language = 'en' | 'de';

export const catalogues: Record<Language, Catalogue> = { en, de };

/** The first language of the reader's list that the page speaks. */
export function spoken(wanted: readonly string[]): Language {
  const found = wanted.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag): tag is Language => tag in catalogues);
  return found ?? 'en';
}

/** As the reader's browser writes it, such as "en-GB"; the page's own where the two differ. */
const browserTags = (): readonly string[] => (typeof document === 'undefined' ? ['en-US'] : navigator.languages);

export const language = signal<Language>(spoken(browserTags()));

/** The sentences of the language in use; read in a view, the view follows it. */
export const words = computed<Catalogue>(() => catalogues[language.value]);

const locale = computed(() => browserTags().find((tag) => tag.toLowerCase().startsWith(language.value)) ?? language.value);

/** Numbers as the reader's language writes them. */
export const number = (value: number, digits = 0): string =>
  value.toLocaleString(locale.value, { maximumFractionDigits: digits, minimumFractionDigits: digits });

/** A failure in the language in use. `isOriginal` where only the sentence that the engine gave is there, in English. */
export function failureInWords(failure: Failure): Failure & { isOriginal: boolean } {
  const known = language.value === 'de' ? failuresInGerman[failure.code] : undefined;
  // What the plan of a model says is in the page's language already.
  if (!known) return { ...failure, isOriginal: language.value !== 'en' && !/^MODEL-(TOO-LARGE|NEEDS-GPU)$/.test(failure.code) };
  return { code: failure.code, message: known[0], nextStep: known[1], isOriginal: false };
}

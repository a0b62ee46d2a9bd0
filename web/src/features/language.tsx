// The choice of language; without one the browser's counts.
import { effect } from '@preact/signals';
import type { JSX } from 'preact';
import { Remembered } from '../remembered';
import { catalogues, language, words, type Language } from '../words/language';
import { valueOf } from './use';

const remembered = new Remembered();

/** Takes the language chosen at an earlier visit, and keeps the document's in step. */
export function startLanguage(): void {
  const chosen = remembered.language;
  if (chosen !== null && chosen in catalogues) language.value = chosen as Language;
  effect(() => {
    document.documentElement.lang = language.value;
    document.title = words.value.title;
  });
}

export function LanguageChoice(): JSX.Element {
  const choose = (event: Event): void => {
    language.value = valueOf(event) as Language;
    remembered.language = language.value;
  };
  return (
    <select id="language" aria-label={words.value.language} value={language.value} onChange={choose}>
      {Object.entries(catalogues).map(([tag, { name }]) => (
        <option key={tag} value={tag} lang={tag}>
          {name}
        </option>
      ))}
    </select>
  );
}

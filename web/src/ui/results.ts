// The list "Results": one item per prompt with its scores, its area and a box to show or hide its mask.
import { colour } from '../colours';
import type { PictureInfo, PromptAnswer } from '../protocol';
import { byId, element, number } from './dom';

/** An answered prompt as the page keeps it. */
export interface Shown {
  answer: PromptAnswer;
  mask: Uint8Array;
  visible: boolean;
}

const list = byId<HTMLUListElement>('results');
const empty = byId('no-results');

/** Rebuilds the list; `onVisibility` is called after a mask was shown or hidden. */
export function showResults(picture: PictureInfo | undefined, results: Shown[], onVisibility: () => void): void {
  list.replaceChildren(...results.map((shown) => item(picture, shown, onVisibility)));
  empty.hidden = results.length > 0;
}

function item(picture: PictureInfo | undefined, shown: Shown, onVisibility: () => void): HTMLLIElement {
  const { answer } = shown;
  const found = answer.areaPx > 0;
  const paint = colour(answer.index);
  const swatch = element('span', { className: 'swatch', title: paint.name });
  swatch.style.backgroundColor = `rgb(${paint.rgb.join(' ')})`;
  const box = element('input', { type: 'checkbox', checked: shown.visible && found, disabled: !found });
  box.addEventListener('change', () => {
    shown.visible = box.checked;
    onVisibility();
  });
  const made = element(
    'li',
    { className: found ? 'result' : 'result none' },
    element('label', {}, box, swatch, element('span', { className: 'prompt' }, answer.prompt)),
    headline(answer, found),
    element('p', { className: 'detail' }, found ? areas(picture, answer) : missing(answer)),
  );
  for (const warning of [answer.cut, answer.unknown]) {
    if (warning) made.append(element('p', { className: 'detail warn' }, `${warning.message} ${warning.nextStep}`));
  }
  Object.assign(made.dataset, {
    prompt: answer.prompt,
    presence: String(answer.presence),
    instances: String(answer.instances.length),
    score: String(answer.bestScore),
    areaPx: String(answer.areaPx),
    regions: String(answer.regions),
  });
  if (answer.areaMm2 !== null) made.dataset['areaMm2'] = String(answer.areaMm2);
  return made;
}

/** The number that decided: of a semantic mask its presence, of instances the best score. */
function headline(answer: PromptAnswer, found: boolean): HTMLElement {
  return found && isSemantic(answer)
    ? element('span', { className: 'score', title: 'Presence' }, number(answer.presence, 2))
    : element('span', { className: 'score', title: 'Best score' }, number(answer.bestScore, 2));
}

/** A mask without instances comes from the semantic head. */
function isSemantic(answer: PromptAnswer): boolean {
  return answer.instances.length === 0;
}

function areas(picture: PictureInfo | undefined, answer: PromptAnswer): string {
  const count = answer.instances.length;
  const share = picture ? (100 * answer.areaPx) / (picture.width * picture.height) : 0;
  const parts = [
    ...(count > 1 ? [`${number(count)} instances`] : []),
    ...(count === 0 && answer.regions > 1 ? [`${number(answer.regions)} regions`] : []),
    isSemantic(answer)
      ? `presence; best instance ${number(answer.bestScore, 2)}`
      : `presence ${number(answer.presence, 2)}`,
    `${number(answer.areaPx)} px (${number(share, 1)} %)`,
    answer.areaMm2 === null ? 'not calibrated' : `${number(answer.areaMm2, 1)} mm²`,
  ];
  return parts.join(' · ');
}

function missing(answer: PromptAnswer): string {
  return `Nothing found. Best score ${number(answer.bestScore, 2)}, presence ${number(answer.presence, 2)}. Try another wording, frame or window.`;
}

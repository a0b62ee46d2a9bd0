// The list "Results": one item per prompt with its scores, its area and a box to show or hide its mask.
import type { JSX } from 'preact';
import { colour } from '../colours';
import type { PictureInfo, PromptAnswer } from '../protocol';
import { dispatch } from '../state/page';
import { resultsInView } from '../state/select';
import type { Shown } from '../state/state';
import { failureInWords, number, words } from '../words/language';
import { usePart } from './use';

export function Results(): JSX.Element {
  const results = usePart(resultsInView);
  const picture = usePart((state) => state.open?.picture);
  const say = words.value.results;
  return (
    <section aria-labelledby="results-heading" class="results">
      <h2 id="results-heading">{say.heading}</h2>
      <ul id="results" aria-label={say.heading}>
        {results.map((shown) => (
          <Item key={shown.answer.index} shown={shown} picture={picture} />
        ))}
      </ul>
      <p class="hint" id="no-results" hidden={results.length > 0}>
        {say.none}
      </p>
    </section>
  );
}

function Item({ shown, picture }: { shown: Shown; picture: PictureInfo | undefined }): JSX.Element {
  const { answer } = shown;
  const found = answer.areaPx > 0;
  const paint = colour(answer.index);
  const data = {
    'data-prompt': answer.prompt,
    'data-presence': String(answer.presence),
    'data-instances': String(answer.instances.length),
    'data-score': String(answer.bestScore),
    'data-area-px': String(answer.areaPx),
    'data-area-mm2': answer.areaMm2 === null ? undefined : String(answer.areaMm2),
    'data-regions': String(answer.regions),
  };
  return (
    <li class={found ? 'result' : 'result none'} {...data}>
      <label>
        <input
          type="checkbox"
          checked={shown.visible && found}
          disabled={!found}
          onChange={(event) => dispatch({ kind: 'mask-shown', index: answer.index, visible: event.currentTarget.checked })}
        />
        <span class="swatch" title={words.value.colours[paint.name]} style={{ backgroundColor: `rgb(${paint.rgb.join(' ')})` }} />
        <span class="prompt">{answer.prompt}</span>
      </label>
      <Headline answer={answer} found={found} />
      <p class="detail">{found ? areas(picture, answer) : missing(answer)}</p>
      {[answer.cut, answer.unknown].map((warning) => {
        if (!warning) return null;
        const { code, message, nextStep } = failureInWords(warning);
        return <p key={code} class="detail warn">{`${message} ${nextStep}`}</p>;
      })}
    </li>
  );
}

/** The number that decided: of a semantic mask its presence, of instances the best score. */
function Headline({ answer, found }: { answer: PromptAnswer; found: boolean }): JSX.Element {
  const { presence, bestScore } = words.value.results;
  const isPresence = found && isSemantic(answer);
  return (
    <span class="score" title={isPresence ? presence : bestScore}>
      {number(isPresence ? answer.presence : answer.bestScore, 2)}
    </span>
  );
}

/** A mask without instances comes from the semantic head. */
const isSemantic = (answer: PromptAnswer): boolean => answer.instances.length === 0;

function areas(picture: PictureInfo | undefined, answer: PromptAnswer): string {
  const say = words.value.results;
  const count = answer.instances.length;
  const share = picture ? (100 * answer.areaPx) / (picture.width * picture.height) : 0;
  const parts = [
    ...(count > 1 ? [say.instances(number(count))] : []),
    ...(count === 0 && answer.regions > 1 ? [say.regions(number(answer.regions))] : []),
    isSemantic(answer) ? say.semantic(number(answer.bestScore, 2)) : say.presenceIs(number(answer.presence, 2)),
    say.areaPx(number(answer.areaPx), number(share, 1)),
    answer.areaMm2 === null ? words.value.image.notCalibrated : say.areaMm2(number(answer.areaMm2, 1)),
  ];
  return parts.join(' · ');
}

const missing = ({ bestScore, presence }: PromptAnswer): string => words.value.results.missing(number(bestScore, 2), number(presence, 2));

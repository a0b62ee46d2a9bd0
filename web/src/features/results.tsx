// The list "Results": one item per segment with what the model said of the picture in view, its area there, its volume, and
// a box to show or hide its masks.
import type { JSX } from 'preact';
import { shortcut } from '../actions/table';
import type { PromptAnswer, SegmentInfo } from '../protocol';
import { dispatch } from '../state/page';
import { canEdit, canExport, canRedo, canUndo, masksInView } from '../state/select';
import { keyOf, type Mask } from '../state/state';
import { failureInWords, number, words } from '../words/language';
import { useServices } from './context';
import { usePart } from './use';

const NO_SEGMENTS: readonly SegmentInfo[] = [];

export function Results(): JSX.Element {
  const segments = usePart(({ open }) => open?.document.segments ?? NO_SEGMENTS);
  const answers = usePart(({ open }) => open?.answers.get(keyOf(open.place)));
  const masks = usePart(masksInView);
  const hidden = usePart(({ open }) => open?.hidden);
  const say = words.value.results;
  return (
    <section aria-labelledby="results-heading" class="results">
      <h2 id="results-heading">{say.heading}</h2>
      <ul id="results" aria-label={say.heading}>
        {segments.map((segment) => (
          <Item key={segment.id} segment={segment} answer={answers?.get(segment.id)} mask={masks.get(segment.id)} isHidden={hidden?.has(segment.id) ?? false} />
        ))}
      </ul>
      <p class="hint" id="no-results" hidden={segments.length > 0}>
        {say.none}
      </p>
      <History />
    </section>
  );
}

interface Shown {
  segment: SegmentInfo;
  answer: PromptAnswer | undefined;
  mask: Mask | undefined;
}

function Item({ segment, answer, mask, isHidden }: Shown & { isHidden: boolean }): JSX.Element {
  const { controller } = useServices();
  const editable = usePart(canEdit);
  const { id, name, color, volumeMl, slices } = segment;
  const prompt = segment.origin.prompt ?? name;
  const hasMask = segment.voxels > 0 || (mask?.pixels ?? 0) > 0;
  const say = words.value.results;
  const data = {
    'data-prompt': prompt,
    'data-presence': text(answer?.presence),
    'data-instances': text(answer?.instances.length),
    'data-score': text(answer?.bestScore),
    'data-regions': text(answer?.regions),
    'data-area-px': String(mask?.pixels ?? 0),
    'data-area-mm2': text(mask?.areaMm2 ?? undefined),
    'data-slices': String(slices.length),
    'data-volume-ml': text(volumeMl ?? undefined),
  };
  return (
    <li class={hasMask ? 'result' : 'result none'} {...data}>
      <label>
        <input
          type="checkbox"
          checked={!isHidden && hasMask}
          disabled={!hasMask}
          onChange={(event) => dispatch({ kind: 'segment-shown', segment: id, visible: event.currentTarget.checked })}
        />
        <span class="swatch" style={{ backgroundColor: `rgb(${color.join(' ')})` }} />
        <span class="prompt">{name}</span>
      </label>
      <span class="result-end">
        {answer && <Headline answer={answer} />}
        <button type="button" class="small" aria-label={say.deleteOne(name)} disabled={!editable} onClick={() => controller.deleteSegment(id)}>
          ×
        </button>
      </span>
      <InView segment={segment} answer={answer} mask={mask} />
      <Whole segment={segment} />
      {answer && [answer.cut, answer.unknown].map((warning) => warning && <Warning key={warning.code} {...failureInWords(warning)} />)}
    </li>
  );
}

const text = (value: number | undefined): string | undefined => (value === undefined ? undefined : String(value));

const Warning = ({ message, nextStep }: { message: string; nextStep: string }): JSX.Element => <p class="detail warn">{`${message} ${nextStep}`}</p>;

/** The number that decided: of a semantic mask its presence, of instances the best score. */
function Headline({ answer }: { answer: PromptAnswer }): JSX.Element {
  const { presence, bestScore } = words.value.results;
  const isPresence = answer.areaPx > 0 && isSemantic(answer);
  return (
    <span class="score" title={isPresence ? presence : bestScore}>
      {number(isPresence ? answer.presence : answer.bestScore, 2)}
    </span>
  );
}

/** A mask without instances comes from the semantic head. */
const isSemantic = (answer: PromptAnswer): boolean => answer.instances.length === 0;

/** What there is on the picture in view. */
function InView({ answer, mask }: Shown): JSX.Element {
  const drawn = usePart(({ open }) => open?.drawn);
  const say = words.value.results;
  if (!mask || mask.pixels === 0) return <p class="detail">{answer ? say.missing(number(answer.bestScore, 2), number(answer.presence, 2)) : say.notAsked}</p>;
  const share = drawn ? (100 * mask.pixels) / (drawn.columns * drawn.rows) : 0;
  const parts = [
    ...(answer ? said(answer) : []),
    say.areaPx(number(mask.pixels), number(share, 1)),
    mask.areaMm2 === null ? words.value.image.notCalibrated : say.areaMm2(number(mask.areaMm2, 1)),
  ];
  return <p class="detail">{parts.join(' · ')}</p>;
}

function said(answer: PromptAnswer): string[] {
  const say = words.value.results;
  const count = answer.instances.length;
  return [
    ...(count > 1 ? [say.instances(number(count))] : []),
    ...(count === 0 && answer.regions > 1 ? [say.regions(number(answer.regions))] : []),
    isSemantic(answer) ? say.semantic(number(answer.bestScore, 2)) : say.presenceIs(number(answer.presence, 2)),
  ];
}

/** What there is in the whole series, where it is more than one picture. */
function Whole({ segment: { slices, volumeMl } }: { segment: SegmentInfo }): JSX.Element | null {
  const isSeries = usePart(({ open }) => open !== null && open.series.info.slices * open.series.info.frames > 1);
  const say = words.value.results;
  if (!isSeries) return null;
  return <p class="detail">{[say.slices(number(slices.length)), ...(volumeMl === null ? [] : [say.volume(number(volumeMl, 2))])].join(' · ')}</p>;
}

function History(): JSX.Element {
  const { controller } = useServices();
  const undo = usePart(canUndo);
  const redo = usePart(canRedo);
  const exportable = usePart(canExport);
  const say = words.value.results;
  return (
    <div class="actions history">
      <button type="button" id="undo" disabled={!undo} aria-keyshortcuts={shortcut('undo')} onClick={() => void controller.history('undo')}>
        {say.undo}
      </button>
      <button type="button" id="redo" disabled={!redo} aria-keyshortcuts={shortcut('redo')} onClick={() => void controller.history('redo')}>
        {say.redo}
      </button>
      <button type="button" id="export" disabled={!exportable} aria-keyshortcuts={shortcut('export')} onClick={() => controller.showExport(true)}>
        {say.export}
      </button>
    </div>
  );
}

// The list "Series": what was found in the files, with what has to be known of each, and what was not read.
import type { JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { Failure, ListingInfo, SeriesInfo } from '../protocol';
import type { Thumbnail } from '../state/state';
import { failureInWords, number, words } from '../words/language';
import { useServices } from './context';
import { usePart } from './use';

export function SeriesList(): JSX.Element | null {
  const info = usePart((state) => state.listing?.info);
  const thumbnails = usePart((state) => state.listing?.thumbnails);
  const faults = usePart((state) => state.listing?.faults);
  const current = usePart((state) => state.open?.series.info.index);
  if (!info) return null;
  return (
    <>
      <ul id="series" class="series" aria-label={words.value.series.heading}>
        {info.series.map((series) => (
          <Item key={series.index} series={series} thumbnail={thumbnails?.get(series.index)} fault={faults?.get(series.index)} isCurrent={series.index === current} />
        ))}
      </ul>
      <LeftOut info={info} />
    </>
  );
}

function Item({ series, thumbnail, fault, isCurrent }: { series: SeriesInfo; thumbnail: Thumbnail | undefined; fault: Failure | undefined; isCurrent: boolean }): JSX.Element {
  const { controller } = useServices();
  const say = words.value.series;
  const { kind, label, modality, slices, frames, problems } = series;
  const facts = [
    say.kind[kind],
    say.size(number(series.columns), number(series.rows)),
    ...(slices > 1 ? [words.value.image.slices(number(slices))] : []),
    ...(frames > 1 ? [words.value.image.frames(number(frames))] : []),
  ];
  const data = { 'data-kind': kind, 'data-modality': modality ?? '', 'data-slices': String(slices), 'data-problems': problems.join(' ') };
  return (
    <li {...data}>
      <button type="button" class="series-button" aria-current={isCurrent ? 'true' : undefined} onClick={() => controller.openSeries(series.index)}>
        {thumbnail && <Picture thumbnail={thumbnail} />}
        <span class="series-words">
          <strong>{label}</strong>
          <span class="detail">{facts.join(' · ')}</span>
          {problems.length > 0 && <span class="detail warn">{problems.map((code) => say.problem[code] ?? code).join(', ')}</span>}
          {fault && <span class="detail warn">{failureInWords(fault).message}</span>}
          {series.noVolume !== null && <span class="detail">{say.noVolume(reasonOf(series.noVolume))}</span>}
        </span>
      </button>
    </li>
  );
}

function Picture({ thumbnail }: { thumbnail: Thumbnail }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { width, height, pixels } = thumbnail;
  useLayoutEffect(() => {
    canvas.current?.getContext('2d')?.putImageData(new ImageData(pixels, width, height), 0, 0);
  }, [thumbnail]);
  return <canvas class="thumbnail" width={width} height={height} aria-hidden="true" ref={canvas} />;
}

/** What was not opened, counted by its reason: without a word about which files. */
function LeftOut({ info }: { info: ListingInfo }): JSX.Element {
  const say = words.value.series;
  return (
    <div class="hint" id="left-out">
      {info.failures.map(({ count, failure }) => (
        <p key={failure.code} class="warn">
          {say.failures(number(count), failureInWords(failure).message)}
        </p>
      ))}
      {info.skipped > 0 && <p>{say.skipped(number(info.skipped))}</p>}
      {info.others > 0 && <p>{say.others(number(info.others))}</p>}
      {info.segmentations.length > 0 && <p>{say.segmentations(number(info.segmentations.length))}</p>}
    </div>
  );
}

/** The reason as the engine gives it where it has no translation. */
const reasonOf = (why: string): string => words.value.series.reason[why] ?? why;

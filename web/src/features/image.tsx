// Opening: files, drops, sample cases, and what is known of the picture in view.
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { shortcut } from '../actions/table';
import { number, words } from '../words/language';
import { useServices } from './context';
import { usePart, valueOf } from './use';

export function ImagePanel(): JSX.Element {
  return (
    <section aria-labelledby="image-heading">
      <h2 id="image-heading">{words.value.image.heading}</h2>
      <Opener />
      <Samples />
      <QueueButtons />
      <Facts />
    </section>
  );
}

function Opener(): JSX.Element {
  const { controller } = useServices();
  const box = useRef<HTMLDivElement>(null);
  const say = words.value.image;
  useEffect(() => listenToDrops((over) => box.current?.classList.toggle('over', over), (files) => controller.openFiles(files)), [controller]);
  const chosen = (event: Event): void => {
    const input = event.currentTarget as HTMLInputElement;
    controller.openFiles([...(input.files ?? [])]);
    // The same file may be chosen again.
    input.value = '';
  };
  return (
    <div class="drop" id="drop" ref={box}>
      <input type="file" id="files" class="visually-hidden" multiple aria-label={say.openLabel} aria-keyshortcuts={shortcut('openFiles')} onChange={chosen} />
      <label for="files" class="button">
        {say.open}
      </label>
      <p class="hint">{say.dropHint}</p>
    </div>
  );
}

/** Files may be dropped anywhere on the page. Returns what stops listening. */
function listenToDrops(onOver: (over: boolean) => void, onFiles: (files: File[]) => void): () => void {
  const listening = new AbortController();
  const { signal } = listening;
  document.addEventListener(
    'dragover',
    (event) => {
      event.preventDefault();
      onOver(true);
    },
    { signal },
  );
  document.addEventListener('dragleave', (event) => event.relatedTarget || onOver(false), { signal });
  document.addEventListener(
    'drop',
    (event) => {
      event.preventDefault();
      onOver(false);
      onFiles([...(event.dataTransfer?.files ?? [])]);
    },
    { signal },
  );
  return () => listening.abort();
}

function Samples(): JSX.Element {
  const { controller } = useServices();
  const samples = usePart((state) => state.samples);
  const sample = usePart((state) => state.sample);
  const say = words.value.image;
  return (
    <>
      <label class="field" for="samples">
        {say.samples}
      </label>
      <select id="samples" disabled={samples.length === 0} value={sample ?? ''} onChange={(event) => controller.openSample(valueOf(event))}>
        <option value="">{say.chooseSample}</option>
        {samples.map(({ id, title }) => (
          <option key={id} value={id}>
            {title}
          </option>
        ))}
      </select>
    </>
  );
}

function QueueButtons(): JSX.Element | null {
  const { controller } = useServices();
  const queue = usePart((state) => state.queue);
  if (!queue) return null;
  const say = words.value.image;
  const position = queue.failed ? say.positionFailed : say.position;
  return (
    <div class="queue" id="queue">
      <button type="button" id="previous-image" aria-label={say.previous} aria-keyshortcuts={shortcut('previousImage')} onClick={() => controller.stepQueue(-1)}>
        ‹
      </button>
      <span id="queue-position">{position(number(queue.at + 1), number(queue.count))}</span>
      <button type="button" id="next-image" aria-label={say.next} aria-keyshortcuts={shortcut('nextImage')} onClick={() => controller.stepQueue(1)}>
        ›
      </button>
    </div>
  );
}

function Facts(): JSX.Element {
  const picture = usePart((state) => state.open?.picture);
  const sample = usePart((state) => state.open?.sample);
  const say = words.value.image;
  const spacing = picture?.spacingMm;
  const facts = picture && [
    [picture.format, picture.modality].filter(Boolean).join(' '),
    `${number(picture.width)} × ${number(picture.height)}`,
    ...(picture.frames > 1 ? [say.frames(number(picture.frames))] : []),
    spacing ? `${number(spacing[1], 3)} × ${number(spacing[0], 3)} mm` : say.notCalibrated,
  ];
  return (
    <>
      <p class="facts" id="facts">
        {facts?.join(' · ')}
      </p>
      <p class="facts" id="notes" hidden={!picture?.notes.length}>
        {picture?.notes.join(' ')}
      </p>
      <p class="attribution" id="attribution" hidden={!sample}>
        {sample && [sample.attribution, say.licence(sample.licence), sample.source].join(' · ')}
      </p>
    </>
  );
}

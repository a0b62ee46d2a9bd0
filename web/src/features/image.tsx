// Opening: files, folders, drops and sample cases, and what is known of the series in view.
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { shortcut } from '../actions/table';
import type { NamedFile } from '../session';
import { number, words } from '../words/language';
import { useServices } from './context';
import { chosen, dropped } from './dropped';
import { SeriesList } from './series';
import { usePart, valueOf } from './use';

export function ImagePanel(): JSX.Element {
  return (
    <section aria-labelledby="image-heading">
      <h2 id="image-heading">{words.value.image.heading}</h2>
      <Opener />
      <Samples />
      <SeriesList />
      <Facts />
    </section>
  );
}

function Opener(): JSX.Element {
  const { controller } = useServices();
  const box = useRef<HTMLDivElement>(null);
  const say = words.value.image;
  useEffect(() => listenToDrops((over) => box.current?.classList.toggle('over', over), (files) => controller.openFiles(files)), [controller]);
  return (
    <div class="drop" id="drop" ref={box}>
      <div class="openers">
        <FileButton id="files" label={say.openLabel} text={say.open} shortcut={shortcut('openFiles')} />
        <FileButton id="folder" label={say.openFolderLabel} text={say.openFolder} folder />
      </div>
      <p class="hint">{say.dropHint}</p>
    </div>
  );
}

function FileButton({ id, label, text, folder = false, shortcut }: { id: string; label: string; text: string; folder?: boolean; shortcut?: string }): JSX.Element {
  const { controller } = useServices();
  const change = (event: Event): void => {
    const input = event.currentTarget as HTMLInputElement;
    controller.openFiles(chosen(input.files ?? []));
    // The same files may be chosen again.
    input.value = '';
  };
  return (
    <span>
      <input type="file" id={id} class="visually-hidden" multiple {...{ webkitdirectory: folder }} aria-label={label} aria-keyshortcuts={shortcut} onChange={change} />
      <label for={id} class="button">
        {text}
      </label>
    </span>
  );
}

/** Files may be dropped anywhere on the page. Returns what stops listening. */
function listenToDrops(onOver: (over: boolean) => void, onFiles: (files: NamedFile[]) => void): () => void {
  const listening = new AbortController();
  const { signal } = listening;
  const over = (event: DragEvent): void => {
    event.preventDefault();
    onOver(true);
  };
  const drop = (event: DragEvent): void => {
    event.preventDefault();
    onOver(false);
    if (event.dataTransfer) void dropped(event.dataTransfer).then(onFiles);
  };
  document.addEventListener('dragover', over, { signal });
  document.addEventListener('dragleave', (event) => event.relatedTarget || onOver(false), { signal });
  document.addEventListener('drop', drop, { signal });
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

/** Of the picture in view where it is drawn, of its series before. */
function Facts(): JSX.Element {
  const series = usePart((state) => state.open?.series);
  const drawn = usePart((state) => state.open?.drawn);
  const sample = usePart((state) => state.open?.sample);
  const say = words.value.image;
  const spacing = drawn?.spacingMm;
  const info = series?.info;
  const facts = info && [
    [info.format, info.modality].filter(Boolean).join(' '),
    `${number(drawn?.columns ?? info.columns)} × ${number(drawn?.rows ?? info.rows)}`,
    ...(info.slices > 1 ? [say.slices(number(info.slices))] : []),
    ...(info.frames > 1 ? [say.frames(number(info.frames))] : []),
    spacing ? `${number(spacing[1], 3)} × ${number(spacing[0], 3)} mm` : say.notCalibrated,
  ];
  return (
    <>
      <p class="facts" id="facts">
        {facts?.join(' · ')}
      </p>
      <p class="facts" id="notes" hidden={!series?.notes.length}>
        {series?.notes.join(' ')}
      </p>
      <p class="attribution" id="attribution" hidden={!sample}>
        {sample && [sample.attribution, say.licence(sample.licence), sample.source].join(' · ')}
      </p>
    </>
  );
}

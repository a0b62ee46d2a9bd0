// The panel "Model": what is in use, the models of the store and of the host, one transfer with its progress, the image
// side and the memory for slices seen.
import type { JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { describe, recommend, sidesOf } from '../capability/plan';
import { rowsOf, type Action, type Row } from '../rows';
import type { Transfer } from '../state/state';
import { bytesInWords, storageInWords, timeLeftInWords } from '../store/words';
import { words } from '../words/language';
import { CacheBudget } from './cache';
import { useServices } from './context';
import { usePart, valueOf } from './use';

export function ModelPanel(): JSX.Element {
  return (
    <section aria-labelledby="model-heading" class="models">
      <h2 id="model-heading">{words.value.model.heading}</h2>
      <List />
      <Moving />
      <Said />
      <Importers />
      <Sides />
      <Machine />
      <CacheBudget />
      <Storage />
    </section>
  );
}

/** The list; the focus stays with the model it was on. */
function List(): JSX.Element {
  const rows = rowsOf(usePart((state) => state.models));
  const list = useRef<HTMLUListElement>(null);
  const focused = useRef<string | undefined>(undefined);
  useLayoutEffect(() => {
    const at = focused.current;
    if (at === undefined || !list.current || (document.activeElement && document.activeElement !== document.body)) return;
    const same = list.current.querySelector<HTMLElement>(`li[data-model="${CSS.escape(at)}"] button:enabled`);
    (same ?? list.current.querySelector<HTMLElement>('button:enabled'))?.focus();
  });
  const remember = (event: Event): void => {
    focused.current = (event.target as Element).closest<HTMLElement>('li')?.dataset['model'];
  };
  const forget = (event: FocusEvent): void => {
    // A button that goes takes the focus with it; one that is left gives it to another element.
    if (event.relatedTarget) focused.current = undefined;
  };
  return (
    <ul id="models" aria-label={words.value.model.list} ref={list} onFocusIn={remember} onFocusOut={forget}>
      {rows.map((row) => (
        <Item key={row.id} row={row} />
      ))}
    </ul>
  );
}

function Item({ row }: { row: Row }): JSX.Element {
  return (
    <li class="model" data-model={row.id} data-state={row.state} data-in-use={String(row.inUse)}>
      <p class="model-name">
        <strong>{row.title}</strong>
        {row.inUse && <span class="tag">{words.value.model.inUse}</span>}
      </p>
      <p class="detail">{row.detail}</p>
      {row.warning !== undefined && <p class="detail warn">{row.warning}</p>}
      {row.actions.length > 0 && (
        <div class="actions">
          {row.actions.map((action) => (
            <ActionButton key={action.name} row={row} action={action} />
          ))}
        </div>
      )}
    </li>
  );
}

function ActionButton({ row, action }: { row: Row; action: Action }): JSX.Element {
  const { models } = useServices();
  const say = words.value.model;
  const label = say.action[action.name];
  return (
    <button type="button" aria-label={say.actionOn(label, row.title)} disabled={!action.enabled} onClick={() => models.act(row.id, action.name)}>
      {label}
    </button>
  );
}

function Moving(): JSX.Element {
  const transfer = usePart((state) => state.models.transfer);
  const { presentBytes, totalBytes } = transfer ?? { presentBytes: 0, totalBytes: 0 };
  const value = presentBytes === null || !transfer ? 0 : totalBytes === 0 ? 1 : presentBytes / totalBytes;
  return (
    <>
      <progress id="transfer" max="1" value={value} aria-label={words.value.model.transfer} hidden={!transfer} />
      <p class="detail" id="transfer-words" hidden={!transfer}>
        {transfer && transferInWords(transfer)}
      </p>
    </>
  );
}

function transferInWords({ presentBytes, totalBytes, bytesPerSecond, secondsLeft }: Transfer): string {
  const say = words.value.model;
  if (presentBytes === null) return say.asking;
  const parts = [
    say.arrived(bytesInWords(presentBytes), bytesInWords(totalBytes)),
    ...(bytesPerSecond === null ? [] : [say.perSecond(bytesInWords(bytesPerSecond))]),
    ...(secondsLeft === null ? [] : [timeLeftInWords(secondsLeft)]),
  ];
  return parts.join(' · ');
}

/** Said once, also to a screen reader. */
function Said(): JSX.Element {
  const said = usePart((state) => state.models.said);
  return (
    <p class="said" id="model-said" aria-live="polite">
      {said && words.value.model[said]}
    </p>
  );
}

function Importers(): JSX.Element {
  const say = words.value.model;
  return (
    <div class="importers">
      <Importer id="import-folder" label={say.importFolderLabel} text={say.importFolder} folder />
      <Importer id="import-files" label={say.importFilesLabel} text={say.importFiles} />
    </div>
  );
}

function Importer({ id, label, text, folder = false }: { id: string; label: string; text: string; folder?: boolean }): JSX.Element {
  const { models } = useServices();
  const busy = usePart((state) => state.models.transfer !== null);
  const chosen = (event: Event): void => {
    const input = event.currentTarget as HTMLInputElement;
    const files = [...(input.files ?? [])];
    // The same folder may be chosen again.
    input.value = '';
    if (files.length > 0) models.import(files);
  };
  return (
    <span>
      <input type="file" id={id} class="visually-hidden" multiple={!folder} {...{ webkitdirectory: folder }} aria-label={label} disabled={busy} onChange={chosen} />
      <label for={id} class="button">
        {text}
      </label>
    </span>
  );
}

function Sides(): JSX.Element {
  const { models } = useServices();
  const all = usePart((state) => state.models);
  const say = words.value.model;
  const manifest = all.inventory.models.find(({ id }) => id === all.inUse)?.manifest;
  const sides = manifest ? sidesOf(manifest) : [];
  const chosen = manifest && all.side !== null ? String(all.side) : '';
  const choose = (event: Event): void => models.chooseSide(valueOf(event) === '' ? null : Number(valueOf(event)));
  return (
    <>
      <label class="field" for="image-side">
        {say.side}
      </label>
      <select id="image-side" aria-describedby="machine" value={chosen} onChange={choose}>
        <option value="">{say.automatic}</option>
        {sides.map((side) => (
          <option key={side} value={String(side)}>
            {say.pixels(String(side))}
          </option>
        ))}
      </select>
    </>
  );
}

function Machine(): JSX.Element {
  const machine = usePart((state) => state.models.machine);
  const offers = usePart((state) => state.models.offers);
  const best = recommend([...offers], machine);
  return (
    <p class="hint" id="machine">
      {`${describe(machine)}.${best ? words.value.model.advice(best.words) : ''}`}
    </p>
  );
}

function Storage(): JSX.Element {
  const room = usePart((state) => state.models.inventory.room);
  const isPersistent = usePart((state) => state.models.isPersistent);
  return (
    <p class="hint" id="storage">
      {storageInWords(room, isPersistent)}
    </p>
  );
}

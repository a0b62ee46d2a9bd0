// The panel "Model": what is in use, the models of the store and of the host, one transfer with its progress.
import { byId, element } from './dom';

/** Something that can be done with a model. */
export interface Action {
  name: 'Use' | 'Download' | 'Resume' | 'Repair' | 'Pause' | 'Delete';
  enabled: boolean;
  run(): void;
}

/** One model as it is listed. */
export interface Row {
  id: string;
  /** Name and precision: what the buttons' labels end with. */
  title: string;
  state: 'built-in' | 'complete' | 'partial' | 'damaged' | 'unreadable' | 'offered';
  inUse: boolean;
  /** Size, state, what it takes to run. */
  detail: string;
  /** Why it cannot be used. */
  warning: string | undefined;
  actions: Action[];
}

/** How far a transfer is: 0..1 and in words. */
export interface Transfer {
  fraction: number;
  words: string;
}

const list = byId<HTMLUListElement>('models');
const machine = byId('machine');
const storage = byId('storage');
const said = byId('model-said');
const bar = byId<HTMLProgressElement>('transfer');
const barWords = byId('transfer-words');
const side = byId<HTMLSelectElement>('image-side');
const importers = [byId<HTMLInputElement>('import-folder'), byId<HTMLInputElement>('import-files')];

/** Rebuilds the list; the focus stays with the model it was on. */
export function showModels(rows: Row[]): void {
  const focused = document.activeElement?.closest<HTMLElement>('#models li')?.dataset['model'];
  list.replaceChildren(...rows.map(item));
  if (focused === undefined || list.contains(document.activeElement)) return;
  const same = list.querySelector<HTMLElement>(`li[data-model="${CSS.escape(focused)}"] button:enabled`);
  (same ?? list.querySelector<HTMLElement>('button:enabled'))?.focus();
}

function item(row: Row): HTMLLIElement {
  const name = element('p', { className: 'model-name' }, element('strong', {}, row.title));
  if (row.inUse) name.append(element('span', { className: 'tag' }, 'In use'));
  const made = element('li', { className: 'model' }, name, element('p', { className: 'detail' }, row.detail));
  if (row.warning !== undefined) made.append(element('p', { className: 'detail warn' }, row.warning));
  if (row.actions.length > 0) made.append(element('div', { className: 'actions' }, ...row.actions.map((action) => button(row, action))));
  Object.assign(made.dataset, { model: row.id, state: row.state, inUse: String(row.inUse) });
  return made;
}

function button(row: Row, action: Action): HTMLButtonElement {
  const made = element('button', { type: 'button', ariaLabel: `${action.name} ${row.title}`, disabled: !action.enabled }, action.name);
  made.addEventListener('click', () => action.run());
  return made;
}

/** Shows how far the transfer is; nothing while there is none. */
export function showTransfer(transfer: Transfer | undefined): void {
  bar.hidden = barWords.hidden = transfer === undefined;
  bar.value = transfer?.fraction ?? 0;
  barWords.textContent = transfer?.words ?? '';
  for (const input of importers) input.disabled = transfer !== undefined;
}

/** What the machine has, what suits it, and where the models are. */
export function showMachine(words: string, storageWords: string): void {
  machine.textContent = words;
  storage.textContent = storageWords;
}

/** Said once, also to a screen reader. */
export function say(words: string): void {
  said.textContent = words;
}

/** The sides that can be chosen; `chosen` is one of them, or `null` for the automatic choice. */
export function showSides(sides: number[], chosen: number | null): void {
  const option = (value: string, text: string): HTMLOptionElement => element('option', { value }, text);
  side.replaceChildren(option('', 'Automatic'), ...sides.map((one) => option(String(one), `${one} px`)));
  side.value = chosen === null ? '' : String(chosen);
}

/** Calls back with the side chosen, `null` for the automatic choice. */
export function onSide(callback: (side: number | null) => void): void {
  side.addEventListener('change', () => callback(side.value === '' ? null : Number(side.value)));
}

/** Calls back with the files of a chosen folder, or chosen one by one. */
export function onImport(callback: (files: File[]) => void): void {
  for (const input of importers) {
    input.addEventListener('change', () => {
      const files = [...(input.files ?? [])];
      // The same folder may be chosen again.
      input.value = '';
      if (files.length > 0) callback(files);
    });
  }
}

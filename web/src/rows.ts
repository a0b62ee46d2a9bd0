// The list of models as the panel shows it: the built-in one, those of the store, those that the host offers.
import type { Machine } from './capability/machine';
import { plan } from './capability/plan';
import type { StoredModel } from './store/list';
import type { Manifest } from './store/manifest';
import type { Offer } from './store/offers';
import { bytesInWords } from './store/words';
import type { Action, Row } from './ui/models';

export interface RowsOf {
  models: StoredModel[];
  offers: Offer[];
  machine: Machine;
  /** Id of the stored model in use; `null` for the built-in one. */
  inUse: string | null;
  /** Id of the model that is being downloaded or imported. */
  transfer: string | undefined;
  /** Something is being downloaded, imported or loaded. */
  busy: boolean;
  /** A model is being loaded. */
  changing: boolean;
  act: {
    use(id: string | null): void;
    download(offer: Offer): void;
    resume(model: StoredModel): void;
    pause(): void;
    delete(model: StoredModel): void;
  };
}

export function rowsOf(all: RowsOf): Row[] {
  const isStored = (offer: Offer): boolean => all.models.some((model) => model.id === offer.id);
  return [builtIn(all), ...all.models.map((model) => stored(model, all)), ...all.offers.filter((offer) => !isStored(offer)).map((offer) => offered(offer, all))];
}

function builtIn({ inUse, changing, act }: RowsOf): Row {
  return {
    id: 'built-in',
    title: 'Built-in model',
    state: 'built-in',
    inUse: inUse === null,
    detail: 'Small, comes with the page',
    warning: undefined,
    actions: inUse === null ? [] : [{ name: 'Use', enabled: !changing, run: () => act.use(null) }],
  };
}

function stored(model: StoredModel, all: RowsOf): Row {
  const { id, manifest, condition } = model;
  const inUse = all.inUse === id;
  const moving = all.transfer === id;
  const use: Action = { name: 'Use', enabled: !all.changing, run: () => all.act.use(id) };
  const goOn = (name: 'Resume' | 'Repair'): Action => ({ name, enabled: !all.busy, run: () => all.act.resume(model) });
  const actions: Action[] = [
    ...(condition === 'complete' && !inUse ? [use] : []),
    ...(condition === 'partial' && !moving ? [goOn('Resume')] : []),
    ...(condition === 'damaged' && !moving ? [goOn('Repair')] : []),
    ...(moving ? [{ name: 'Pause' as const, enabled: true, run: () => all.act.pause() }] : []),
    ...(inUse || moving ? [] : [{ name: 'Delete' as const, enabled: !all.busy, run: () => all.act.delete(model) }]),
  ];
  return {
    id,
    title: titleOf(manifest, id),
    state: condition,
    inUse,
    detail: storedDetail(model, moving, all.machine),
    warning: storedWarning(model),
    actions,
  };
}

function storedDetail({ manifest, condition, presentBytes }: StoredModel, moving: boolean, machine: Machine): string {
  if (!manifest) return 'Stored, not usable';
  if (condition === 'complete') return `${bytesInWords(manifest.totalBytes)} stored · ${fitness(manifest, machine)}`;
  if (moving) return `${bytesInWords(manifest.totalBytes)} · on its way`;
  return `${bytesInWords(presentBytes)} of ${bytesInWords(manifest.totalBytes)} stored · not usable yet`;
}

function storedWarning({ condition, fault }: StoredModel): string | undefined {
  if (fault) return `${fault.message} ${fault.nextStep}`;
  return condition === 'damaged' ? 'A file of this model is damaged or missing; it is not used.' : undefined;
}

function offered(offer: Offer, all: RowsOf): Row {
  const { manifest, fault } = offer;
  const decided = manifest && plan(manifest, all.machine);
  return {
    id: offer.id || offer.folder,
    title: manifest ? titleOf(manifest, '') : offer.folder,
    state: 'offered',
    inUse: false,
    detail: manifest ? `${bytesInWords(manifest.totalBytes)} to download · ${fitness(manifest, all.machine)}` : 'Offered by the server of this page',
    warning: fault ? `${fault.message} ${fault.nextStep}` : decided?.fits === false ? decided.failure.message : undefined,
    actions: [{ name: 'Download', enabled: manifest !== undefined && !all.busy, run: () => all.act.download(offer) }],
  };
}

const titleOf = (manifest: Manifest | undefined, id: string): string => (manifest ? `${manifest.name} (${manifest.precision})` : `Model ${id}`);

function fitness(manifest: Manifest, machine: Machine): string {
  const decided = plan(manifest, machine);
  return decided.fits ? decided.words : 'does not fit this machine';
}

// The list of models as the panel shows it: the built-in one, those of the store, those that the host offers. Data
// alone: what a button does, `Models` knows.
import { plan } from './capability/plan';
import type { Machine } from './capability/machine';
import type { Models } from './state/state';
import type { StoredModel } from './store/list';
import type { Manifest } from './store/manifest';
import type { Offer } from './store/offers';
import { bytesInWords } from './store/words';
import { failureInWords, words } from './words/language';

/** Something that can be done with a model. */
export interface Action {
  name: 'Use' | 'Download' | 'Resume' | 'Repair' | 'Pause' | 'Delete';
  enabled: boolean;
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

export const BUILT_IN = 'built-in';

export function rowsOf(all: Models): Row[] {
  const { models } = all.inventory;
  const isStored = (offer: Offer): boolean => models.some((model) => model.id === offer.id);
  return [builtIn(all), ...models.map((model) => stored(model, all)), ...all.offers.filter((offer) => !isStored(offer)).map((offer) => offered(offer, all))];
}

/** Something is being downloaded, imported or loaded. */
const isBusy = ({ changing, transfer }: Models): boolean => changing || transfer !== null;

function builtIn({ inUse, changing }: Models): Row {
  const { builtIn: title, builtInDetail: detail } = words.value.model;
  const actions: Action[] = inUse === null ? [] : [{ name: 'Use', enabled: !changing }];
  return { id: BUILT_IN, title, state: 'built-in', inUse: inUse === null, detail, warning: undefined, actions };
}

function stored(model: StoredModel, all: Models): Row {
  const { id, manifest, condition } = model;
  const inUse = all.inUse === id;
  const moving = all.transfer?.model === id;
  const idle = !isBusy(all);
  const actions: Action[] = [
    ...(condition === 'complete' && !inUse ? [{ name: 'Use' as const, enabled: !all.changing }] : []),
    ...(condition === 'partial' && !moving ? [{ name: 'Resume' as const, enabled: idle }] : []),
    ...(condition === 'damaged' && !moving ? [{ name: 'Repair' as const, enabled: idle }] : []),
    ...(moving ? [{ name: 'Pause' as const, enabled: true }] : []),
    ...(inUse || moving ? [] : [{ name: 'Delete' as const, enabled: idle }]),
  ];
  const detail = storedDetail(model, moving, all.machine);
  return { id, title: titleOf(manifest, id), state: condition, inUse, detail, warning: storedWarning(model), actions };
}

function storedDetail({ manifest, condition, presentBytes }: StoredModel, moving: boolean, machine: Machine): string {
  const say = words.value.model;
  if (!manifest) return say.storedUnusable;
  const size = bytesInWords(manifest.totalBytes);
  if (condition === 'complete') return say.stored(size, fitness(manifest, machine));
  return moving ? say.moving(size) : say.partly(bytesInWords(presentBytes), size);
}

function storedWarning({ condition, fault }: StoredModel): string | undefined {
  if (fault) return sentence(fault);
  return condition === 'damaged' ? words.value.model.damaged : undefined;
}

function sentence(fault: NonNullable<StoredModel['fault']>): string {
  const { message, nextStep } = failureInWords(fault);
  return `${message} ${nextStep}`;
}

function offered(offer: Offer, all: Models): Row {
  const { manifest, fault } = offer;
  const decided = manifest && plan(manifest, all.machine);
  const say = words.value.model;
  return {
    id: offer.id || offer.folder,
    title: manifest ? titleOf(manifest, '') : offer.folder,
    state: 'offered',
    inUse: false,
    detail: manifest ? say.toDownload(bytesInWords(manifest.totalBytes), fitness(manifest, all.machine)) : say.offered,
    warning: fault ? sentence(fault) : decided?.fits === false ? decided.failure.message : undefined,
    actions: [{ name: 'Download', enabled: manifest !== undefined && !isBusy(all) }],
  };
}

const titleOf = (manifest: Manifest | undefined, id: string): string =>
  manifest ? `${manifest.name} (${manifest.precision})` : words.value.model.unnamed(id);

function fitness(manifest: Manifest, machine: Machine): string {
  const decided = plan(manifest, machine);
  return decided.fits ? decided.words : words.value.model.doesNotFit;
}

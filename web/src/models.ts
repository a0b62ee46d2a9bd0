// Which model is in use, which are stored and offered, and what each button of the panel "Model" does.
import type { App } from './app';
import { inspectMachine, type Machine } from './capability/machine';
import { describe, plan, recommend, sidesOf } from './capability/plan';
import { Failed, failureOf } from './failure';
import { Remembered } from './remembered';
import type { Failure } from './protocol';
import type { ModelChoice, Session } from './session';
import type { Store } from './store/client';
import type { Advance } from './store/install';
import { inventory, type Inventory, type StoredModel } from './store/list';
import { share, userOf } from './store/locks';
import { MANIFEST, parseManifest, type Manifest } from './store/manifest';
import { offers, type Offer } from './store/offers';
import { Transfer } from './transfer';
import { clearErrors, showError } from './ui/alerts';
import { byId } from './ui/dom';
import * as panel from './ui/models';
import { rowsOf } from './rows';
import { storageInWords } from './store/words';

const BUILT_IN: ModelChoice = { stored: null, imageSide: null };
/** What the engine says of a stored model whose files are not what they were when they were checked. */
const DAMAGE = ['WEIGHTS-FILE', 'WEIGHTS-TRUNCATED', 'WEIGHTS-HASH', 'WEIGHTS-LAYOUT', 'WEIGHTS-MANIFEST'];

export class Models {
  #machine: Machine = { gpu: undefined, memoryGib: undefined };
  #inventory: Inventory = { models: [], room: { usage: 0, quota: 0 } };
  #offers: Offer[] = [];
  #inUse: ModelChoice = BUILT_IN;
  #transfer: Transfer | undefined;
  #changing = false;
  /** Ends this tab's share of the lock on the model in use. */
  #release: () => void = () => undefined;
  readonly #remembered = new Remembered();
  /** Tells other tabs that the store has changed. */
  readonly #channel = new BroadcastChannel('medsam3-models');

  constructor(
    readonly store: Store,
    readonly session: Session,
    readonly app: App,
  ) {
    panel.onImport((files) => void this.#import(files));
    panel.onSide((side) => void this.#chooseSide(side));
    this.#channel.addEventListener('message', () => void this.#refresh().then(() => this.#show()));
  }

  /** Looks at the machine and the store; says which model to start with. */
  async prepare(): Promise<ModelChoice> {
    this.#machine = await inspectMachine(this.session.choice !== 'cpu');
    try {
      [this.#offers, this.#inventory] = await Promise.all([offers(document.baseURI), inventory()]);
      const { model } = this.#remembered;
      if (model !== null) this.#inUse = await this.#take(model);
    } catch (error) {
      // Without a store, or without the model that was in use, there is still the built-in one.
      showError(failureOf(error));
      this.#remembered.model = null;
    }
    await this.#show();
    return this.#inUse;
  }

  /** Loads the model that `prepare` chose; a stored one that fails gives way to the built-in one. */
  async load(): Promise<void> {
    try {
      this.app.setModel(await this.session.loadModel());
    } catch (error) {
      if (this.#inUse.stored === null) throw error;
      await this.#giveUp(this.#inUse.stored, error);
    }
  }

  /** The choice to load a stored model, which this tab then holds; throws `Failed` where it cannot be used. */
  async #take(id: string): Promise<ModelChoice> {
    const release = await share(userOf(id));
    try {
      const manifest = usable(this.#inventory.models.find((model) => model.id === id));
      const decided = plan(manifest, this.#machine, this.#remembered.side ?? undefined);
      if (!decided.fits) throw new Failed(decided.failure);
      this.#release();
      this.#release = release;
      return { stored: id, imageSide: decided.side === manifest.config.imageSide ? null : decided.side };
    } catch (error) {
      release();
      throw error;
    }
  }

  async #use(id: string | null): Promise<void> {
    if (this.#changing) return;
    this.#changing = true;
    clearErrors();
    try {
      await this.#refresh();
      const choice = id === null ? BUILT_IN : await this.#take(id);
      await this.#change(choice);
      this.#remembered.model = id;
    } catch (error) {
      if (id !== null && this.#inUse.stored === id) await this.#giveUp(id, error);
      else showError(failureOf(error));
    } finally {
      this.#changing = false;
      await this.#show();
    }
  }

  async #change(choice: ModelChoice): Promise<void> {
    this.#inUse = choice;
    if (choice.stored === null) {
      this.#release();
      this.#release = () => undefined;
    }
    await Promise.all([this.app.changeModel(() => this.session.changeModel(choice)), this.#show()]);
  }

  /** The engine refused a stored model: notes damage, says so, and goes back to the built-in model. */
  async #giveUp(id: string, error: unknown): Promise<void> {
    const failure = failureOf(error);
    this.#remembered.model = null;
    if (DAMAGE.includes(failure.code)) await this.store.markDamaged(id).catch(() => undefined);
    const repair = DAMAGE.includes(failure.code) ? ' Press "Repair" beside the stored model to fetch what is damaged.' : '';
    showError({ ...failure, nextStep: `The built-in model is used instead.${repair}` });
    await this.#change(BUILT_IN);
    await this.#changed();
  }

  #download(folder: string, manifest: Manifest | undefined): Promise<void> {
    return this.#bring(manifest, (onAdvance) => this.store.download(folder, onAdvance));
  }

  async #import(files: File[]): Promise<void> {
    const file = files.find(({ name }) => name === MANIFEST);
    const read = async (): Promise<Manifest | undefined> => file && parseManifest(new Uint8Array(await file.arrayBuffer()));
    try {
      const manifest = await read();
      await this.#bring(manifest, (onAdvance) => this.store.import(files, onAdvance));
    } catch (error) {
      showError(failureOf(error));
    }
  }

  /** Brings a model into the store, after the machine was found fit for it. */
  async #bring(manifest: Manifest | undefined, start: (onAdvance: (advance: Advance) => void) => Promise<string | undefined>): Promise<void> {
    if (this.#transfer) return;
    clearErrors();
    const decided = manifest && plan(manifest, this.#machine);
    if (decided?.fits === false) return showError(decided.failure);
    this.#transfer = new Transfer();
    panel.showTransfer(this.#transfer.shown());
    panel.say('');
    // Asked for, not relied on: browsers grant it by their own rules.
    await navigator.storage.persist?.().catch(() => false);
    try {
      const model = await start((advance) => this.#advance(advance));
      panel.say(model === undefined ? 'Paused. What has arrived is kept.' : 'The model is stored, and every file of it was checked. Press "Use" to work with it.');
    } catch (error) {
      showError(failureOf(error));
    } finally {
      this.#transfer = undefined;
      panel.showTransfer(undefined);
      await this.#changed();
    }
  }

  #advance(advance: Advance): void {
    const transfer = this.#transfer;
    if (!transfer) return;
    const isNew = transfer.model !== advance.id;
    transfer.add(advance, performance.now());
    panel.showTransfer(transfer.shown());
    if (isNew) void this.#changed();
  }

  async #delete(model: StoredModel): Promise<void> {
    const name = model.manifest ? `"${model.manifest.name}" (${model.manifest.precision})` : 'this model';
    if (!confirm(`Delete ${name} from this browser?`)) return;
    clearErrors();
    try {
      await this.store.delete(model.id);
      panel.say('The model was deleted.');
    } catch (error) {
      showError(failureOf(error));
    }
    await this.#changed();
  }

  async #chooseSide(side: number | null): Promise<void> {
    this.#remembered.side = side;
    if (this.#inUse.stored !== null) await this.#use(this.#inUse.stored);
  }

  /** The store is no longer what it was: looks again, here and in other tabs. */
  async #changed(): Promise<void> {
    this.#channel.postMessage('changed');
    await this.#refresh();
    await this.#show();
  }

  async #refresh(): Promise<void> {
    this.#inventory = await inventory().catch(() => this.#inventory);
  }

  async #show(): Promise<void> {
    const folderOf = (model: StoredModel): string | undefined =>
      this.#offers.find((offer) => offer.id === model.id)?.folder ?? (model.origin.kind === 'host' ? model.origin.folder : undefined);
    const rows = rowsOf({
      models: this.#inventory.models,
      offers: this.#offers,
      machine: this.#machine,
      inUse: this.#inUse.stored,
      transfer: this.#transfer?.model,
      busy: this.#changing || this.#transfer !== undefined,
      changing: this.#changing,
      act: {
        use: (id) => void this.#use(id),
        download: (offer) => void this.#download(offer.folder, offer.manifest),
        resume: (model) => {
          const folder = folderOf(model);
          // What came from files can only go on from the same files.
          if (folder === undefined) byId('import-folder').click();
          else void this.#download(folder, model.manifest);
        },
        pause: () => void this.store.pause(),
        delete: (model) => void this.#delete(model),
      },
    });
    panel.showModels(rows);
    const best = recommend(this.#offers, this.#machine);
    const advice = best ? ` Of the models offered here, for this machine: ${best.words}.` : '';
    const isPersistent = (await navigator.storage?.persisted?.().catch(() => false)) ?? false;
    panel.showMachine(`${describe(this.#machine)}.${advice}`, storageInWords(this.#inventory.room, isPersistent));
    const used = this.#inventory.models.find((model) => model.id === this.#inUse.stored);
    panel.showSides(used?.manifest ? sidesOf(used.manifest) : [], used ? this.#remembered.side : null);
  }
}

/** The manifest of a model that may be used. */
function usable(model: StoredModel | undefined): Manifest {
  if (model?.manifest && model.condition === 'complete') return model.manifest;
  throw new Failed(model?.fault ?? notUsable);
}

const notUsable: Failure = {
  code: 'STORE-GONE',
  message: 'The model that was in use is no longer stored whole.',
  nextStep: 'The built-in model is used instead; download or import the other one again.',
};

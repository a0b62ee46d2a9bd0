// Which model is in use, which are stored and offered, and what each button of the panel "Model" does. What the panel shows
// is in the page's state.
import { inspectMachine } from './capability/machine';
import { plan } from './capability/plan';
import { Cancelled, Failed, failureOf } from './failure';
import type { Failure } from './protocol';
import { Remembered } from './remembered';
import { BUILT_IN as BUILT_IN_ROW, type Action } from './rows';
import type { ModelChoice, Session } from './session';
import { dispatch, page } from './state/page';
import type { Models as ModelsState } from './state/state';
import type { Store } from './store/client';
import type { Advance } from './store/install';
import { inventory, type StoredModel } from './store/list';
import { share, userOf } from './store/locks';
import { MANIFEST, parseManifest, type Manifest } from './store/manifest';
import { offers } from './store/offers';
import { Rate } from './store/rate';
import { words } from './words/language';

const BUILT_IN: ModelChoice = { stored: null, imageSide: null };
/** What the engine says of a stored model whose files are not what they were when they were checked. */
const DAMAGE = ['WEIGHTS-FILE', 'WEIGHTS-TRUNCATED', 'WEIGHTS-HASH', 'WEIGHTS-LAYOUT', 'WEIGHTS-MANIFEST'];

const show = (models: Partial<ModelsState>): void => dispatch({ kind: 'models-changed', models });
const shown = (): ModelsState => page.peek().models;
const fail = (failure: Failure): void => dispatch({ kind: 'failed', failure });

export class Models {
  readonly #remembered = new Remembered();
  #rate = new Rate();
  /** Ends this tab's share of the lock on the model in use. */
  #release: () => void = () => undefined;
  /** Tells other tabs that the store has changed. */
  readonly #channel = new BroadcastChannel('medsam3-models');

  constructor(
    readonly store: Store,
    readonly session: Session,
  ) {
    this.#channel.addEventListener('message', () => void this.#refresh());
  }

  /** Starts the engine with the model that was in use; a stored one that fails gives way to the built-in one. */
  async start(): Promise<void> {
    try {
      await this.session.launch('start', this.#prepare());
    } catch (error) {
      await this.#launchFailed(error);
    }
  }

  /** Looks at the machine and the store; says which model to start with. */
  async #prepare(): Promise<ModelChoice> {
    show({ machine: await inspectMachine(this.session.choice !== 'cpu'), side: this.#remembered.side });
    let choice = BUILT_IN;
    try {
      const [offered, stored] = await Promise.all([offers(document.baseURI), inventory()]);
      show({ offers: offered, inventory: stored });
      const { model } = this.#remembered;
      if (model !== null) choice = await this.#take(model);
    } catch (error) {
      // Without a store, or without the model that was in use, there is still the built-in one.
      fail(failureOf(error));
      this.#remembered.model = null;
    }
    show({ inUse: choice.stored });
    await this.#askPersistence();
    return choice;
  }

  /** What a button of the list does. */
  act(id: string, action: Action['name']): void {
    const { inventory: stored, offers: offered } = shown();
    const model = stored.models.find((one) => one.id === id);
    const offer = offered.find((one) => (one.id || one.folder) === id);
    if (action === 'Use') void this.#use(id === BUILT_IN_ROW ? null : id);
    else if (action === 'Pause') void this.store.pause();
    else if (action === 'Download' && offer) void this.#download(offer.folder, offer.manifest);
    else if (action === 'Delete' && model) void this.#delete(model);
    else if (model) this.#resume(model);
  }

  #resume(model: StoredModel): void {
    const offered = shown().offers.find(({ id }) => id === model.id)?.folder;
    const folder = offered ?? (model.origin.kind === 'host' ? model.origin.folder : undefined);
    // What came from files can only go on from the same files.
    if (folder === undefined) document.getElementById('import-folder')?.click();
    else void this.#download(folder, model.manifest);
  }

  /** The choice to load a stored model, which this tab then holds; throws `Failed` where it cannot be used. */
  async #take(id: string): Promise<ModelChoice> {
    const release = await share(userOf(id));
    try {
      const manifest = usable(shown().inventory.models.find((model) => model.id === id));
      const decided = plan(manifest, shown().machine, this.#remembered.side ?? undefined);
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
    if (shown().changing) return;
    show({ changing: true });
    dispatch({ kind: 'errors-cleared' });
    try {
      await this.#refresh();
      const choice = id === null ? BUILT_IN : await this.#take(id);
      await this.#change(choice);
      this.#remembered.model = id;
    } catch (error) {
      // A model that this one was to replace is still there, unless it was on its way already.
      if (shown().inUse === id) await this.#launchFailed(error);
      else fail(failureOf(error));
    } finally {
      show({ changing: false });
    }
  }

  async #change(choice: ModelChoice): Promise<void> {
    const loaded = this.session.launch('model', choice);
    show({ inUse: choice.stored });
    if (choice.stored === null) {
      this.#release();
      this.#release = () => undefined;
    }
    await loaded;
  }

  /** A stored model that the engine refused is noted as damaged, and gives way to the built-in one. */
  async #launchFailed(error: unknown): Promise<void> {
    // Another launch took its place, or the worker crashed, of which the session tells.
    if (error instanceof Cancelled) return;
    const failure = failureOf(error);
    const { inUse } = shown();
    if (inUse === null) {
      dispatch({ kind: 'launch-failed', launch: page.peek().launch, failure });
      if (failure.code === 'PAGE-FAULT') throw error;
      return;
    }
    this.#remembered.model = null;
    const isDamage = DAMAGE.includes(failure.code);
    if (isDamage) await this.store.markDamaged(inUse).catch(() => undefined);
    const { builtInInstead, repairHint } = words.value.model;
    fail({ ...failure, nextStep: builtInInstead + (isDamage ? repairHint : '') });
    await this.#change(BUILT_IN).catch((next: unknown) => this.#launchFailed(next));
    await this.#changed();
  }

  #download(folder: string, manifest: Manifest | undefined): Promise<void> {
    return this.#bring(manifest, (onAdvance) => this.store.download(folder, onAdvance));
  }

  /** Copies a model from files that the user chose. */
  import(files: File[]): void {
    void this.#import(files);
  }

  async #import(files: File[]): Promise<void> {
    const file = files.find(({ name }) => name === MANIFEST);
    const read = async (): Promise<Manifest | undefined> => file && parseManifest(new Uint8Array(await file.arrayBuffer()));
    try {
      const manifest = await read();
      await this.#bring(manifest, (onAdvance) => this.store.import(files, onAdvance));
    } catch (error) {
      fail(failureOf(error));
    }
  }

  /** Brings a model into the store, after the machine was found fit for it. */
  async #bring(manifest: Manifest | undefined, start: (onAdvance: (advance: Advance) => void) => Promise<string | undefined>): Promise<void> {
    if (shown().transfer) return;
    dispatch({ kind: 'errors-cleared' });
    const decided = manifest && plan(manifest, shown().machine);
    if (decided?.fits === false) return fail(decided.failure);
    this.#rate = new Rate();
    show({ said: null, transfer: { model: null, presentBytes: null, totalBytes: 0, bytesPerSecond: null, secondsLeft: null } });
    // Asked for, not relied on: browsers grant it by their own rules.
    await navigator.storage.persist?.().catch(() => false);
    try {
      const model = await start((advance) => this.#advance(advance));
      show({ said: model === undefined ? 'paused' : 'whole' });
    } catch (error) {
      fail(failureOf(error));
    } finally {
      dispatch({ kind: 'transfer-advanced', transfer: null });
      await this.#changed();
    }
  }

  #advance({ id, presentBytes, totalBytes, freshBytes }: Advance): void {
    const { transfer } = shown();
    if (!transfer) return;
    const at = performance.now();
    if (freshBytes > 0) this.#rate.add(freshBytes, at);
    const bytesPerSecond = this.#rate.bytesPerSecond(at) ?? null;
    const secondsLeft = this.#rate.secondsFor(totalBytes - presentBytes, at) ?? null;
    dispatch({ kind: 'transfer-advanced', transfer: { model: id, presentBytes, totalBytes, bytesPerSecond, secondsLeft } });
    if (transfer.model !== id) void this.#changed();
  }

  async #delete(model: StoredModel): Promise<void> {
    const { quoted, thisModel, confirmDelete } = words.value.model;
    const name = model.manifest ? quoted(model.manifest.name, model.manifest.precision) : thisModel;
    if (!confirm(confirmDelete(name))) return;
    dispatch({ kind: 'errors-cleared' });
    try {
      await this.store.delete(model.id);
      show({ said: 'deleted' });
    } catch (error) {
      fail(failureOf(error));
    }
    await this.#changed();
  }

  /** `null` leaves the image side to the page. */
  chooseSide(side: number | null): void {
    this.#remembered.side = side;
    show({ side });
    const { inUse } = shown();
    if (inUse !== null) void this.#use(inUse);
  }

  /** The store is no longer what it was: looks again, here and in other tabs. */
  async #changed(): Promise<void> {
    this.#channel.postMessage('changed');
    await this.#refresh();
  }

  async #refresh(): Promise<void> {
    const found = await inventory().catch(() => undefined);
    if (found) show({ inventory: found });
    await this.#askPersistence();
  }

  async #askPersistence(): Promise<void> {
    show({ isPersistent: (await navigator.storage?.persisted?.().catch(() => false)) ?? false });
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

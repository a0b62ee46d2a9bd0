// Starts the page: builds its parts, wires the controls, loads the engine, the model and the samples.
import './style.css';
import { App } from './app';
import { fetchSamples, type Sample } from './assets';
import { failureOf } from './failure';
import { Models } from './models';
import { Session } from './session';
import { Store } from './store/client';
import { showError, showNotice } from './ui/alerts';
import { offerBudget, showCache } from './ui/cache';
import { byId, element } from './ui/dom';
import { setBackend, setSelfTest, showStage } from './ui/status';
import { CornerstoneViewer } from './viewer/cornerstone';
import { interact } from './viewer/interact';
import { Overlay } from './viewer/overlay';

const view = byId<HTMLDivElement>('viewer');
const picture = element('div', { className: 'picture' });
view.prepend(picture);

// `?backend=cpu` chooses the CPU where WebGPU would be taken, to compare the two.
const choice = new URLSearchParams(location.search).get('backend') === 'cpu' ? 'cpu' : 'auto';
const session = new Session(choice, {
  onProgress: ({ stage, fraction }) => showStage(stage, fraction),
  onCache: showCache,
  onDownload: (fraction) => showStage('download', fraction),
  onBackend: (backend, whyCpu, selfTest) => {
    setBackend(backend);
    setSelfTest(selfTest);
    const notice = whyCpu ?? selfTest?.replaced;
    if (notice) showNotice(notice);
  },
  onCrash: (failure) => app.crashed(failure),
  onRestarted: () => app.idle(),
});
const viewer = new CornerstoneViewer(picture);
const overlay = new Overlay(view);
const app = new App(session, viewer, overlay);
const models = new Models(new Store(), session, app);

interact(view, viewer, { nudgeWindow: (c, w) => app.nudgeWindow(c, w), step: (by) => app.step(by) }, () => app.hasPicture);

const files = byId<HTMLInputElement>('files');
files.addEventListener('change', () => {
  void app.openFiles([...(files.files ?? [])]);
  // The same file may be chosen again.
  files.value = '';
});
byId('previous-image').addEventListener('click', () => void app.stepQueue(-1));
byId('next-image').addEventListener('click', () => void app.stepQueue(1));

const drop = byId('drop');
document.addEventListener('dragover', (event) => {
  event.preventDefault();
  drop.classList.add('over');
});
document.addEventListener('dragleave', (event) => {
  if (!event.relatedTarget) drop.classList.remove('over');
});
document.addEventListener('drop', (event) => {
  event.preventDefault();
  drop.classList.remove('over');
  void app.openFiles([...(event.dataTransfer?.files ?? [])]);
});

byId<HTMLFormElement>('segment-form').addEventListener('submit', (event) => {
  event.preventDefault();
  void app.segment();
});
byId('cancel').addEventListener('click', () => void app.cancel());
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') void app.cancel();
});

const frame = byId<HTMLInputElement>('frame');
frame.addEventListener('input', () => void app.showFrame(Number(frame.value) - 1));
const center = byId<HTMLInputElement>('window-center');
const width = byId<HTMLInputElement>('window-width');
for (const input of [center, width]) {
  input.addEventListener('change', () => app.setWindow({ center: Number(center.value), width: Number(width.value) }));
}
const opacity = byId<HTMLInputElement>('opacity');
opacity.addEventListener('input', () => overlay.setOpacity(Number(opacity.value) / 100));
const zoom = (factor: number) => () => app.hasPicture && viewer.zoom(factor, view.clientWidth / 2, view.clientHeight / 2);
byId('zoom-in').addEventListener('click', zoom(1.25));
byId('zoom-out').addEventListener('click', zoom(0.8));
byId('reset').addEventListener('click', () => app.resetView());

offerBudget(
  (budget) => void session.setEmbeddingMemory(budget).catch((error: unknown) => showError(failureOf(error))),
  () => void session.askCache(),
);

function offerSamples(samples: Sample[]): void {
  const list = byId<HTMLSelectElement>('samples');
  list.append(...samples.map((sample, at) => element('option', { value: String(at) }, sample.title)));
  list.disabled = samples.length === 0;
  list.addEventListener('change', () => {
    const sample = samples[Number(list.value)];
    if (list.value !== '' && sample) void app.openSample(sample);
  });
}

async function start(): Promise<void> {
  showStage('starting');
  const samples = fetchSamples().catch(() => []);
  try {
    await session.start(models.prepare());
    await models.load();
  } catch (error) {
    showStage('failed');
    const failure = failureOf(error);
    showError(failure);
    if (failure.code === 'PAGE-FAULT') throw error;
  } finally {
    offerSamples(await samples);
  }
}

void start();

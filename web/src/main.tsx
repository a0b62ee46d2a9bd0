// Starts the page: builds its parts, draws it, loads the engine, the model and the samples.
import { render } from 'preact';
import './style.css';
import { listenToKeys } from './actions/keyboard';
import { fetchSamples } from './assets';
import { Controller } from './controller';
import { ServicesContext } from './features/context';
import { startLanguage } from './features/language';
import { Page } from './features/page';
import { Models } from './models';
import { Remembered } from './remembered';
import { Session } from './session';
import { dispatch } from './state/page';
import { Store } from './store/client';

// `?backend=cpu` chooses the CPU where WebGPU would be taken, to compare the two.
const choice = new URLSearchParams(location.search).get('backend') === 'cpu' ? 'cpu' : 'auto';
const session = new Session(choice, dispatch);
const controller = new Controller(session);
const models = new Models(new Store(), session);

startLanguage();
dispatch({ kind: 'single-keys-chosen', on: new Remembered().singleKeys });
render(
  <ServicesContext.Provider value={{ controller, models }}>
    <Page />
  </ServicesContext.Provider>,
  document.body,
);
listenToKeys(controller);

void models.start();
// Without the sample cases the page works all the same.
void fetchSamples().then(
  (samples) => controller.offerSamples(samples),
  () => undefined,
);

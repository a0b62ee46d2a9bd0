// The page: its frame and where each feature stands in it.
import type { JSX } from 'preact';
import { shortcut } from '../actions/table';
import { words } from '../words/language';
import { Alerts } from './alerts';
import { useServices } from './context';
import { ExportSheet } from './export';
import { FindPanel } from './find';
import { HelpSheet } from './help';
import { ImagePanel } from './image';
import { LanguageChoice } from './language';
import { ModelPanel } from './models';
import { Results } from './results';
import { Footer } from './status';
import { Toolbar } from './toolbar';
import { View } from './view';

export function Page(): JSX.Element {
  const { title, purpose, controls, view, keys } = words.value;
  return (
    <>
      <header class="top">
        <h1>{title}</h1>
        <p class="purpose">{purpose}</p>
        <div class="settings">
          <HelpButton label={keys.open} />
          <LanguageChoice />
        </div>
      </header>
      <main>
        <section class="panel" aria-label={controls}>
          <ImagePanel />
          <FindPanel />
          <Results />
          <ModelPanel />
        </section>
        <section class="stage" aria-label={view.region}>
          <Alerts />
          <View />
          <Toolbar />
          <p class="hint" id="viewer-hint">
            {view.hint}
          </p>
        </section>
      </main>
      <Footer />
      <HelpSheet />
      <ExportSheet />
    </>
  );
}

function HelpButton({ label }: { label: string }): JSX.Element {
  const { controller } = useServices();
  return (
    <button type="button" class="quiet" aria-keyshortcuts={shortcut('help')} onClick={() => controller.showHelp(true)}>
      {label}
    </button>
  );
}

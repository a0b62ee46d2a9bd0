// The status line (stage and back end, in words and in data attributes), the progress bar and the model's provenance.
import type { JSX } from 'preact';
import { useComputed } from '@preact/signals';
import { page } from '../state/page';
import { stageOf } from '../state/select';
import { number, words } from '../words/language';
import { useServices } from './context';
import { usePart } from './use';

export function Footer(): JSX.Element {
  return (
    <footer>
      <Status />
      <Bar />
      <TryAgain />
      <Provenance />
    </footer>
  );
}

function Status(): JSX.Element {
  const stage = usePart((state) => stageOf(state).stage);
  const detail = usePart((state) => stageOf(state).detail);
  const backend = usePart((state) => state.backend);
  const selfTest = usePart((state) => state.selfTest);
  const say = words.value.status;
  const parts = [say[stage], detail && detail !== 'starting' && say[detail], backend === 'cpu' ? say.slow : backend];
  const data = {
    'data-stage': stage,
    'data-backend': backend ?? '',
    'data-self-test': selfTest ? String(selfTest.checks) : '',
    'data-self-test-error': selfTest?.largestError == null ? '' : selfTest.largestError.toExponential(1),
    'data-replaced': selfTest?.replaced ? 'true' : 'false',
  };
  return (
    <div id="status" role="status" {...data}>
      {parts.filter(Boolean).join(' · ')}
    </div>
  );
}

function Bar(): JSX.Element {
  const isOver = usePart((state) => ['ready', 'failed'].includes(stageOf(state).stage));
  const fraction = useComputed(() => stageOf(page.value).fraction).value;
  // Without a value it is a bar of unknown length.
  return <progress id="progress" max="1" {...(fraction === null ? {} : { value: fraction })} aria-label={words.value.status.progress} hidden={isOver} />;
}

function TryAgain(): JSX.Element | null {
  const { controller } = useServices();
  const failed = usePart(({ engine }) => engine.kind === 'failed');
  if (!failed) return null;
  return (
    <button type="button" id="try-again" onClick={() => void controller.tryAgain()}>
      {words.value.status.tryAgain}
    </button>
  );
}

function Provenance(): JSX.Element {
  const model = usePart((state) => state.model);
  const say = words.value;
  const precision = model && (model.precision === 'f32' ? say.model.fullPrecision : say.model.precision(model.precision));
  return (
    <p id="provenance">
      {model && precision ? say.model.provenance(model.name, precision, number(model.imageSide), model.licence) : say.status.local}
    </p>
  );
}

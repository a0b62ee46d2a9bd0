// The status line (stage and back end, in words and in data attributes) and the progress bar.
import type { Backend, SelfTest, Stage } from '../protocol';
import { byId } from './dom';

export type PageStage = Stage | 'starting' | 'download' | 'ready' | 'cancelling' | 'failed';

const WORDS: Record<PageStage, string> = {
  starting: 'Starting',
  download: 'Loading the model',
  device: 'Preparing the processor',
  'self-test': 'Checking the processor',
  verify: 'Checking the model',
  weights: 'Placing the model on the processor',
  decode: 'Reading the file',
  list: 'Looking for series',
  measure: 'Measuring',
  image: 'Looking at the image',
  prompt: 'Looking for',
  cancelling: 'Cancelling',
  ready: 'Ready',
  failed: 'Not available',
};

const line = byId('status');
const bar = byId<HTMLProgressElement>('progress');
let backend: Backend | '' = '';

/** Names the back end from now on. */
export function setBackend(value: Backend): void {
  backend = value;
}

/** Says how the graphics processor's self-test went: comparisons made, and whether something had to be replaced. */
export function setSelfTest(result: SelfTest | null): void {
  line.dataset['selfTest'] = result ? String(result.checks) : '';
  line.dataset['selfTestError'] = result?.largestError == null ? '' : result.largestError.toExponential(1);
  line.dataset['replaced'] = result?.replaced ? 'true' : 'false';
}

/** Says what is going on; `fraction` in 0..1 where known, `null` where not; `detail` such as a prompt. */
export function showStage(stage: PageStage, fraction: number | null = null, detail = ''): void {
  const where = backend === 'cpu' ? 'cpu (the slow path)' : backend;
  const words = [`${WORDS[stage]}${detail && ` ${detail}`}`, where].filter(Boolean).join(' · ');
  // Screen readers repeat a status that is written again.
  if (line.textContent !== words) line.textContent = words;
  line.dataset['stage'] = stage;
  line.dataset['backend'] = backend;
  bar.hidden = stage === 'ready' || stage === 'failed';
  if (fraction === null) bar.removeAttribute('value');
  else bar.value = fraction;
}

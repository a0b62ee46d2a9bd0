// Everything that can be done by a key: what the keyboard handler, the shortcuts that buttons announce and the help
// sheet are made from.
import type { Controller } from '../controller';
import { canCancel, canExport, canRedo, canSegment, canUndo } from '../state/select';
import type { PageState } from '../state/state';
import type { Catalogue } from '../words/en';

export interface Action {
  /** Its name, and its label's in the catalogue. */
  name: Exclude<keyof Catalogue['keys'], 'heading' | 'open' | 'close' | 'action' | 'key' | 'single' | 'inView' | 'names'>;
  /** As `KeyboardEvent.key` gives them; "Control+" before one that wants it. Any of them does it. */
  keys: readonly string[];
  /** Only while the image has the focus: elsewhere the same key scrolls or belongs to another control. */
  inView?: true;
  /** Those of the keys that act even while text is typed. */
  whileTyping?: readonly string[];
  isEnabled(state: PageState): boolean;
  run(controller: Controller): void;
}

const hasPicture = ({ open }: PageState): boolean => open !== null;
const hasPictures = ({ open }: PageState): boolean => open !== null && open.series.info.slices * open.series.info.frames > 1;
const hasFrames = ({ open }: PageState): boolean => open !== null && open.series.info.slices > 1 && open.series.info.frames > 1;
const hasNeighbour =
  (by: number) =>
  ({ listing, open }: PageState): boolean =>
    open !== null && listing?.info.series[open.series.info.index + by] !== undefined;
const PAN_STEP_PX = 32;

export const actions: readonly Action[] = [
  { name: 'openFiles', keys: ['o'], isEnabled: () => true, run: () => document.getElementById('files')?.click() },
  { name: 'prompts', keys: ['/'], isEnabled: () => true, run: () => document.getElementById('prompts')?.focus() },
  { name: 'segment', keys: ['s', 'Control+Enter'], whileTyping: ['Control+Enter'], isEnabled: canSegment, run: (controller) => void controller.segment() },
  { name: 'cancel', keys: ['Escape'], whileTyping: ['Escape'], isEnabled: canCancel, run: (controller) => void controller.cancel() },
  { name: 'pause', keys: [' '], inView: true, isEnabled: canCancel, run: (controller) => controller.togglePause() },
  { name: 'undo', keys: ['Control+z'], isEnabled: canUndo, run: (controller) => void controller.history('undo') },
  { name: 'redo', keys: ['Control+y', 'Control+Z'], isEnabled: canRedo, run: (controller) => void controller.history('redo') },
  { name: 'export', keys: ['e'], isEnabled: canExport, run: (controller) => controller.showExport(true) },
  { name: 'next', keys: ['PageDown'], inView: true, isEnabled: hasPictures, run: (controller) => controller.step(1) },
  { name: 'previous', keys: ['PageUp'], inView: true, isEnabled: hasPictures, run: (controller) => controller.step(-1) },
  { name: 'first', keys: ['Home'], inView: true, isEnabled: hasPictures, run: (controller) => controller.first() },
  { name: 'last', keys: ['End'], inView: true, isEnabled: hasPictures, run: (controller) => controller.last() },
  { name: 'nextFrame', keys: ['.'], inView: true, isEnabled: hasFrames, run: (controller) => controller.stepFrame(1) },
  { name: 'previousFrame', keys: [','], inView: true, isEnabled: hasFrames, run: (controller) => controller.stepFrame(-1) },
  { name: 'nextSeries', keys: ['n'], isEnabled: hasNeighbour(1), run: (controller) => controller.stepSeries(1) },
  { name: 'previousSeries', keys: ['p'], isEnabled: hasNeighbour(-1), run: (controller) => controller.stepSeries(-1) },
  { name: 'masks', keys: ['m'], isEnabled: hasPicture, run: (controller) => controller.toggleMasks() },
  { name: 'zoomIn', keys: ['+', '='], inView: true, isEnabled: hasPicture, run: (controller) => controller.zoomIn() },
  { name: 'zoomOut', keys: ['-'], inView: true, isEnabled: hasPicture, run: (controller) => controller.zoomOut() },
  { name: 'reset', keys: ['0'], inView: true, isEnabled: hasPicture, run: (controller) => controller.fit() },
  { name: 'panLeft', keys: ['ArrowLeft'], inView: true, isEnabled: hasPicture, run: (controller) => controller.pan(PAN_STEP_PX, 0) },
  { name: 'panRight', keys: ['ArrowRight'], inView: true, isEnabled: hasPicture, run: (controller) => controller.pan(-PAN_STEP_PX, 0) },
  { name: 'panUp', keys: ['ArrowUp'], inView: true, isEnabled: hasPicture, run: (controller) => controller.pan(0, PAN_STEP_PX) },
  { name: 'panDown', keys: ['ArrowDown'], inView: true, isEnabled: hasPicture, run: (controller) => controller.pan(0, -PAN_STEP_PX) },
  { name: 'help', keys: ['?'], isEnabled: () => true, run: (controller) => controller.showHelp(true) },
];

/** For `aria-keyshortcuts` of the control that does the same. */
export function shortcut(name: Action['name']): string {
  const keys = actions.find((action) => action.name === name)?.keys ?? [];
  return keys.map((key) => (key === '+' ? 'Plus' : key)).join(' ');
}

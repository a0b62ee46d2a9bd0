// Everything that can be done by a key: what the keyboard handler, the shortcuts that buttons announce and the help
// sheet are made from.
import type { Controller } from '../controller';
import { canCancel, canSegment } from '../state/select';
import type { PageState } from '../state/state';
import type { Catalogue } from '../words/en';

export interface Action {
  /** Its name, and its label's in the catalogue. */
  name: Exclude<keyof Catalogue['keys'], 'heading' | 'open' | 'close' | 'action' | 'key' | 'single' | 'inView' | 'names'>;
  /** As `KeyboardEvent.key` gives them; "Control+" before one that wants it. Any of them does it. */
  keys: readonly string[];
  /** Only while the image has the focus: elsewhere the same key scrolls or belongs to another control. */
  inView?: true;
  /** Acts even while text is typed. */
  whileTyping?: true;
  isEnabled(state: PageState): boolean;
  run(controller: Controller): void;
}

const hasPicture = ({ open }: PageState): boolean => open !== null;
const hasFrames = ({ open }: PageState): boolean => (open?.picture.frames ?? 0) > 1;
const PAN_STEP_PX = 32;

export const actions: readonly Action[] = [
  { name: 'openFiles', keys: ['o'], isEnabled: () => true, run: () => document.getElementById('files')?.click() },
  { name: 'prompts', keys: ['/'], isEnabled: () => true, run: () => document.getElementById('prompts')?.focus() },
  { name: 'segment', keys: ['s', 'Control+Enter'], isEnabled: canSegment, run: (controller) => void controller.segment() },
  { name: 'cancel', keys: ['Escape'], whileTyping: true, isEnabled: canCancel, run: (controller) => void controller.cancel() },
  { name: 'nextFrame', keys: ['PageDown'], inView: true, isEnabled: hasFrames, run: (controller) => controller.step(1) },
  { name: 'previousFrame', keys: ['PageUp'], inView: true, isEnabled: hasFrames, run: (controller) => controller.step(-1) },
  { name: 'firstFrame', keys: ['Home'], inView: true, isEnabled: hasFrames, run: (controller) => controller.firstFrame() },
  { name: 'lastFrame', keys: ['End'], inView: true, isEnabled: hasFrames, run: (controller) => controller.lastFrame() },
  { name: 'nextImage', keys: ['n'], isEnabled: ({ queue }) => queue !== null && queue.at + 1 < queue.count, run: (controller) => controller.stepQueue(1) },
  { name: 'previousImage', keys: ['p'], isEnabled: ({ queue }) => queue !== null && queue.at > 0, run: (controller) => controller.stepQueue(-1) },
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

// Which action a key stands for, and the listener that runs it.
import type { Controller } from '../controller';
import { page } from '../state/page';
import type { PageState } from '../state/state';
import { actions, type Action } from './table';

/** A key press, as far as it matters here. */
export interface Press {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  /** The focus is where text is typed. */
  isTyping: boolean;
  /** The focus is on the image. */
  isInView: boolean;
}

/** The action of a press; nothing where it has none, or may not act now. */
export function actionOf(press: Press, state: PageState): Action | undefined {
  if (press.metaKey || press.altKey) return undefined;
  const name = press.ctrlKey ? `Control+${press.key}` : press.key;
  // A character alone: what is said to the machine by voice comes as such, and may be switched off (WCAG 2.1.4).
  const isSingle = !press.ctrlKey && press.key.length === 1;
  const fits = (action: Action): boolean =>
    action.keys.includes(name) &&
    (!action.inView || press.isInView) &&
    (!press.isTyping || action.whileTyping?.includes(name) === true) &&
    (!isSingle || action.inView === true || state.singleKeys);
  const found = actions.find(fits);
  return found?.isEnabled(state) ? found : undefined;
}

const TEXT_FIELDS = 'textarea, select, [contenteditable], input:not([type=checkbox], [type=radio], [type=range], [type=file], [type=button])';

/** Listens on the whole document. */
export function listenToKeys(controller: Controller): void {
  document.addEventListener('keydown', (event) => {
    const target = event.target instanceof Element ? event.target : document.body;
    // A dialog has its own keys.
    if (event.defaultPrevented || target.closest('dialog')) return;
    const { key, ctrlKey, metaKey, altKey } = event;
    const press = { key, ctrlKey, metaKey, altKey, isTyping: target.matches(TEXT_FIELDS), isInView: target.id === 'viewer' };
    const action = actionOf(press, page.peek());
    if (!action) return;
    event.preventDefault();
    action.run(controller);
  });
}

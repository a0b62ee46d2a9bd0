// The alert region: at most one error, and notices that stay until dismissed. Each entry, and the
// region itself for the latest, carries the failure's code in `data-code`.
import type { Failure } from '../protocol';
import { byId, element } from './dom';

const region = byId('alerts');

function add(failure: Failure, kind: 'error' | 'notice'): void {
  region.querySelectorAll(`[data-code="${CSS.escape(failure.code)}"]`).forEach((old) => old.remove());
  const close = element('button', { type: 'button', className: 'close', ariaLabel: 'Dismiss message' }, '×');
  const entry = element(
    'div',
    { className: `message ${kind}` },
    element('p', {}, element('strong', {}, failure.message), ` ${failure.nextStep} `, element('code', {}, failure.code)),
    close,
  );
  entry.dataset['code'] = failure.code;
  close.addEventListener('click', () => {
    entry.remove();
    relabel();
  });
  region.append(entry);
  relabel();
}

function relabel(): void {
  const last = region.lastElementChild as HTMLElement | null;
  if (last?.dataset['code']) region.dataset['code'] = last.dataset['code'];
  else delete region.dataset['code'];
}

/** Something failed. Replaces the last error. */
export function showError(failure: Failure): void {
  clearErrors();
  add(failure, 'error');
}

/** Something works, but not as one might expect. */
export function showNotice(failure: Failure): void {
  add(failure, 'notice');
}

/** An action succeeded: earlier errors are no longer true. */
export function clearErrors(): void {
  region.querySelectorAll('.error').forEach((old) => old.remove());
  relabel();
}

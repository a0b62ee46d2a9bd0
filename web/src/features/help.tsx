// The help sheet: every key and what it does, made from the table of actions.
import type { JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { actions } from '../actions/table';
import { words } from '../words/language';
import { useServices } from './context';
import { usePart } from './use';

export function HelpSheet(): JSX.Element {
  const { controller } = useServices();
  const dialog = useRef<HTMLDialogElement>(null);
  const isOpen = usePart((state) => state.helpOpen);
  const singleKeys = usePart((state) => state.singleKeys);
  useLayoutEffect(() => {
    if (isOpen && !dialog.current?.open) dialog.current?.showModal();
    if (!isOpen) dialog.current?.close();
  }, [isOpen]);
  const say = words.value.keys;
  return (
    <dialog id="help" ref={dialog} aria-labelledby="help-heading" onClose={() => controller.showHelp(false)}>
      <h2 id="help-heading">{say.heading}</h2>
      <label class="check">
        <input type="checkbox" checked={singleKeys} onChange={(event) => controller.chooseSingleKeys(event.currentTarget.checked)} />
        {say.single}
      </label>
      <table>
        <thead>
          <tr>
            <th scope="col">{say.key}</th>
            <th scope="col">{say.action}</th>
          </tr>
        </thead>
        <tbody>
          {actions.map(({ name, keys, inView }) => (
            <tr key={name}>
              <td>
                {keys.map((key) => (
                  <kbd key={key}>{keyInWords(key)}</kbd>
                ))}
              </td>
              <td>{inView ? `${say[name]} (${say.inView})` : say[name]}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <button type="button" class="primary" onClick={() => controller.showHelp(false)}>
        {say.close}
      </button>
    </dialog>
  );
}

const keyInWords = (key: string): string =>
  key
    .split(/\+(?=.)/)
    .map((one) => words.value.keys.names[one] ?? one)
    .join(' + ');

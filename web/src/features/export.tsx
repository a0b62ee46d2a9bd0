// The dialog "Export": a box per format, whether the patient is named, and what could not be written.
import type { JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { ExportFormat } from '../protocol';
import { dispatch } from '../state/page';
import { failureInWords, number, words } from '../words/language';
import { useServices } from './context';
import { usePart } from './use';

const FORMATS: readonly ExportFormat[] = ['seg', 'rtstruct', 'nifti', 'png', 'csv'];

export function ExportSheet(): JSX.Element {
  const { controller } = useServices();
  const dialog = useRef<HTMLDialogElement>(null);
  const { isOpen, formats, deidentify } = usePart((state) => state.exporting);
  const isBusy = usePart(({ work }) => work.kind !== 'idle');
  useLayoutEffect(() => {
    if (isOpen && !dialog.current?.open) dialog.current?.showModal();
    if (!isOpen) dialog.current?.close();
  }, [isOpen]);
  const say = words.value.export;
  const choose = (format: ExportFormat, on: boolean): void => {
    const others = formats.filter((one) => one !== format);
    dispatch({ kind: 'export-changed', exporting: { formats: on ? [...others, format] : others } });
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    void controller.save();
  };
  return (
    <dialog id="export-dialog" ref={dialog} aria-labelledby="export-heading" onClose={() => controller.showExport(false)}>
      <h2 id="export-heading">{say.heading}</h2>
      <p class="hint">{say.hint}</p>
      <form class="formats" onSubmit={submit}>
        {FORMATS.map((format) => (
          <label key={format} class="check">
            <input type="checkbox" checked={formats.includes(format)} onChange={(event) => choose(format, event.currentTarget.checked)} />
            {say.formats[format]}
          </label>
        ))}
        <label class="check">
          <input type="checkbox" checked={deidentify} onChange={(event) => dispatch({ kind: 'export-changed', exporting: { deidentify: event.currentTarget.checked } })} />
          {say.deidentify}
        </label>
        <Outcome />
        <div class="actions">
          <button type="submit" class="primary" disabled={isBusy || formats.length === 0}>
            {say.save}
          </button>
          <button type="button" onClick={() => controller.showExport(false)}>
            {say.close}
          </button>
        </div>
      </form>
    </dialog>
  );
}

/** What became of the last "Save". */
function Outcome(): JSX.Element {
  const { refused, saved } = usePart((state) => state.exporting);
  const say = words.value.export;
  return (
    <div id="export-outcome" aria-live="polite">
      {saved > 0 && <p>{say.saved(number(saved))}</p>}
      {refused.map(({ format, failure }) => {
        const { code, message, nextStep } = failureInWords(failure);
        return (
          <p key={format} class="warn" data-code={code}>
            {say.refused(say.formats[format], `${message} ${nextStep}`)}
          </p>
        );
      })}
    </div>
  );
}

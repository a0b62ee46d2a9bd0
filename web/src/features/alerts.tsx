// The alert region: at most one error, and notices that stay until dismissed. Each entry, and the region itself for the
// latest, carries the failure's code in `data-code`.
import type { JSX } from 'preact';
import { dispatch } from '../state/page';
import type { Alert } from '../state/state';
import { failureInWords, words } from '../words/language';
import { usePart } from './use';

export function Alerts(): JSX.Element {
  const alerts = usePart((state) => state.alerts);
  return (
    <div id="alerts" role="alert" aria-label={words.value.view.messages} data-code={alerts.at(-1)?.failure.code}>
      {alerts.map((alert) => (
        <Message key={alert.failure.code} alert={alert} />
      ))}
    </div>
  );
}

function Message({ alert: { kind, failure } }: { alert: Alert }): JSX.Element {
  const { code, message, nextStep, isOriginal } = failureInWords(failure);
  return (
    <div class={`message ${kind}`} data-code={code}>
      <p lang={isOriginal ? 'en' : undefined}>
        <strong>{message}</strong> {nextStep} <code>{code}</code>
      </p>
      <button type="button" class="close" aria-label={words.value.status.dismiss} onClick={() => dispatch({ kind: 'dismissed', code })}>
        ×
      </button>
    </div>
  );
}

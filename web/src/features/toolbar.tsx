// Slice and frame, window, opacity of masks, zoom.
import type { JSX } from 'preact';
import { shortcut } from '../actions/table';
import { dispatch } from '../state/page';
import { number, words } from '../words/language';
import { useServices } from './context';
import { usePart, valueOf } from './use';

export function Toolbar(): JSX.Element {
  const hasPicture = usePart(({ open }) => open !== null);
  return (
    <div class="tools" id="tools" role="toolbar" aria-label={words.value.view.toolbar} hidden={!hasPicture}>
      <Places />
      <Window />
      <span class="spacer" />
      <Opacity />
      <Placement />
    </div>
  );
}

/** Two sliders where there are both: slices along the patient, frames along time or echoes. */
function Places(): JSX.Element {
  const { controller } = useServices();
  const slices = usePart(({ open }) => open?.series.info.slices ?? 1);
  const frames = usePart(({ open }) => open?.series.info.frames ?? 1);
  const slice = usePart(({ open }) => open?.place.slice ?? 0);
  const frame = usePart(({ open }) => open?.place.frame ?? 0);
  const say = words.value.view;
  return (
    <>
      <Place id="slice" label={say.slice} at={slice} count={slices} choose={(at) => controller.showSlice(at)} />
      <Place id="frame" label={say.frame} at={frame} count={frames} choose={(at) => controller.showFrame(at)} />
    </>
  );
}

/** Counted from 1. */
function Place({ id, label, at, count, choose }: { id: string; label: string; at: number; count: number; choose: (at: number) => void }): JSX.Element {
  return (
    <span class="frames" hidden={count < 2}>
      <label for={id}>{label}</label>
      <input type="range" id={id} min="1" max={count} value={at + 1} onInput={(event) => choose(Number(valueOf(event)) - 1)} />
      <output id={`${id}-position`} for={id}>{`${number(at + 1)} / ${number(count)}`}</output>
    </span>
  );
}

const rounded = (value: number): number => Math.round(value * 10) / 10;

function Window(): JSX.Element {
  const { controller } = useServices();
  const window = usePart(({ open }) => open?.window ?? null);
  const say = words.value.view;
  const center = rounded(window?.center ?? 0);
  const width = rounded(window?.width ?? 1);
  return (
    <span class="window" id="window-tools" hidden={!window}>
      <label for="window-center">{say.center}</label>
      <input type="number" id="window-center" step="any" value={center} onChange={(event) => controller.setWindow({ center: Number(valueOf(event)), width: window?.width ?? 1 })} />
      <label for="window-width">{say.width}</label>
      <input type="number" id="window-width" step="any" min="1" value={width} onChange={(event) => controller.setWindow({ center: window?.center ?? 0, width: Number(valueOf(event)) })} />
    </span>
  );
}

function Opacity(): JSX.Element {
  const opacity = usePart((state) => state.opacity);
  return (
    <span>
      <label for="opacity">{words.value.view.mask}</label>
      <input type="range" id="opacity" min="0" max="100" value={Math.round(opacity * 100)} onInput={(event) => dispatch({ kind: 'opacity-chosen', opacity: Number(valueOf(event)) / 100 })} />
    </span>
  );
}

function Placement(): JSX.Element {
  const { controller } = useServices();
  const say = words.value.view;
  return (
    <>
      <button type="button" id="zoom-out" aria-label={say.zoomOut} aria-keyshortcuts={shortcut('zoomOut')} onClick={() => controller.zoomOut()}>
        −
      </button>
      <button type="button" id="zoom-in" aria-label={say.zoomIn} aria-keyshortcuts={shortcut('zoomIn')} onClick={() => controller.zoomIn()}>
        +
      </button>
      <button type="button" id="reset" onClick={() => controller.resetView()}>
        {say.reset}
      </button>
    </>
  );
}

// Frame, window, opacity of masks, zoom.
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
      <Frames />
      <Window />
      <span class="spacer" />
      <Opacity />
      <Placement />
    </div>
  );
}

function Frames(): JSX.Element {
  const { controller } = useServices();
  const frames = usePart(({ open }) => open?.picture.frames ?? 1);
  const frame = usePart(({ open }) => open?.frame ?? 0);
  return (
    <span class="frames" id="frame-tools" hidden={frames < 2}>
      <label for="frame">{words.value.view.frame}</label>
      <input type="range" id="frame" min="1" max={frames} value={frame + 1} onInput={(event) => void controller.showFrame(Number(valueOf(event)) - 1)} />
      <output id="frame-position" for="frame">{`${number(frame + 1)} / ${number(frames)}`}</output>
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

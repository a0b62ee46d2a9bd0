// Pointer, wheel and keys on the view. Everything the pointer does can be done with keys.
import type { ViewerPort } from './port';

export interface Actions {
  /** The window moves by a share of its own width. */
  nudgeWindow(center: number, width: number): void;
  /** Goes `by` frames on. */
  step(by: number): void;
}

const ZOOM_STEP = 1.2;
const PAN_STEP_PX = 32;

/** Wires `element`; `ready` says whether there is a picture to act on. */
export function interact(element: HTMLElement, viewer: ViewerPort, actions: Actions, ready: () => boolean): void {
  let drag: { x: number; y: number; pan: boolean } | undefined;

  element.addEventListener('pointerdown', (event) => {
    if (!ready()) return;
    drag = { x: event.clientX, y: event.clientY, pan: event.shiftKey || event.button !== 0 };
    element.setPointerCapture(event.pointerId);
  });
  element.addEventListener('pointermove', (event) => {
    if (!drag) return;
    const dx = event.clientX - drag.x;
    const dy = event.clientY - drag.y;
    drag = { ...drag, x: event.clientX, y: event.clientY };
    if (drag.pan) viewer.pan(dx, dy);
    else actions.nudgeWindow(dy / element.clientHeight, dx / element.clientWidth);
  });
  const release = (): void => void (drag = undefined);
  element.addEventListener('pointerup', release);
  element.addEventListener('pointercancel', release);
  element.addEventListener('contextmenu', (event) => event.preventDefault());

  element.addEventListener(
    'wheel',
    (event) => {
      if (!ready()) return;
      event.preventDefault();
      if (!event.ctrlKey) return actions.step(Math.sign(event.deltaY));
      const at = element.getBoundingClientRect();
      viewer.zoom(ZOOM_STEP ** -Math.sign(event.deltaY), event.clientX - at.left, event.clientY - at.top);
    },
    { passive: false },
  );

  const zoom = (factor: number): void => viewer.zoom(factor, element.clientWidth / 2, element.clientHeight / 2);
  const keys: Record<string, () => void> = {
    ArrowLeft: () => viewer.pan(PAN_STEP_PX, 0),
    ArrowRight: () => viewer.pan(-PAN_STEP_PX, 0),
    ArrowUp: () => viewer.pan(0, PAN_STEP_PX),
    ArrowDown: () => viewer.pan(0, -PAN_STEP_PX),
    '+': () => zoom(ZOOM_STEP),
    '=': () => zoom(ZOOM_STEP),
    '-': () => zoom(1 / ZOOM_STEP),
    '0': () => viewer.reset(),
    PageUp: () => actions.step(-1),
    PageDown: () => actions.step(1),
  };
  element.addEventListener('keydown', (event) => {
    const act = keys[event.key];
    if (!act || !ready() || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
}

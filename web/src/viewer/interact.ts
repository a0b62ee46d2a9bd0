// Pointer and wheel on the view. Everything that they do can be done with keys too (`actions/table.ts`).
export interface Pointed {
  /** Whether there is a picture to act on. */
  isReady(): boolean;
  /** The window moves by a share of its own width. */
  nudgeWindow(center: number, width: number): void;
  pan(dx: number, dy: number): void;
  zoom(factor: number, x: number, y: number): void;
  /** Goes `by` frames on. */
  step(by: number): void;
}

const ZOOM_STEP = 1.2;

/** Wires `element`. */
export function interact(element: HTMLElement, act: Pointed): void {
  let drag: { x: number; y: number; pan: boolean } | undefined;

  element.addEventListener('pointerdown', (event) => {
    if (!act.isReady()) return;
    drag = { x: event.clientX, y: event.clientY, pan: event.shiftKey || event.button !== 0 };
    element.setPointerCapture(event.pointerId);
  });
  element.addEventListener('pointermove', (event) => {
    if (!drag) return;
    const dx = event.clientX - drag.x;
    const dy = event.clientY - drag.y;
    drag = { ...drag, x: event.clientX, y: event.clientY };
    if (drag.pan) act.pan(dx, dy);
    else act.nudgeWindow(dy / element.clientHeight, dx / element.clientWidth);
  });
  const release = (): void => void (drag = undefined);
  element.addEventListener('pointerup', release);
  element.addEventListener('pointercancel', release);
  element.addEventListener('contextmenu', (event) => event.preventDefault());

  element.addEventListener(
    'wheel',
    (event) => {
      if (!act.isReady()) return;
      event.preventDefault();
      if (!event.ctrlKey) return act.step(Math.sign(event.deltaY));
      const at = element.getBoundingClientRect();
      act.zoom(ZOOM_STEP ** -Math.sign(event.deltaY), event.clientX - at.left, event.clientY - at.top);
    },
    { passive: false },
  );
}

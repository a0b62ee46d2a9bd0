// The image view: where the viewer and the masks are drawn, and what stands there while there is nothing to draw.
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { page } from '../state/page';
import { CornerstoneViewer } from '../viewer/cornerstone';
import { interact } from '../viewer/interact';
import { Overlay } from '../viewer/overlay';
import { failureInWords, words } from '../words/language';
import { useServices } from './context';
import { usePart } from './use';

export function View(): JSX.Element {
  const { controller } = useServices();
  const element = useRef<HTMLDivElement>(null);
  const picture = useRef<HTMLDivElement>(null);
  const masks = useRef<HTMLCanvasElement>(null);
  const hasPicture = usePart(({ open }) => open !== null);
  const fault = usePart(({ open }) => open?.fault ?? null);
  useEffect(() => {
    if (!element.current || !picture.current || !masks.current) return;
    controller.attach({ viewer: new CornerstoneViewer(picture.current), overlay: new Overlay(masks.current), element: element.current });
    interact(element.current, {
      isReady: () => page.peek().open !== null,
      nudgeWindow: (center, width) => controller.nudgeWindow(center, width),
      pan: (dx, dy) => controller.pan(dx, dy),
      zoom: (factor, x, y) => controller.zoom(factor, x, y),
      step: (by) => controller.step(by),
    });
  }, [controller]);
  const say = words.value.view;
  const notShown = fault && failureInWords(fault);
  return (
    <div class={fault ? 'viewer unshown' : 'viewer'} id="viewer" ref={element} tabindex={0} role="group" aria-label={say.image} aria-describedby="viewer-hint">
      <div class="picture" ref={picture} />
      <canvas class="overlay" aria-hidden="true" ref={masks} />
      <Edges />
      <BurnedIn />
      <p class="empty" id="empty" hidden={hasPicture && !fault}>
        {notShown ? `${notShown.message} ${notShown.nextStep}` : say.empty}
      </p>
    </div>
  );
}

/** Which side of the patient is at each edge. Where that is unknown nothing is claimed. */
function Edges(): JSX.Element | null {
  const edges = usePart(({ open }) => (open && !open.fault ? (open.series.planes[open.place.slice]?.edges ?? null) : null));
  if (!edges) return null;
  const [left, right, top, bottom] = edges;
  return (
    <div id="edges" class="edges" data-left={left} data-right={right} data-top={top} data-bottom={bottom}>
      <span class="edge-left">{left}</span>
      <span class="edge-right">{right}</span>
      <span class="edge-top">{top}</span>
      <span class="edge-bottom">{bottom}</span>
    </div>
  );
}

function BurnedIn(): JSX.Element | null {
  const isLikely = usePart(({ open }) => open?.series.info.problems.includes('burned-in-text') ?? false);
  return isLikely ? <p class="banner">{words.value.series.burnedIn}</p> : null;
}

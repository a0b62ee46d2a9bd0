// Masks over the picture: each pixel of a mask covers exactly its pixel of the picture, with no
// smoothing, and an outline one view pixel wide where the mask ends.
import type { Placement } from './port';

/** A mask to paint: a byte, 0 or 1, per pixel of the picture. */
export interface Layer {
  mask: Uint8Array;
  rgb: [number, number, number];
}

export class Overlay {
  #painted: HTMLCanvasElement[] = [];
  #outlines: { path: Path2D; color: string }[] = [];
  #opacity = 0.45;
  #placement: Placement | undefined;

  constructor(readonly canvas: HTMLCanvasElement) {
    new ResizeObserver(() => this.#draw()).observe(canvas);
  }

  /** Replaces all masks; the first lies at the bottom. */
  setLayers(width: number, height: number, layers: Layer[]): void {
    this.#painted = layers.map((layer) => paint(width, height, layer));
    this.#outlines = layers.map((layer) => ({
      path: outline(width, height, layer.mask),
      color: `rgb(${layer.rgb.join(' ')})`,
    }));
    this.#draw();
  }

  /** 0 hides the masks, 1 hides the picture below them. */
  setOpacity(opacity: number): void {
    this.#opacity = opacity;
    this.#draw();
  }

  /** Follows the picture. */
  place(placement: Placement): void {
    this.#placement = placement;
    this.#draw();
  }

  #draw(): void {
    const ratio = window.devicePixelRatio;
    const width = Math.round(this.canvas.clientWidth * ratio);
    const height = Math.round(this.canvas.clientHeight * ratio);
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const context = this.canvas.getContext('2d');
    if (!context) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!this.#placement || this.#opacity === 0) return;
    const { scaleX, scaleY, left, top } = this.#placement;
    context.setTransform(scaleX * ratio, 0, 0, scaleY * ratio, left * ratio, top * ratio);
    context.imageSmoothingEnabled = false;
    context.globalAlpha = this.#opacity;
    for (const layer of this.#painted) context.drawImage(layer, 0, 0);
    context.globalAlpha = Math.min(1, this.#opacity * 2);
    context.lineWidth = 1.25 / Math.max(scaleX, scaleY);
    for (const { path, color } of this.#outlines) {
      context.strokeStyle = color;
      context.stroke(path);
    }
  }
}

function paint(width: number, height: number, { mask, rgb }: Layer): HTMLCanvasElement {
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const image = new ImageData(width, height);
  const words = new Uint32Array(image.data.buffer);
  // ImageData is RGBA in memory order; every platform that runs a browser is little-endian.
  const word = (0xff << 24) | (rgb[2] << 16) | (rgb[1] << 8) | rgb[0];
  mask.forEach((set, at) => {
    if (set) words[at] = word;
  });
  canvas.getContext('2d')?.putImageData(image, 0, 0);
  return canvas;
}

/** The edges between pixels inside and outside, as horizontal and vertical runs. */
function outline(width: number, height: number, mask: Uint8Array): Path2D {
  const path = new Path2D();
  const inside = (x: number, y: number): boolean =>
    x >= 0 && y >= 0 && x < width && y < height && mask[y * width + x] === 1;
  for (let y = 0; y <= height; y++) {
    let start = -1;
    for (let x = 0; x <= width; x++) {
      const edge = x < width && inside(x, y) !== inside(x, y - 1);
      if (edge && start < 0) start = x;
      if (!edge && start >= 0) {
        path.moveTo(start, y);
        path.lineTo(x, y);
        start = -1;
      }
    }
  }
  for (let x = 0; x <= width; x++) {
    let start = -1;
    for (let y = 0; y <= height; y++) {
      const edge = y < height && inside(x, y) !== inside(x - 1, y);
      if (edge && start < 0) start = y;
      if (!edge && start >= 0) {
        path.moveTo(x, start);
        path.lineTo(x, y);
        start = -1;
      }
    }
  }
  return path;
}

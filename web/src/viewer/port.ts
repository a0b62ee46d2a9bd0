// What the page needs of a viewer, so that the one in use can be replaced. Pixel coordinates of a picture: column 0 spans
// 0..1, row 0 spans 0..1. Coordinates of the view: CSS pixels from its top left.
import type { WindowLevel } from '../protocol';

/** What a picture is. */
export interface Facts {
  columns: number;
  rows: number;
  /** Distance of rows and of columns; `null` where unknown: pixels are square then. */
  spacingMm: [number, number] | null;
}

/** A picture's pixels, row by row: one f32 per pixel (grey) or three bytes (RGB). */
export interface PicturePixels extends Facts {
  values: Float32Array | Uint8Array;
  minimum: number;
  maximum: number;
}

/** Pictures that are looked at one after the other. They may differ in size. */
export interface Stack {
  count: number;
  isColor: boolean;
  modality: string | null;
  /** Small values are white (MONOCHROME1). */
  inverted: boolean;
  window: WindowLevel | null;
  /** Called when a picture is first shown. */
  fetch: (index: number) => Promise<PicturePixels>;
}

/** x_view = scaleX * x_picture + left, and likewise for y: views are neither rotated nor flipped. */
export interface Placement {
  scaleX: number;
  scaleY: number;
  left: number;
  top: number;
}

export interface ViewerPort {
  /** Shows a picture of another stack, fitted to the view; resolves to what it is. */
  open(stack: Stack, index: number): Promise<Facts>;
  /** Shows another picture of the stack with the same placement and window. */
  show(index: number): Promise<Facts>;
  /** Grey pictures only. */
  setWindow(window: WindowLevel): void;
  /** Multiplies the zoom, keeping the point at (x, y) of the view where it is. */
  zoom(factor: number, x: number, y: number): void;
  /** Moves the picture by CSS pixels. */
  pan(dx: number, dy: number): void;
  /** Fits the picture to the view. */
  reset(): void;
  /** Where the picture is now. */
  placement(): Placement;
  /** Called after every change of placement. */
  onPlacement: () => void;
}

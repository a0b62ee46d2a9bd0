// What the page needs of a viewer, so that the one in use can be replaced. Pixel coordinates of a
// picture: column 0 spans 0..1, row 0 spans 0..1. Coordinates of the view: CSS pixels from its top left.
import type { PictureInfo, WindowLevel } from '../protocol';

/** Pixels of one frame, row by row: one f32 per pixel (grey) or three bytes (RGB). */
export interface FramePixels {
  values: Float32Array | Uint8Array;
  minimum: number;
  maximum: number;
}

/** x_view = scaleX * x_picture + left, and likewise for y: views are neither rotated nor flipped. */
export interface Placement {
  scaleX: number;
  scaleY: number;
  left: number;
  top: number;
}

export interface ViewerPort {
  /** Shows frame 0 of a picture, fitted to the view; frames are fetched when first shown. */
  open(picture: PictureInfo, fetchFrame: (frame: number) => Promise<FramePixels>): Promise<void>;
  /** Shows another frame with the same placement and window. */
  showFrame(frame: number): Promise<void>;
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

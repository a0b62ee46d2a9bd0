// The viewer on Cornerstone3D: a stack viewport fed with the pictures that the worker decoded, so that
// what is shown and what the model sees come from one decoder.
import { Enums, RenderingEngine, cache, eventTarget, imageLoader, init, metaData, utilities, type Types } from '@cornerstonejs/core';
import type { WindowLevel } from '../protocol';
import type { Facts, Placement, Stack, ViewerPort } from './port';

const SCHEME = 'medsam3';
const VIEWPORT = 'picture';
/** Zoom limits, in view pixels per picture pixel. */
const LEAST_SCALE = 0.02;
const GREATEST_SCALE = 64;
/** What decoded pictures may take; those looked at longest ago go first. */
const CACHE_BYTES = 512 * 2 ** 20;

interface Open {
  serial: number;
  stack: Stack;
  /** What is known of the pictures that were loaded. Their pixels are in Cornerstone's own cache. */
  loaded: Map<string, Facts>;
  shown: Facts;
}

const UNKNOWN: Facts = { columns: 1, rows: 1, spacingMm: null };

export class CornerstoneViewer implements ViewerPort {
  onPlacement: () => void = () => {};
  #engine: RenderingEngine;
  #open: Open | undefined;
  #serial = 0;
  #loadError: unknown;

  constructor(element: HTMLDivElement) {
    init();
    cache.setMaxCacheSize(CACHE_BYTES);
    imageLoader.registerImageLoader(SCHEME, (id: string) => ({ promise: this.#load(id) }));
    metaData.addProvider((type: string, id: unknown) => this.#metadata(type, id), 1000);
    this.#engine = new RenderingEngine('medsam3');
    this.#engine.enableElement({
      viewportId: VIEWPORT,
      type: Enums.ViewportType.STACK,
      element,
      defaultOptions: { background: [0, 0, 0] },
    });
    eventTarget.addEventListener(Enums.Events.IMAGE_LOAD_ERROR, (event: Event) => {
      this.#loadError ??= (event as CustomEvent).detail;
    });
    element.addEventListener(Enums.Events.IMAGE_RENDERED, () => this.onPlacement());
    new ResizeObserver(() => this.#engine.resize(true, true)).observe(element);
  }

  async open(stack: Stack, index: number): Promise<Facts> {
    cache.purgeCache();
    const open = { serial: ++this.#serial, stack, loaded: new Map<string, Facts>(), shown: UNKNOWN };
    this.#open = open;
    const ids = Array.from({ length: stack.count }, (_, at) => this.#id(at));
    const shown = await this.#loaded(index, this.#viewport().setStack(ids, index));
    this.#viewport().setProperties({ invert: stack.inverted });
    if (stack.window) this.#applyWindow(stack.window);
    this.reset();
    return shown;
  }

  async show(index: number): Promise<Facts> {
    const shown = await this.#loaded(index, this.#viewport().setImageIdIndex(index));
    this.#viewport().render();
    this.onPlacement();
    return shown;
  }

  setWindow(window: WindowLevel): void {
    this.#applyWindow(window);
    this.#viewport().render();
  }

  zoom(factor: number, x: number, y: number): void {
    const viewport = this.#viewport();
    const before = this.placement();
    const scale = Math.min(GREATEST_SCALE, Math.max(LEAST_SCALE, before.scaleX * factor));
    viewport.setZoom(viewport.getZoom() * (scale / before.scaleX));
    const after = this.placement();
    const column = (x - before.left) / before.scaleX;
    const row = (y - before.top) / before.scaleY;
    this.pan(x - (column * after.scaleX + after.left), y - (row * after.scaleY + after.top));
  }

  pan(dx: number, dy: number): void {
    const viewport = this.#viewport();
    const [x, y] = viewport.getPan();
    viewport.setPan([x + dx, y + dy]);
    viewport.render();
  }

  reset(): void {
    this.#viewport().resetCamera();
    this.#viewport().render();
  }

  placement(): Placement {
    const { shown } = this.#current();
    const [rowSpacing, columnSpacing] = spacing(shown);
    const viewport = this.#viewport();
    // The centre of the first pixel is the origin of the world: its corner is half a pixel before.
    const [left, top] = viewport.worldToCanvas([-0.5 * columnSpacing, -0.5 * rowSpacing, 0]);
    const [right, bottom] = viewport.worldToCanvas([
      (shown.columns - 0.5) * columnSpacing,
      (shown.rows - 0.5) * rowSpacing,
      0,
    ]);
    return { scaleX: (right - left) / shown.columns, scaleY: (bottom - top) / shown.rows, left, top };
  }

  #applyWindow({ center, width }: WindowLevel): void {
    // The end points of DICOM's linear function, PS3.3 C.11.2.1.2.1.
    const lower = center - 0.5 - (width - 1) / 2;
    this.#viewport().setProperties({ voiRange: { lower, upper: lower + Math.max(width - 1, 1e-6) } });
  }

  /** Cornerstone resolves even when a frame could not be loaded, and tells of it by an event. */
  async #loaded(index: number, loading: Promise<unknown>): Promise<Facts> {
    this.#loadError = undefined;
    await loading;
    if (this.#loadError !== undefined) throw this.#loadError;
    const open = this.#current();
    open.shown = open.loaded.get(this.#id(index)) ?? UNKNOWN;
    return open.shown;
  }

  #viewport(): Types.IStackViewport {
    return this.#engine.getViewport(VIEWPORT) as Types.IStackViewport;
  }

  #current(): Open {
    if (!this.#open) throw new Error('no picture is open');
    return this.#open;
  }

  #id(frame: number): string {
    return `${SCHEME}:${this.#serial}/${frame}`;
  }

  async #load(id: string): Promise<Types.IImage> {
    const { stack, serial, loaded } = this.#current();
    // A picture of a series that was in view before is not one of this.
    if (!id.startsWith(`${SCHEME}:${serial}/`)) throw new Error('the series is not in view any more');
    const picture = await stack.fetch(Number(id.split('/')[1])).catch((error: unknown) => {
      this.#loadError = error;
      throw error;
    });
    const { values, minimum, maximum, columns: width, rows: height, spacingMm } = picture;
    loaded.set(id, { columns: width, rows: height, spacingMm });
    const [rowSpacing, columnSpacing] = spacing(picture);
    const color = stack.isColor;
    const voxelManager = utilities.VoxelManager.createImageVoxelManager({
      width,
      height,
      scalarData: values,
      numberOfComponents: color ? 3 : 1,
      id,
    });
    return {
      imageId: id,
      minPixelValue: minimum,
      maxPixelValue: maximum,
      slope: 1,
      intercept: 0,
      windowCenter: stack.window?.center ?? 128,
      windowWidth: stack.window?.width ?? 256,
      voiLUTFunction: Enums.VOILUTFunctionType.LINEAR,
      getPixelData: () => voxelManager.getScalarData() as Types.PixelDataTypedArray,
      getCanvas: () => document.createElement('canvas'),
      rows: height,
      columns: width,
      height,
      width,
      color,
      rgba: false,
      numberOfComponents: color ? 3 : 1,
      columnPixelSpacing: columnSpacing,
      rowPixelSpacing: rowSpacing,
      invert: false,
      photometricInterpretation: color ? 'RGB' : 'MONOCHROME2',
      sizeInBytes: values.byteLength,
      voxelManager,
      dataType: color ? 'Uint8Array' : 'Float32Array',
    } as Types.IImage;
  }

  #metadata(type: string, id: unknown): unknown {
    if (typeof id !== 'string' || !id.startsWith(`${SCHEME}:`) || !this.#open) return undefined;
    const { stack, loaded } = this.#open;
    // Cornerstone asks of pictures before they are loaded, too.
    const facts = loaded.get(id) ?? UNKNOWN;
    const color = stack.isColor;
    const [rowSpacing, columnSpacing] = spacing(facts);
    switch (type) {
      case Enums.MetadataModules.IMAGE_PLANE:
        return {
          frameOfReferenceUID: SCHEME,
          rows: facts.rows,
          columns: facts.columns,
          imageOrientationPatient: [1, 0, 0, 0, 1, 0],
          rowCosines: [1, 0, 0],
          columnCosines: [0, 1, 0],
          imagePositionPatient: [0, 0, 0],
          pixelSpacing: [rowSpacing, columnSpacing],
          rowPixelSpacing: rowSpacing,
          columnPixelSpacing: columnSpacing,
        };
      case Enums.MetadataModules.IMAGE_PIXEL: {
        const bits = color ? 8 : 32;
        return {
          samplesPerPixel: color ? 3 : 1,
          photometricInterpretation: color ? 'RGB' : 'MONOCHROME2',
          rows: facts.rows,
          columns: facts.columns,
          bitsAllocated: bits,
          bitsStored: bits,
          highBit: bits - 1,
          pixelRepresentation: color ? 0 : 1,
        };
      }
      case Enums.MetadataModules.GENERAL_SERIES:
        return { modality: stack.modality ?? 'OT' };
      default:
        return undefined;
    }
  }
}

/** Row and column spacing; an uncalibrated picture has square pixels. */
function spacing({ spacingMm }: Facts): [number, number] {
  return spacingMm ?? [1, 1];
}

// What this machine has, as far as a browser tells: the graphics processor and its limits, memory, storage.

export interface Gpu {
  name: string;
  /** A software renderer: correct, and slow. */
  isSoftware: boolean;
  hasF16: boolean;
  /** The largest storage buffer that one shader may see. */
  maxBindingBytes: number;
  maxBufferBytes: number;
}

export interface Machine {
  /** Absent where the model would run on the CPU. */
  gpu: Gpu | undefined;
  /** Main memory in GiB, rounded and capped by the browser; absent where it does not tell. */
  memoryGib: number | undefined;
}

/** Asks the browser; nothing is fetched. */
export async function inspectMachine(useGpu: boolean): Promise<Machine> {
  const { deviceMemory } = navigator as Navigator & { deviceMemory?: number };
  return { gpu: useGpu ? await inspectGpu() : undefined, memoryGib: deviceMemory };
}

async function inspectGpu(): Promise<Gpu | undefined> {
  try {
    const adapter = await navigator.gpu.requestAdapter();
    if (!adapter) return undefined;
    const { vendor, architecture, description, isFallbackAdapter } = adapter.info;
    return {
      name: description || [vendor, architecture].filter(Boolean).join(' ') || 'unnamed',
      isSoftware: isFallbackAdapter,
      hasF16: adapter.features.has('shader-f16'),
      maxBindingBytes: adapter.limits.maxStorageBufferBindingSize,
      maxBufferBytes: adapter.limits.maxBufferSize,
    };
  } catch {
    // A browser without WebGPU, or one that refuses it.
    return undefined;
  }
}

// Counts what a page or worker asks of the GPU, exactly, by standing in front of the WebGPU calls; loaded before any
// other script. `self.gpuCounts(reset)` reads the counts; in a worker the channel `gpu-counts` does the same.
(() => {
  const counts = { dispatches: 0, submits: 0, pipelines: 0, buffersMade: 0, bytes: 0, peakBytes: 0, largestBinding: 0 };
  let memories = [];

  const before = (type, name, note) => {
    const plain = type?.prototype[name];
    if (!plain) return;
    type.prototype[name] = function (...options) {
      const result = plain.apply(this, options);
      note(this, options, result);
      return result;
    };
  };

  const sizes = new WeakMap();
  const gone = (entry) => {
    if (!entry.gone) counts.bytes -= entry.size;
    entry.gone = true;
  };
  // A buffer that is never destroyed is given back when it is collected.
  const collected = new FinalizationRegistry(gone);
  before(self.GPUDevice, 'createBuffer', (_, [{ size }], buffer) => {
    const entry = { size, gone: false };
    sizes.set(buffer, entry);
    collected.register(buffer, entry);
    counts.buffersMade++;
    counts.bytes += size;
    counts.peakBytes = Math.max(counts.peakBytes, counts.bytes);
  });
  before(self.GPUBuffer, 'destroy', (buffer) => gone(sizes.get(buffer) ?? { gone: true }));
  before(self.GPUDevice, 'createBindGroup', (_, [{ entries }]) => {
    for (const { resource } of entries) {
      const buffer = resource.buffer ?? resource;
      const size = resource.size ?? (buffer.size ?? 0) - (resource.offset ?? 0);
      counts.largestBinding = Math.max(counts.largestBinding, size);
    }
  });
  const dispatched = () => void counts.dispatches++;
  before(self.GPUComputePassEncoder, 'dispatchWorkgroups', dispatched);
  before(self.GPUComputePassEncoder, 'dispatchWorkgroupsIndirect', dispatched);
  before(self.GPUQueue, 'submit', () => void counts.submits++);
  before(self.GPUDevice, 'createComputePipeline', () => void counts.pipelines++);
  before(self.GPUDevice, 'createComputePipelineAsync', () => void counts.pipelines++);

  // The memory of every module instantiated here. It never shrinks: its size is the peak.
  const Plain = WebAssembly.Instance;
  const keep = (instance) => {
    for (const value of Object.values(instance.exports)) if (value instanceof WebAssembly.Memory) memories.push(value);
    return instance;
  };
  WebAssembly.Instance = new Proxy(Plain, { construct: (target, options) => keep(Reflect.construct(target, options)) });
  const instantiate = WebAssembly.instantiate;
  WebAssembly.instantiate = async (...options) => {
    const result = await instantiate(...options);
    keep(result.instance ?? result);
    return result;
  };
  const streaming = WebAssembly.instantiateStreaming;
  WebAssembly.instantiateStreaming = async (...options) => {
    const result = await streaming(...options);
    keep(result.instance);
    return result;
  };
  const Memory = WebAssembly.Memory;
  WebAssembly.Memory = new Proxy(Memory, {
    construct: (target, options) => {
      const memory = Reflect.construct(target, options);
      memories.push(memory);
      return memory;
    },
  });

  self.gpuCounts = (reset = false) => {
    memories = [...new Set(memories)];
    const wasmHeapBytes = memories.reduce((sum, memory) => sum + memory.buffer.byteLength, 0);
    const now = { ...counts, wasmHeapBytes };
    if (reset) {
      for (const name of ['dispatches', 'submits', 'pipelines', 'buffersMade', 'largestBinding']) counts[name] = 0;
      counts.peakBytes = counts.bytes;
    }
    return now;
  };
  if (typeof WorkerGlobalScope !== 'undefined' && self instanceof WorkerGlobalScope) {
    const channel = new BroadcastChannel('gpu-counts');
    channel.addEventListener('message', ({ data }) => {
      if (data.ask) channel.postMessage({ counts: self.gpuCounts(data.reset) });
    });
  }
})();

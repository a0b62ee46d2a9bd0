// Stands in front of a worker's script and writes down the largest buffer and binding that it asks of WebGPU, the most
// memory its buffers took together, and the memory of its WebAssembly module, which never shrinks: its size is its peak.
(() => {
  const sizes = { largestBuffer: 0, largestBinding: 0, bytes: 0, peakBytes: 0, heapBytes: 0 };
  const memories = new Set();
  const known = new WeakMap();

  const createBuffer = GPUDevice.prototype.createBuffer;
  GPUDevice.prototype.createBuffer = function (descriptor) {
    const buffer = createBuffer.call(this, descriptor);
    known.set(buffer, descriptor.size);
    sizes.largestBuffer = Math.max(sizes.largestBuffer, descriptor.size);
    sizes.bytes += descriptor.size;
    sizes.peakBytes = Math.max(sizes.peakBytes, sizes.bytes);
    return buffer;
  };
  const destroy = GPUBuffer.prototype.destroy;
  GPUBuffer.prototype.destroy = function () {
    sizes.bytes -= known.get(this) ?? 0;
    known.delete(this);
    return destroy.call(this);
  };
  const createBindGroup = GPUDevice.prototype.createBindGroup;
  GPUDevice.prototype.createBindGroup = function (descriptor) {
    for (const { resource } of descriptor.entries) {
      const buffer = resource.buffer ?? resource;
      const size = resource.size ?? buffer.size - (resource.offset ?? 0);
      sizes.largestBinding = Math.max(sizes.largestBinding, size);
    }
    return createBindGroup.call(this, descriptor);
  };
  WebAssembly.Instance = new Proxy(WebAssembly.Instance, {
    construct(target, options) {
      const instance = Reflect.construct(target, options);
      for (const value of Object.values(instance.exports)) if (value instanceof WebAssembly.Memory) memories.add(value);
      return instance;
    },
  });
  const channel = new BroadcastChannel('gpu-sizes');
  channel.addEventListener('message', ({ data }) => {
    if (!data.ask) return;
    sizes.heapBytes = [...memories].reduce((sum, memory) => sum + memory.buffer.byteLength, 0);
    channel.postMessage({ sizes });
  });
})();

// Times every dispatch by timestamps, each in a pass of its own; loaded behind gpu-counts.js. Passes are split, so the
// sum is an upper bound; what it shows is which kernels the time goes to. `self.gpuProfile()` reads and forgets.
(() => {
  const CAPACITY = 4096;
  const state = { rows: [], next: 0 };
  const sources = new WeakMap();

  const wrap = (type, name, make) => {
    const plain = type.prototype[name];
    type.prototype[name] = function (...options) {
      return make(plain, this, options);
    };
  };
  wrap(GPUAdapter, 'requestDevice', async (plain, self_, [descriptor]) => {
    const features = new Set(descriptor?.requiredFeatures ?? []).add('timestamp-query');
    const device = await plain.call(self_, { ...descriptor, requiredFeatures: [...features] });
    state.device = device;
    state.queries = device.createQuerySet({ type: 'timestamp', count: CAPACITY });
    return device;
  });
  // A kernel's own name: its label, or the entry point and a hash of its source.
  wrap(GPUDevice, 'createShaderModule', (plain, self_, [descriptor]) => {
    const module = plain.call(self_, descriptor);
    let hash = 0;
    for (const char of descriptor.code) hash = (hash * 31 + char.codePointAt(0)) >>> 0;
    sources.set(module, { hash: hash.toString(16), label: descriptor.label, code: descriptor.code });
    return module;
  });
  const named = (pipeline, descriptor) => {
    const source = sources.get(descriptor.compute.module);
    const name = descriptor.label || source?.label || descriptor.compute.entryPoint || '';
    sources.set(pipeline, { ...source, name });
    return pipeline;
  };
  wrap(GPUDevice, 'createComputePipeline', (plain, self_, [d]) => named(plain.call(self_, d), d));
  wrap(GPUDevice, 'createComputePipelineAsync', async (plain, self_, [d]) => named(await plain.call(self_, d), d));

  wrap(GPUCommandEncoder, 'beginComputePass', (plain, encoder) => {
    let pipeline;
    const groups = new Map();
    const run = (size, dispatch) => {
      const at = state.next;
      const room = at + 2 <= CAPACITY;
      const timestampWrites = { querySet: state.queries, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 };
      const pass = plain.call(encoder, room ? { timestampWrites } : undefined);
      if (room) {
        state.next += 2;
        const { name, hash } = sources.get(pipeline) ?? {};
        state.rows.push({ at, name, hash, size });
      }
      pass.setPipeline(pipeline);
      for (const [index, group] of groups) pass.setBindGroup(index, ...group);
      dispatch(pass);
      pass.end();
    };
    return {
      setPipeline: (chosen) => void (pipeline = chosen),
      setBindGroup: (index, ...group) => void groups.set(index, group),
      dispatchWorkgroups: (...size) => run(size, (pass) => pass.dispatchWorkgroups(...size)),
      dispatchWorkgroupsIndirect: (...where) => run([], (pass) => pass.dispatchWorkgroupsIndirect(...where)),
      pushDebugGroup() {},
      popDebugGroup() {},
      insertDebugMarker() {},
      end() {},
    };
  });

  self.gpuProfile = async () => {
    const { device, queries, rows, next } = state;
    if (!device || next === 0) return [];
    const bytes = next * 8;
    const resolved = device.createBuffer({ size: bytes, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
    const read = device.createBuffer({ size: bytes, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
    const encoder = device.createCommandEncoder();
    encoder.resolveQuerySet(queries, 0, next, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, read, 0, bytes);
    device.queue.submit([encoder.finish()]);
    await read.mapAsync(GPUMapMode.READ);
    const times = new BigUint64Array(read.getMappedRange().slice(0));
    state.rows = [];
    state.next = 0;
    return rows.map(({ at, name, hash, size }) => ({ name, hash, size, ms: Number(times[at + 1] - times[at]) / 1e6 }));
  };
  if (typeof WorkerGlobalScope !== 'undefined' && self instanceof WorkerGlobalScope) {
    const channel = new BroadcastChannel('gpu-profile');
    channel.addEventListener('message', async ({ data }) => {
      if (data.ask) channel.postMessage({ rows: await self.gpuProfile() });
    });
  }
})();

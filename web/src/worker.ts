// The worker's shell: instantiates the compiled module it is handed and passes messages through. Its
// response carries `connect-src 'none'`: nothing that runs here can reach any network.
import type { Failure, Request, Response } from './protocol';

/** What crosses the boundary in either direction: a message and, beside it, its buffers. */
interface FromPage {
  message: Request;
  buffers: (ArrayBuffer | Blob)[];
  /** Only with `start`. */
  module?: WebAssembly.Module;
}

interface Glue {
  initSync(options: { module: WebAssembly.Module }): unknown;
  Host: new (post: (message: Response, buffers: Uint8Array[]) => void) => {
    handle(message: Request, buffers: (ArrayBuffer | Blob)[]): Promise<void>;
  };
}

const post = (message: Response, buffers: Uint8Array[]): void => {
  const transferred = buffers.map((bytes) => bytes.buffer as ArrayBuffer);
  self.postMessage({ message, buffers: transferred }, { transfer: transferred });
};

/** After a panic the module's memory cannot be trusted: the page starts a new worker. */
const crashed = (event: Event): void => {
  // Or the page would hear of it twice, the second time without the cause.
  event.preventDefault();
  const error: Failure = {
    code: 'ENGINE-CRASHED',
    message: 'The engine stopped because of an internal fault or for want of memory.',
    nextStep: 'It is being started again and the picture reopened; if it happens again, use a smaller picture.',
  };
  post({ kind: 'error', id: 0, error }, []);
};
self.addEventListener('error', crashed);
self.addEventListener('unhandledrejection', crashed);

let host: InstanceType<Glue['Host']> | undefined;

self.addEventListener('message', async (event: MessageEvent<FromPage>) => {
  const { message, buffers, module } = event.data;
  if (module) {
    const address = new URL('../medsam3-web.js', self.location.href).href;
    const glue = (await import(/* @vite-ignore */ address)) as Glue;
    glue.initSync({ module });
    host = new glue.Host(post);
  }
  await host?.handle(message, buffers);
});

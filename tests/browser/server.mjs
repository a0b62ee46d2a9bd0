// The server that ships, `medsam3 serve`, and a proxy in front of it for tests that count requests or make them fail.
import { spawn } from 'node:child_process';
import { createServer, request as ask } from 'node:http';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** The native program with these words, as `[command, words]`. */
export function medsam3(...words) {
  const program = process.env.MEDSAM3_CLI;
  return program ? [program, words] : ['cargo', ['run', '--quiet', '--package', 'medsam3-cli', '--', ...words]];
}

/** Serves a built page and model folders on any free port; resolves to its address and to how it is stopped. */
export async function serve({ root, models = [] }) {
  const offers = models.flatMap((model) => ['--model', model]);
  const [command, words] = medsam3('serve', root, '--port', '0', '--json', ...offers);
  const program = spawn(command, words, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  const close = () => void program.kill('SIGKILL');
  process.once('exit', close);
  program.once('exit', () => process.off('exit', close));
  const first = await new Promise((done, fail) => {
    program.once('error', fail);
    program.once('exit', (code) => fail(new Error(`medsam3 serve ended with ${code}`)));
    createInterface({ input: program.stdout }).once('line', done);
  });
  return { address: JSON.parse(first).address.replace('127.0.0.1', 'localhost'), close };
}

/**
 * The same behind a proxy. `server.served` has the method and path of every request that arrived, `server.ranges` what
 * was asked for, `server.sent` the bytes of every path's bodies. `server.fault(path, request)` may be set to say what
 * goes wrong with a request: `cutAfter` bytes of the body, `ignoreRange`, `answer` in place of the file,
 * `bytesPerSecond`, `change` of the bytes sent.
 */
export async function serveFaulty(served) {
  const upstream = await serve(served);
  const server = { served: [], ranges: [], sent: new Map(), fault: () => undefined };
  const proxy = createServer((request, response) => {
    const path = new URL(request.url, 'http://localhost').pathname;
    const fault = server.fault(path, request) ?? {};
    server.served.push(`${request.method} ${path}`);
    server.ranges.push({ path, range: request.headers.range });
    if (fault.answer) return void fault.answer(response);
    if (fault.cutAfter === 0) return void response.destroy();
    if (fault.ignoreRange) delete request.headers.range;
    spoil(response, fault, (bytes) => server.sent.set(path, (server.sent.get(path) ?? 0) + bytes));
    forward(upstream.address, request, response);
  });
  await new Promise((done) => proxy.listen(0, '127.0.0.1', done));
  server.address = `http://localhost:${proxy.address().port}/`;
  server.close = () => {
    proxy.closeAllConnections();
    proxy.close();
    upstream.close();
  };
  return server;
}

/** Asks the server behind for the same, and hands its answer on. */
function forward(address, request, response) {
  const { method, headers } = request;
  const behind = ask(new URL(request.url, address), { method, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.rawHeaders);
    answer.on('error', () => response.destroy()).pipe(response);
  });
  behind.on('error', () => response.destroy());
  response.on('close', () => behind.destroy());
  behind.end();
}

/** Makes a response go wrong while it is written; `count` is told of every byte that goes out. */
function spoil(response, fault, count) {
  const [write, end] = [response.write.bind(response), response.end.bind(response)];
  let turn = Promise.resolve();
  let left = fault.cutAfter ?? Infinity;
  response.write = (chunk, ...rest) => {
    if (left <= 0) return false;
    let part = left < chunk.length ? chunk.subarray(0, left) : chunk;
    left -= part.length;
    if (fault.change) part = fault.change(part);
    count(part.length);
    if (fault.bytesPerSecond) {
      const slowly = (done) => setTimeout(done, (1000 * part.length) / fault.bytesPerSecond);
      turn = turn.then(() => new Promise(slowly)).then(() => (write(part), response.emit('drain')));
      return false;
    }
    if (left > 0) return write(part, ...rest);
    // What was sent a moment before is delivered; what is still on the way when a connection breaks, a browser drops.
    return write(part, () => setTimeout(() => response.destroy(), 100));
  };
  response.end = (...rest) => void turn.then(() => end(...rest));
}

// A small static server for the built page: GET and HEAD of files below one folder, whole or by range (RFC 9110,
// section 14), with the response headers of that folder's `_headers` file. Model folders given beside it are
// offered to the page: each as `models/<its name>/`, all of them in `models/index.json`.
//   node web/tools/serve.mjs [--root dist] [--port 8080] [--model DIR]...
import { createReadStream } from 'node:fs';
import { readFile, realpath, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { basename, extname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
  '.wasm': 'application/wasm',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.svg': 'image/svg+xml',
  '.ico': 'image/x-icon',
  '.md': 'text/markdown; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
};

/** Reads `_headers`: a path on its own line (a trailing `*` matches any rest), then indented headers. */
export function parseHeaders(text) {
  const rules = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const header = /^\s+([^:]+):\s*(.*)$/.exec(line);
    if (header) rules.at(-1)?.headers.push([header[1], header[2]]);
    else rules.push({ path: line.trim(), headers: [] });
  }
  return rules;
}

/** The headers of a path: later rules replace earlier ones of the same name. */
export function headersFor(rules, path) {
  const found = {};
  for (const rule of rules) {
    const matches = rule.path.endsWith('*') ? path.startsWith(rule.path.slice(0, -1)) : path === rule.path;
    if (matches) for (const [name, value] of rule.headers) found[name] = value;
  }
  return found;
}

/**
 * The part of a file of `size` bytes that a `Range` header asks for, `{ first, last }`; `null` where it asks for
 * none that there is; absent where the header does not count (none, several ranges, another unit).
 */
export function parseRange(header, size) {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  const first = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const last = match[1] === '' || match[2] === '' ? size - 1 : Math.min(size - 1, Number(match[2]));
  if (match[1] !== '' && match[2] !== '' && Number(match[2]) < first) return undefined;
  return first > last ? null : { first, last };
}

/** Answers requests for what is below `root` and for the model folders; the body of `serve`. */
export async function handler({ root, models = [], log = () => {} }) {
  const base = await realpath(resolve(root));
  const rules = parseHeaders(await readFile(join(base, '_headers'), 'utf8'));
  const offered = new Map();
  for (const model of models) offered.set(basename(resolve(model)), await realpath(resolve(model)));
  const index = JSON.stringify({ models: [...offered.keys()].map((folder) => ({ folder })) });

  /** The folder that a path lies in, and the rest of the path. */
  const place = (path) => {
    const [, folder, rest] = /^\/models\/([^/]+)\/(.+)$/.exec(path) ?? [];
    return offered.has(folder) ? [offered.get(folder), rest] : [base, path.endsWith('/') ? `${path}index.html` : path];
  };

  return async (request, response) => {
    try {
      const path = decodeURIComponent(new URL(request.url, 'http://localhost').pathname);
      log(request.method, path);
      if (request.method !== 'GET' && request.method !== 'HEAD') return void response.writeHead(405).end();
      const headers = headersFor(rules, path);
      if (offered.size > 0 && path === '/models/index.json') {
        headers['Content-Type'] = TYPES['.json'];
        return void response.writeHead(200, headers).end(index);
      }
      const [folder, rest] = place(path);
      const file = await realpath(join(folder, rest));
      const info = await stat(file);
      if (!file.startsWith(folder + sep) || !info.isFile()) throw new Error('not served');
      const tag = `"${info.size.toString(16)}-${info.mtimeMs.toString(16)}"`;
      headers.ETag = tag;
      headers['Accept-Ranges'] = 'bytes';
      if (request.headers['if-none-match'] === tag) return void response.writeHead(304, headers).end();
      const changed = (request.headers['if-range'] ?? tag) !== tag;
      const range = changed ? undefined : parseRange(request.headers.range, info.size);
      if (range === null) return void response.writeHead(416, { ...headers, 'Content-Range': `bytes */${info.size}` }).end();
      const { first, last } = range ?? { first: 0, last: info.size - 1 };
      headers['Content-Type'] = TYPES[extname(file)] ?? 'application/octet-stream';
      headers['Content-Length'] = last - first + 1;
      if (range) headers['Content-Range'] = `bytes ${first}-${last}/${info.size}`;
      response.writeHead(range ? 206 : 200, headers);
      if (request.method === 'HEAD' || info.size === 0) return void response.end();
      createReadStream(file, { start: first, end: last }).on('error', () => response.destroy()).pipe(response);
    } catch {
      response.writeHead(404, { 'Content-Type': 'text/plain; charset=utf-8' }).end('Not found\n');
    }
  };
}

/** Starts a server on loopback; resolves to it once it listens. `log` is told each path. */
export async function serve({ port = 0, ...served }) {
  const server = createServer(await handler(served));
  await new Promise((done, fail) => {
    server.once('error', fail);
    server.listen(port, '127.0.0.1', done);
  });
  return server;
}

function options(name) {
  return process.argv.flatMap((word, at) => (word === `--${name}` ? [process.argv[at + 1]] : []));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [root = 'dist'] = options('root');
  const [port = '8080'] = options('port');
  const server = await serve({ root, port: Number(port), models: options('model') });
  console.log(`http://localhost:${server.address().port}/`);
}

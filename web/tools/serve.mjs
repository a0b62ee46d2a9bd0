// A small static server for the built page: GET and HEAD of files below one folder, with the response
// headers of that folder's `_headers` file.
//   node web/tools/serve.mjs [--root dist] [--port 8080]
import { createReadStream } from 'node:fs';
import { readFile, realpath, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, resolve, sep } from 'node:path';
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

/** Starts a server for `root` on loopback; resolves to it once it listens. `log` is told each path. */
export async function serve({ root, port = 0, log = () => {} }) {
  const base = await realpath(resolve(root));
  const rules = parseHeaders(await readFile(join(base, '_headers'), 'utf8'));
  const server = createServer(async (request, response) => {
    try {
      const path = decodeURIComponent(new URL(request.url, 'http://localhost').pathname);
      log(request.method, path);
      if (request.method !== 'GET' && request.method !== 'HEAD') return void response.writeHead(405).end();
      const file = await realpath(join(base, path.endsWith('/') ? `${path}index.html` : path));
      const info = await stat(file);
      if (!file.startsWith(base + sep) || !info.isFile()) throw new Error('not served');
      const headers = headersFor(rules, path);
      const tag = `"${info.size.toString(16)}-${info.mtimeMs.toString(16)}"`;
      headers.ETag = tag;
      if (request.headers['if-none-match'] === tag) return void response.writeHead(304, headers).end();
      headers['Content-Type'] = TYPES[extname(file)] ?? 'application/octet-stream';
      headers['Content-Length'] = info.size;
      response.writeHead(200, headers);
      if (request.method === 'HEAD') return void response.end();
      createReadStream(file).on('error', () => response.destroy()).pipe(response);
    } catch {
      response.writeHead(404, { 'Content-Type': 'text/plain; charset=utf-8' }).end('Not found\n');
    }
  });
  await new Promise((done, fail) => {
    server.once('error', fail);
    server.listen(port, '127.0.0.1', done);
  });
  return server;
}

function option(name, fallback) {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : process.argv[at + 1];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = await serve({ root: option('root', 'dist'), port: Number(option('port', '8080')) });
  console.log(`http://localhost:${server.address().port}/`);
}

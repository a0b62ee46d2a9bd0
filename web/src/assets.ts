// What is fetched from the page's own host, all of it while the page loads: the module, the model and
// the sample cases. Afterwards nothing is requested any more.
import { Failed } from './failure';

/** A sample case: the file's bytes and where it comes from. */
export interface Sample {
  id: string;
  title: string;
  modality: string;
  prompts: string[];
  attribution: string;
  licence: string;
  source: string;
  bytes: Blob;
}

/** One file of the model folder. */
export interface ModelFile {
  name: string;
  bytes: Blob;
}

const MANIFEST = 'manifest.json';

async function fetched(path: string): Promise<globalThis.Response> {
  let response: globalThis.Response | undefined;
  try {
    response = await fetch(new URL(path, document.baseURI));
  } catch {
    // Reported below, with what was missing.
  }
  if (!response?.ok) {
    throw new Failed({
      code: 'PAGE-FETCH',
      message: `A part of this page (${path}) could not be loaded.`,
      nextStep: 'Check the connection to the server of this page, then reload it.',
    });
  }
  return response;
}

/** Compiles the engine while it downloads. */
export async function fetchModule(): Promise<WebAssembly.Module> {
  return WebAssembly.compileStreaming(await fetched('medsam3-web_bg.wasm'));
}

/** Fetches the manifest and every file it names; `onProgress` is told the share of bytes that arrived. */
export async function fetchModel(onProgress: (fraction: number) => void): Promise<ModelFile[]> {
  const manifest = await (await fetched(`model/${MANIFEST}`)).blob();
  const listed = listedFiles(await manifest.text());
  const total = listed.reduce((sum, file) => sum + file.bytes, 0);
  let arrived = 0;
  const files: ModelFile[] = [{ name: MANIFEST, bytes: manifest }];
  for (const { name } of listed) {
    const response = await fetched(`model/${encodeURIComponent(name)}`);
    const counted = response.body?.pipeThrough(
      new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
        transform(chunk, controller) {
          arrived += chunk.byteLength;
          onProgress(Math.min(1, arrived / Math.max(1, total)));
          controller.enqueue(chunk);
        },
      }),
    );
    files.push({ name, bytes: await new globalThis.Response(counted ?? null).blob() });
  }
  return files;
}

function listedFiles(manifest: string): { name: string; bytes: number }[] {
  try {
    const { files } = JSON.parse(manifest) as { files: { name: string; bytes: number }[] };
    return files.map(({ name, bytes }) => ({ name: String(name), bytes: Number(bytes) }));
  } catch {
    throw new Failed({
      code: 'WEIGHTS-MANIFEST',
      message: "The model's manifest is not valid.",
      nextStep: 'Fetch the model again, or write it anew.',
    });
  }
}

/** Fetches the sample cases; without them the page works all the same. */
export async function fetchSamples(): Promise<Sample[]> {
  const list = (await (await fetched('samples/index.json')).json()) as (Omit<Sample, 'bytes'> & { file: string })[];
  return Promise.all(list.map(async (item) => ({ ...item, bytes: await (await fetched(`samples/${item.file}`)).blob() })));
}

// Bundles the page into web/dist with fixed entry names: index.html, the server's headers and the
// worker's own Content-Security-Policy refer to app/main.js, app/main.css, app/worker.js and app/store.js.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  base: './',
  publicDir: false,
  resolve: {
    // vtk.js reads and writes XML files with it; it needs Node's `events`, and no XML is read here.
    alias: { xmlbuilder2: here('./src/viewer/no-xml.ts') },
  },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2023',
    modulePreload: false,
    cssCodeSplit: false,
    chunkSizeWarningLimit: 4000,
    rollupOptions: {
      input: { main: here('./src/main.tsx'), worker: here('./src/worker.ts'), store: here('./src/store/worker.ts') },
      output: {
        entryFileNames: '[name].js',
        chunkFileNames: 'chunks/[name]-[hash].js',
        assetFileNames: (asset) => (asset.names.some((n) => n.endsWith('.css')) ? 'main.css' : 'assets/[name]-[hash][extname]'),
      },
    },
  },
});

import babel from '@rolldown/plugin-babel';
import tailwindcss from '@tailwindcss/vite';
import react, { reactCompilerPreset } from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// `npm run dev` proxies the API to a hub (or to tests/browser/mock) that runs elsewhere.
const hub = process.env.ROADSTEAD_URL ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [react(), babel({ presets: [reactCompilerPreset()] }), tailwindcss()],
  resolve: { alias: { '@': new URL('./src', import.meta.url).pathname } },
  build: {
    target: 'es2023',
    // The Content-Security-Policy admits files of this origin only: nothing is inlined as a data: URL.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: true,
    reportCompressedSize: false,
  },
  server: { proxy: { '/v1': { target: hub, changeOrigin: false } } },
  test: { environment: 'node', include: ['src/**/*.test.ts'] },
});

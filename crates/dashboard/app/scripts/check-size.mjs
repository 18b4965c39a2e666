// Fails when the shell (what every page loads before it can draw) outgrows its budget, or a lazy part crept into it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const SHELL_LIMIT_KB = 260;
const MUST_BE_LAZY = ['src/kit/chart/chart.tsx', 'src/features/jobs/detail.tsx', 'src/shell/palette.tsx'];

const dist = fileURLToPath(new URL('../dist/', import.meta.url));
const manifest = JSON.parse(readFileSync(`${dist}.vite/manifest.json`, 'utf8'));
const gzipBytes = (file) => gzipSync(readFileSync(dist + file), { level: 9 }).length;

const shell = new Set(['index.html', 'theme.js']);
const seen = new Set();
function addWithImports(key) {
  if (seen.has(key)) return;
  seen.add(key);
  const chunk = manifest[key];
  shell.add(chunk.file);
  for (const css of chunk.css ?? []) shell.add(css);
  for (const imported of chunk.imports ?? []) addWithImports(imported);
}
addWithImports('index.html');

const sizes = [...shell].map((file) => [file, gzipBytes(file)]).sort((a, b) => b[1] - a[1]);
const total = sizes.reduce((sum, [, bytes]) => sum + bytes, 0);
for (const [file, bytes] of sizes) console.log(`${(bytes / 1000).toFixed(1).padStart(7)} KB  ${file}`);
console.log(`${(total / 1000).toFixed(1).padStart(7)} KB  shell, gzip (limit ${SHELL_LIMIT_KB})`);

const problems = [];
if (total > SHELL_LIMIT_KB * 1000) problems.push(`the shell is ${(total / 1000).toFixed(1)} KB`);
for (const source of MUST_BE_LAZY) {
  if (!manifest[source]?.isDynamicEntry) problems.push(`${source} is not a chunk of its own`);
  else if (shell.has(manifest[source].file)) problems.push(`${source} is part of the shell`);
}
for (const problem of problems) console.error(`check-size: ${problem}`);
process.exit(problems.length > 0 ? 1 : 0);

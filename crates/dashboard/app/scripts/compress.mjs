// Writes .br and .gz beside every file of the build, so that the hub never compresses at run time.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const dist = fileURLToPath(new URL('../dist', import.meta.url));
/** Below this, the encoding's header costs more than it saves. */
const WORTH_IT_BYTES = 512;
const alreadyCompressed = /\.(br|gz|woff2|png)$/;

function visit(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (name.startsWith('.')) continue;
    if (statSync(path).isDirectory()) visit(path);
    else if (!alreadyCompressed.test(name)) compress(path);
  }
}

function compress(path) {
  const bytes = readFileSync(path);
  if (bytes.length < WORTH_IT_BYTES) return;
  const brotli = brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });
  writeFileSync(`${path}.br`, brotli);
  writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
}

visit(dist);

// Writes src/api/schema.d.ts from the hub's OpenAPI document (another one may be given as the first argument).
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const app = fileURLToPath(new URL('..', import.meta.url));
const source = process.argv[2] ?? fileURLToPath(new URL('../../../api/openapi.json', import.meta.url));
const generator = `${app}codegen/node_modules/.bin/openapi-typescript`;

const generated = spawnSync(generator, [source, '--output', `${app}src/api/schema.d.ts`], {
  stdio: 'inherit',
});
if (generated.error) {
  console.error(`cannot start ${generator}: ${generated.error.message}; run npm ci --prefix codegen`);
}
process.exit(generated.status ?? 1);

// Browser tests. `node run.mjs [suite…]` runs the suites below `suites/` in Chromium and prints `N passed, N failed`.
//
// The suite `path` goes the whole way of a person. Without ROADSTEAD_URL it runs against the mock hub, as all the others
// do (5 000 servers, refusals, lost connections: what a real hub cannot produce on request). With it, against that hub:
//
//   ROADSTEAD_URL         the hub, for example https://127.0.0.1:8443 (a self-signed certificate is accepted)
//   ROADSTEAD_SETUP_CODE  the code that a fresh hub printed; without it the owner must exist already
//   ROADSTEAD_EMAIL, ROADSTEAD_PASSWORD   the owner; created with the code, or signed in with
//   ROADSTEAD_AGENT_BIN   roadstead-agent; it is enrolled by the wizard's token and stopped afterwards. Without it the
//                         steps that add and delete a server are skipped, and a server must be online already
//   ROADSTEAD_CHROMIUM    the browser, /usr/bin/chromium by default
//
// The dashboard must be built first (`npm run build` in crates/dashboard/app). Screenshots go to tests/artefacts/.
import { existsSync, readdirSync } from 'node:fs';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const suites = fileURLToPath(new URL('./suites/', import.meta.url));
const built = fileURLToPath(new URL('../../crates/dashboard/app/dist/index.html', import.meta.url));
const wanted = process.argv.slice(2);

if (!existsSync(built)) {
  console.error('the dashboard is not built: run npm ci && npm run build in crates/dashboard/app');
  process.exit(2);
}
const files = readdirSync(suites)
  .filter((name) => name.endsWith('.test.mjs'))
  .filter((name) => wanted.length === 0 || wanted.includes(name.replace('.test.mjs', '')))
  .map((name) => suites + name);
if (files.length === 0) {
  console.error(`no suite is called ${wanted.join(' or ')}`);
  process.exit(2);
}

let passed = 0;
let failed = 0;
let skipped = 0;
/** Children reported since the last test of their parent's depth, by file: a test that has some is not counted itself. */
const children = new Map();
function isLeaf({ file, nesting }) {
  const depths = children.get(file) ?? [];
  children.set(file, depths);
  const hadChildren = (depths[nesting + 1] ?? 0) > 0;
  depths[nesting + 1] = 0;
  depths[nesting] = (depths[nesting] ?? 0) + 1;
  return !hadChildren;
}

const stream = run({ files, concurrency: 2 });
stream.on('test:pass', (event) => {
  if (!isLeaf(event)) return;
  if (event.skip === undefined) passed += 1;
  else skipped += 1;
});
stream.on('test:fail', (event) => {
  if (isLeaf(event)) failed += 1;
});
const report = stream.compose(spec());
report.on('end', () => {
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
});
report.on('data', (text) => process.stdout.write(text));

// 200 MB of output, followed from its first line while it is written and opened again afterwards: memory stays bounded.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launch, openPage, until } from '../harness.mjs';
import { startMock } from '../mock/hub.mjs';

const MEGABYTES = 200;
const HEAP_LIMIT_BYTES = 150 * 1024 * 1024;
const LINES_A_MEGABYTE = 10_000;

test('a log of 200 MB', { timeout: 600_000 }, async (t) => {
  const mock = await startMock({ servers: 1, offlineShare: 0 });
  const browser = await launch();
  const page = await openPage(browser);
  t.after(async () => {
    await browser.close();
    await mock.close();
  });
  const job = mock.addJob(mock.servers[0], { command: 'yes' }, 'running', { started_at: new Date().toISOString() });
  const log = mock.logs.get(job.id);
  const heap = async () => {
    const session = await page.context().newCDPSession(page);
    await session.send('HeapProfiler.collectGarbage');
    const { usedSize } = await session.send('Runtime.getHeapUsage');
    await session.detach();
    return usedSize;
  };

  await t.test('followed_while_it_is_written', async () => {
    await page.goto(`${mock.url}/jobs/${job.id}`);
    await page.getByText('Live', { exact: true }).waitFor();
    let worst = 0;
    for (let megabyte = 0; megabyte < MEGABYTES; megabyte += 1) {
      for (let part = 0; part < 16; part += 1) {
        const lines = Array.from({ length: LINES_A_MEGABYTE / 16 }, (_, n) => lineOf(megabyte * LINES_A_MEGABYTE + part * (LINES_A_MEGABYTE / 16) + n + 1));
        log.write(lines.join(''));
      }
      if (megabyte % 10 === 9) {
        await until(async () => (await shownBytes(page)) >= log.size * 0.99, 'the page has kept up', 60_000);
        if (megabyte % 50 === 49) worst = Math.max(worst, await heap());
      }
    }
    assert.ok(worst < HEAP_LIMIT_BYTES, `the page held ${Math.round(worst / 1e6)} MB`);
    t.diagnostic(`followed ${MEGABYTES} MB with at most ${Math.round(worst / 1e6)} MB of heap`);
    mock.finishJob(job, 'succeeded', 0);
    await page.getByText(lineOf(MEGABYTES * LINES_A_MEGABYTE).trim(), { exact: true }).waitFor();
  });

  await t.test('the_reader_is_told_that_the_first_lines_are_no_longer_shown', async () => {
    await page.getByText(/The first [\d,]+ lines are no longer shown here/).waitFor();
  });

  await t.test('opened_again_near_its_end', async () => {
    await page.reload();
    await page.getByText(/The first 1\d\d MiB are not shown here/).waitFor();
    await page.getByText(lineOf(MEGABYTES * LINES_A_MEGABYTE).trim(), { exact: true }).waitFor();
    assert.ok((await heap()) < HEAP_LIMIT_BYTES / 2);
  });

  assert.deepEqual(page.problems, []);
});

function lineOf(number) {
  return `${String(number).padStart(10, '0')} ${'the quick brown fox jumps over the lazy dog '.repeat(2)}\n`.padEnd(100, '.');
}

/** What the footer says that has arrived, in bytes. */
async function shownBytes(page) {
  const text = await page.getByText(/lines? · /).textContent();
  const [, number, unit] = /· ([\d.]+) (\w+)/.exec(text) ?? [];
  return Number(number) * { B: 1, KiB: 1024, MiB: 1024 ** 2 }[unit];
}

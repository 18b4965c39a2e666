// One command on several servers: made, halted, resumed, paused and cancelled; with ten thousand servers; without a mouse.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, openPage, until } from '../harness.mjs';
import { startMock } from '../mock/hub.mjs';
import { showcase } from '../mock/showcase.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

async function world(t, options) {
  const mock = await startMock({ offlineShare: 0, ...options });
  // None is in doubt: a job for one that is would wait.
  for (const server of mock.servers) server.status = 'online';
  const page = await openPage(browser);
  t.after(async () => {
    assert.deepEqual(page.problems, []);
    await page.context().close();
    await mock.close();
  });
  return { mock, page };
}

const matrixOf = (page) => page.getByRole('table', { name: 'Results by server' });
const stateIs = (page, text) => page.locator('header').getByText(text, { exact: true }).waitFor();
/** The numbers above the bar: waiting, active, succeeded, failed. */
async function counts(page) {
  const texts = await page.getByRole('region', { name: 'Progress' }).locator('dd').allTextContents();
  return texts.map((text) => Number(text.replaceAll(',', '')));
}

test('a_batch_is_made_halts_at_the_threshold_and_goes_on_when_resumed', { timeout: 180_000 }, async (t) => {
  const { mock, page } = await world(t, { servers: 12 });
  const failing = mock.servers[2];
  mock.batches.outcomes.set(failing.name, 28);
  await page.goto(`${mock.url}/jobs/new`);
  await page.getByRole('button', { name: 'All', exact: true }).click();
  await page.getByLabel('First', { exact: true }).fill('1');
  await page.getByLabel('Then at a time').fill('3');
  await page.getByRole('button', { name: 'servers', exact: true }).click();
  await page.getByText('1 first, then 3 at a time. Halts at the first failure.').waitFor();
  await page.getByText('12 servers in 5 waves.').waitFor();
  await page.getByRole('textbox', { name: 'Command' }).fill('df -h');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  // All of them must be meant.
  await page.getByText('Confirm that you mean all of them').waitFor();
  assert.equal(mock.batches.all.length, 0);
  await page.getByLabel('Run it on all 12 servers of this workspace').check();
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.waitForURL(/\/batches\/[0-9a-f-]{36}/);
  assert.deepEqual(mock.batches.asked, [{
    selector: { all: true }, kind: 'exec', args: { command: 'df -h' }, timeout_s: 3600, strategy: { canary: 1, batch_size: 3, max_failures: 0 },
  }]);

  await stateIs(page, 'Halted');
  await page.getByText('Halted: 1 server failed, and 0 may.').waitFor();
  await until(async () => (await counts(page)).join() === '8,0,3,1', 'the counts have come');
  await page.getByText('Wave 2 of 5').waitFor();
  await page.getByRole('link', { name: 'Look at what failed' }).click();
  await page.waitForURL('**show=failed');
  const row = matrixOf(page).getByRole('row').filter({ hasText: failing.name });
  await row.getByText('Failed').waitFor();
  await row.getByText('28', { exact: true }).waitFor();
  assert.equal(await matrixOf(page).locator('[data-row]').count(), 1);

  await page.getByRole('button', { name: 'Resume' }).click();
  await page.getByRole('dialog').getByText('The batch goes on with the 8 servers that wait.').waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Resume' }).click();
  await stateIs(page, 'Finished with failures');
  await until(async () => (await counts(page)).join() === '0,0,11,1', 'all have ended');
  await page.getByRole('button', { name: /^All/ }).click();
  await until(async () => (await matrixOf(page).getByText('Succeeded').count()) === 11, 'the rows follow the counts');
  // No server was asked twice.
  const asked = mock.jobs.filter((job) => job.batch_id !== null).map((job) => job.server_id);
  assert.equal(new Set(asked).size, 12);
  assert.equal(asked.length, 12);

  await row.getByRole('link').click();
  await page.getByText('no space left on device').waitFor();
  await page.getByRole('link', { name: mock.batches.all[0].id.replaceAll('-', '').slice(-8) }).click();
  await stateIs(page, 'Finished with failures');
});

test('a_batch_by_labels_is_paused_resumed_and_cancelled', { timeout: 180_000 }, async (t) => {
  const { mock, page } = await world(t, { servers: 10 });
  // What runs goes on until the test says otherwise.
  mock.batches.batchJobMs = 3_600_000;
  await page.goto(`${mock.url}/jobs/new?on=several`);
  await page.getByRole('button', { name: 'By labels' }).click();
  await page.getByLabel('Labels').fill('env:nowhere');
  await page.getByText('No server has these labels.').waitFor();
  await page.getByLabel('Labels').fill('role:web');
  await page.getByText('2 servers in 2 waves.').waitFor();
  await page.getByRole('textbox', { name: 'Command' }).fill('uptime');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await stateIs(page, 'Running');
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Pause' }).click();
  await stateIs(page, 'Paused');
  await page.getByText('Somebody paused this batch').waitFor();
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Resume' }).click();
  await stateIs(page, 'Running');
  // Somebody else is faster: the refusal stands in the dialog, and the page shows how it is now.
  await page.getByRole('button', { name: 'Pause' }).click();
  mock.batches.all[0].state = 'paused';
  await page.getByRole('dialog').getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('dialog').getByText('The batch is paused.').waitFor();
  await page.keyboard.press('Escape');
  await stateIs(page, 'Paused');
  await page.getByRole('button', { name: 'Cancel batch' }).click();
  await page.getByRole('dialog').getByText('The 1 job that has begun is cancelled.').waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel batch' }).click();
  await stateIs(page, 'Cancelled');
  await page.getByRole('link', { name: 'Edit and run' }).click();
  await page.getByLabel('Labels').waitFor();
  assert.equal(await page.getByLabel('Labels').inputValue(), 'role:web');
  assert.equal(await page.getByRole('textbox', { name: 'Command' }).inputValue(), 'uptime');
});

test('ten_thousand_rows_scroll_and_only_those_on_screen_exist', { timeout: 180_000 }, async (t) => {
  const { mock, page } = await world(t, { servers: 14, offlineShare: 0.1 });
  const { batches } = showcase(mock);
  await page.goto(`${mock.url}/batches/${batches.large.id}`);
  await page.getByText('edge-00001').waitFor();
  assert.deepEqual(await counts(page), [4_800, 190, 4_958, 52]);
  assert.equal(await matrixOf(page).getAttribute('aria-rowcount'), '10001');
  for (let pages = 0; pages < 4; pages += 1) {
    await page.evaluate(() => window.scrollTo(0, document.documentElement.scrollHeight));
    await until(async () => (await matrixOf(page).locator('[data-row]').count()) > 0, 'rows are loaded there');
  }
  assert.ok((await matrixOf(page).locator('tbody tr').count()) < 80);
  await page.evaluate(() => window.scrollTo(0, 0));
  await page.getByRole('button', { name: /^Failed/ }).click();
  await until(async () => (await matrixOf(page).getAttribute('aria-rowcount')) === '53', 'only failures are counted');
  await matrixOf(page).getByText('Timed out').first().waitFor();
  await page.getByRole('button', { name: /^Active/ }).click();
  await matrixOf(page).getByText('Running').first().waitFor();
});

test('a_batch_is_made_and_looked_at_without_a_mouse', { timeout: 180_000 }, async (t) => {
  const { mock, page } = await world(t, { servers: 8 });
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  const isFocused = (locator) => locator.evaluate((element) => element === document.activeElement);
  const tabTo = async (locator) => {
    for (let n = 0; n < 40 && !(await isFocused(locator)); n += 1) await press('Tab');
    assert.ok(await isFocused(locator), String(locator));
  };
  await page.goto(mock.url);
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  await press('g', 'b');
  await page.getByText('No batches yet').waitFor();
  await press('r');
  await tabTo(page.getByRole('button', { name: 'Several' }));
  await press('Enter');
  const picker = page.getByRole('combobox', { name: 'Servers' });
  await tabTo(picker);
  for (const server of mock.servers.slice(0, 2)) {
    await page.keyboard.type(server.name);
    await page.getByRole('option', { name: server.name }).waitFor();
    await until(async () => (await page.getByRole('option').count()) === 1, 'the choice is narrowed');
    await press('ArrowDown', 'Enter');
    await page.getByRole('button', { name: `Remove ${server.name}` }).waitFor();
  }
  await page.getByText('2 servers in 2 waves.').waitFor();
  await tabTo(page.getByRole('textbox', { name: 'Command' }));
  await page.keyboard.type('uptime');
  await press('Control+Enter');
  await stateIs(page, 'Succeeded');
  const rows = matrixOf(page).locator('[data-row]');
  await until(async () => (await rows.getByText('Succeeded').count()) === 2, 'both rows have ended');
  await tabTo(rows.first());
  await press('ArrowDown', 'Enter');
  await page.getByText('done', { exact: true }).waitFor();
});

// The audit log: narrowed, exported, checked, and cleared of personal data.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { launch, looks, openPage, until } from '../harness.mjs';
import { inspect } from '../inspect.mjs';
import { startMock } from '../mock/hub.mjs';
import { ALL } from '../mock/rights.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

async function world(t, { look = 'light', ...options } = {}) {
  const mock = await startMock({ servers: 6, offlineShare: 0, ...options });
  const page = await openPage(browser, looks[look]);
  t.after(async () => {
    assert.deepEqual(page.problems, []);
    await page.context().close();
    await mock.close();
  });
  const rows = page.getByRole('table', { name: 'Audit' }).locator('tbody tr');
  const count = (n) => until(async () => (await rows.count()) === n, `there are ${n} rows`);
  return { mock, page, rows, count };
}

test('the_log_is_narrowed_and_the_address_keeps_it', async (t) => {
  const { mock, page, rows, count } = await world(t);
  await page.goto(`${mock.url}/audit`);
  await count(6);
  await page.keyboard.press('/');
  await page.keyboard.type('session');
  await count(2);
  await page.waitForURL('**q=session');
  assert.equal(await page.getByRole('searchbox').evaluate((field) => field === document.activeElement), true);
  await page.getByRole('button', { name: 'Denied' }).click();
  await count(1);
  await page.waitForURL('**result=denied');
  await page.reload();
  await count(1);
  assert.equal(await page.getByRole('searchbox').inputValue(), 'session');
  await page.getByRole('button', { name: 'Clear filters' }).click();
  await count(6);
  assert.equal(await page.getByRole('searchbox').inputValue(), '');

  await page.getByRole('combobox', { name: 'When' }).click();
  await page.getByRole('option', { name: 'The last hour' }).click();
  await count(1);
  await page.getByRole('combobox', { name: 'When' }).click();
  await page.getByRole('option', { name: 'Between…' }).click();
  await count(6);
  const half = new Date(Date.now() - 150 * 60_000);
  const two = (n) => String(n).padStart(2, '0');
  await page.getByLabel('Until').fill(`${half.getFullYear()}-${two(half.getMonth() + 1)}-${two(half.getDate())}T${two(half.getHours())}:${two(half.getMinutes())}`);
  await count(3);
  await page.getByRole('button', { name: 'Clear filters' }).click();

  await page.getByRole('button', { name: 'More filters' }).click();
  await page.getByRole('combobox', { name: 'What' }).fill('revoked');
  await page.getByRole('option', { name: 'Server revoked' }).click();
  await count(1);
  await page.waitForURL('**action=server.revoke');
  assert.match(await rows.first().textContent(), /Server revoked/);
  await page.getByRole('button', { name: 'Server revoked' }).getByLabel('Remove').click();
  await count(6);
  await page.getByRole('combobox', { name: 'Server' }).fill(mock.servers[0].name);
  await page.getByRole('option', { name: mock.servers[0].name }).click();
  await count(2);
  await page.getByRole('searchbox').fill('nothing like this');
  await page.getByText('Nothing that was recorded fits these filters.').waitFor();
});

test('the_log_is_saved_as_it_is_shown', async (t) => {
  const { mock, page, count } = await world(t);
  await page.goto(`${mock.url}/audit?result=denied`);
  await count(1);
  const dialog = page.getByRole('dialog');
  await page.getByRole('button', { name: 'Export' }).click();
  await dialog.getByText('The records that the filters let through').waitFor();
  await dialog.getByText('A part of the log cannot be checked as a chain.').waitFor();
  await dialog.getByRole('radio', { name: 'CSV' }).check();
  const download = page.waitForEvent('download');
  await dialog.getByRole('button', { name: 'Save file' }).click();
  const file = await download;
  assert.equal(file.suggestedFilename(), 'roadstead-audit.csv');
  assert.match(await readFile(await file.path(), 'utf8'), /session\.create,denied/);
  assert.deepEqual(mock.auditLog.exports, [{ format: 'csv', result: 'denied' }]);
});

test('the_chain_is_checked_and_what_is_wrong_is_said', async (t) => {
  const { mock, page } = await world(t);
  mock.auditLog.found = { redacted: 2, removed_up_to: 4_000 };
  await page.goto(`${mock.url}/audit`);
  const check = page.getByRole('button', { name: 'Check the chain' });
  await check.click();
  await page.getByText('6 records checked. None was changed or removed.').waitFor();
  await page.getByText('2 records were redacted on purpose.').waitFor();
  await page.getByText('Records up to 4,000 were removed by the retention.').waitFor();
  assert.deepEqual(await inspect(page, 'audit-chain-light'), []);
  mock.auditLog.found = { ok: false, broken_at: 4_790, broken_id: mock.audit[2].id, problem: 'the record does not have the hash that the next one names' };
  await check.click();
  await page.getByText('something is wrong at record 4,790').waitFor();
  await page.getByText('The record does not have the hash that the next one names.').waitFor();
  await page.getByText('Keep a copy of the database').waitFor();
  assert.deepEqual(await inspect(page, 'audit-broken-light'), []);
  await page.getByRole('button', { name: 'Close' }).click();
  assert.equal(await page.getByText('Keep a copy').count(), 0);
});

test('personal_data_is_removed_from_a_record_with_a_reason', async (t) => {
  const { mock, page } = await world(t);
  const { name } = mock.servers[0];
  await page.goto(`${mock.url}/audit?action=server.update`);
  await page.getByRole('button', { name: 'Server changed server.update' }).click();
  await page.getByRole('button', { name: 'Remove personal data' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('Names, address, client and details.').waitFor();
  await dialog.getByRole('button', { name: 'Remove it for good' }).click();
  await dialog.getByText('Please fill this in').waitFor();
  await dialog.getByLabel('Reason').fill(`to forget ${name}`);
  await dialog.getByRole('button', { name: 'Remove it for good' }).click();
  await dialog.getByText('Repeats what is to be removed').waitFor();
  assert.deepEqual(await inspect(page, 'audit-redact-light'), []);
  await dialog.getByLabel('Reason').fill('asked for by the person, ticket 4711');
  await page.keyboard.press('Enter');
  await page.getByText('Personal data was removed from the record.').waitFor();
  const row = page.getByRole('row').filter({ hasText: 'Server changed' });
  await row.getByText('Redacted').waitFor();
  assert.equal(await row.getByText(name).count(), 0);
  assert.equal(await page.getByRole('button', { name: 'Remove personal data' }).count(), 0);
});

test('who_may_only_read_is_offered_no_redaction_and_who_reads_a_part_no_export', async (t) => {
  const { mock, page } = await world(t, { permissions: ['servers.read', 'audit.read'] });
  await page.goto(`${mock.url}/audit?action=server.update`);
  await page.getByRole('button', { name: 'Export' }).waitFor();
  await page.getByRole('button', { name: 'Server changed server.update' }).click();
  assert.equal(await page.getByRole('button', { name: 'Remove personal data' }).count(), 0);
  mock.people.owner.grants = [{ id: mock.people.id(), granted: { permissions: ALL }, scope: { type: 'server', id: mock.servers[0].id } }];
  await page.reload();
  await page.getByRole('table', { name: 'Audit' }).waitFor();
  for (const name of ['Export', 'Check the chain']) assert.equal(await page.getByRole('button', { name }).count(), 0, name);
});

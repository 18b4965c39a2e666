// The whole path without a mouse.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launch, openPage } from '../harness.mjs';
import { account, startMock } from '../mock/hub.mjs';

test('keyboard only', { timeout: 180_000 }, async (t) => {
  const mock = await startMock({ servers: 30, offlineShare: 0, signedIn: false });
  const browser = await launch();
  const page = await openPage(browser);
  t.after(async () => {
    await browser.close();
    await mock.close();
  });
  const press = (...keys) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
  const focused = () => page.evaluate(() => document.activeElement?.textContent ?? '');

  await t.test('sign_in', async () => {
    await page.goto(mock.url);
    await page.getByLabel('E-mail').waitFor();
    await page.keyboard.type(account.email);
    await press('Tab');
    await page.keyboard.type(account.password);
    await press('Enter');
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
  });

  await t.test('the_first_tab_stop_skips_the_navigation', async () => {
    await press('Tab');
    assert.equal(await focused(), 'Skip to content');
  });

  await t.test('sequences_search_and_rows', async () => {
    await press('g', 's');
    await page.getByRole('heading', { name: 'Servers', level: 1 }).waitFor();
    await page.getByText('atlas-build-3').waitFor();
    await press('/');
    await page.keyboard.type('breton');
    await page.waitForURL('**q=breton');
    await page.waitForFunction(() => document.querySelectorAll('[data-row]').length > 0 && [...document.querySelectorAll('[data-row]')].every((row) => row.textContent.includes('breton')));
    // Out of the field, past the filters and the header's buttons, into the table.
    for (let n = 0; n < 20 && !(await page.evaluate(() => document.activeElement?.matches('[data-row]'))); n += 1) await press('Tab');
    await press('ArrowDown');
    const name = (await page.evaluate(() => document.activeElement?.querySelector('a')?.textContent)) ?? '';
    assert.match(name, /breton/);
    await press('Enter');
    await page.getByRole('heading', { name, level: 1 }).waitFor();
  });

  await t.test('the_palette_finds_servers_and_gives_the_focus_back', async () => {
    await press('Control+k');
    await page.getByRole('combobox').waitFor();
    const { name } = mock.servers[2];
    await page.keyboard.type(name);
    await page.getByRole('option', { name }).first().waitFor();
    await press('Enter');
    await page.getByRole('heading', { name, level: 1 }).waitFor();
    await press('Control+k');
    await page.getByRole('combobox').waitFor();
    await page.getByText('Recent').waitFor();
    await press('Escape');
    assert.equal(await page.getByRole('combobox').count(), 0);
  });

  await t.test('the_sheet_of_keys_opens_and_closes', async () => {
    await press('?');
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
    await press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  });

  await t.test('run_a_command_and_cancel_it', async () => {
    await press('r');
    await page.getByRole('combobox', { name: 'Server' }).focus();
    await page.keyboard.type('delta');
    await page.getByRole('option').first().waitFor();
    await press('ArrowDown', 'Enter');
    for (let n = 0; n < 8 && !(await page.evaluate(() => document.activeElement?.matches('textarea'))); n += 1) await press('Tab');
    await page.keyboard.type('echo by keyboard; sleep 600');
    await press('Control+Enter');
    await page.getByText('by keyboard', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Cancel job' }).focus();
    await press('Enter');
    const confirm = page.getByRole('dialog').getByRole('button', { name: 'Cancel job' });
    for (let n = 0; n < 6 && !(await confirm.evaluate((button) => button === document.activeElement)); n += 1) await press('Tab');
    await press('Enter');
    await page.locator('header').getByText('Cancelled', { exact: true }).waitFor();
  });

  assert.deepEqual(page.problems, []);
});

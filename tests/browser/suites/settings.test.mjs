// The workspace's name, rules and plan, and the hub as a whole.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, looks, openPage } from '../harness.mjs';
import { inspect } from '../inspect.mjs';
import { HttpError } from '../mock/answers.mjs';
import { account, startMock } from '../mock/hub.mjs';
import { ALL } from '../mock/rights.mjs';
import { showTenants } from '../mock/showcase-settings.mjs';

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
  return { mock, page };
}

test('a_workspace_is_renamed_and_what_somebody_else_changed_is_not_overwritten', async (t) => {
  const { mock, page } = await world(t);
  await page.goto(`${mock.url}/settings`);
  const name = page.getByRole('textbox', { name: 'Name' });
  const save = page.getByRole('button', { name: 'Save' });
  assert.equal(await save.isDisabled(), true);
  await name.fill('Anchorage');
  mock.tenancy.workspace.version += 1;
  mock.tenancy.workspace.name = 'Their name';
  await save.click();
  await page.getByText('Somebody changed this in the meantime').waitFor();
  await page.getByText('It is called “Their name” now.').waitFor();
  assert.equal(mock.tenancy.workspace.name, 'Their name');
  await name.press('Enter');
  await page.getByText('The workspace is called Anchorage now.').waitFor();
  await page.getByRole('complementary').getByText('Anchorage').waitFor();
  assert.equal(mock.tenancy.workspace.name, 'Anchorage');
});

test('who_requires_a_second_factor_has_one', async (t) => {
  const { mock, page } = await world(t);
  await page.goto(`${mock.url}/settings`);
  const dialog = page.getByRole('dialog');
  await page.getByRole('button', { name: 'Require it' }).click();
  await dialog.getByText('taken off this workspace’s pages').waitFor();
  await dialog.getByRole('button', { name: 'Require it' }).click();
  await dialog.getByText('Turn on one-time codes or add a passkey for yourself first.').waitFor();
  await dialog.getByRole('link', { name: 'Your account' }).waitFor();
  mock.people.owner.hasSecondFactor = true;
  await dialog.getByRole('button', { name: 'Require it' }).click();
  await page.getByText('Members need a second factor from now on.').waitFor();
  assert.equal(mock.tenancy.workspace.require_totp, true);
  await page.getByRole('button', { name: 'Stop requiring it' }).click();
  await dialog.getByRole('button', { name: 'Stop requiring it' }).click();
  await page.getByText('A password alone is enough again.').waitFor();
});

test('a_plan_shows_use_against_its_limits_and_what_a_full_one_means', async (t) => {
  const { mock, page } = await world(t);
  await page.goto(`${mock.url}/settings`);
  await page.getByText('No plan was set, so nothing is limited.').waitFor();
  assert.equal(await page.getByRole('meter').count(), 0);
  mock.tenancy.plan = { name: 'Harbour 8', limits: { servers: 6, members: 10 }, features: ['white_label'], version: 2 };
  await page.reload();
  await page.getByText('6 of 6').waitFor();
  await page.getByText('1 of 10').waitFor();
  await page.getByText('No server can be added until there is room.').waitFor();
  assert.equal(await page.getByText('Nobody can be invited until there is room.').count(), 0);
  assert.equal(await page.getByRole('meter', { name: 'Servers' }).getAttribute('aria-valuenow'), '100');
});

test('whoever_runs_the_hub_tests_its_mail_in_the_servers_own_words', async (t) => {
  const { mock, page } = await world(t);
  await page.goto(`${mock.url}/settings`);
  await page.getByRole('navigation', { name: 'Settings' }).getByRole('link', { name: 'Hub' }).click();
  await page.getByText('https://hub.example.net').waitFor();
  await page.getByText('smtp.example.net:587, STARTTLS').waitFor();
  await page.getByText('Company account').waitFor();
  assert.equal(await page.getByLabel('To').inputValue(), account.email);
  await page.getByRole('button', { name: 'Send a test mail' }).click();
  await page.getByText('250 2.0.0 Ok: queued as 4F2B91A0C3').waitFor();
  mock.tenancy.mailRefusal = new HttpError(503, 'unavailable', 'smtp.example.net answered 535 5.7.8 authentication failed');
  await page.getByRole('button', { name: 'Send a test mail' }).click();
  await page.getByText('answered 535 5.7.8 authentication failed').waitFor();
  await page.getByLabel('To').fill('nobody');
  await page.getByRole('button', { name: 'Send a test mail' }).click();
  await page.getByText('This does not look like an e-mail address').waitFor();
  assert.deepEqual(mock.tenancy.mailed, [account.email]);
});

test('the_plan_of_a_workspace_is_changed_by_whoever_runs_the_hub', async (t) => {
  const { mock, page } = await world(t);
  showTenants(mock);
  await page.goto(`${mock.url}/settings/hub`);
  await page.getByRole('button', { name: 'Change plan: Little Boats' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Servers').fill('many');
  await dialog.getByLabel('Features').fill('sso White-Label');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.getByText('A whole number, or nothing for no limit').waitFor();
  await dialog.getByText('“White-Label” is not such a word').waitFor();
  await dialog.getByLabel('Servers').fill('40');
  await dialog.getByLabel('Members').fill('');
  await dialog.getByLabel('Features').fill('sso');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page.getByText('The plan of Little Boats was changed.').waitFor();
  await page.getByRole('row').filter({ hasText: 'Little Boats' }).getByText('4 of 40').waitFor();
  const { plan } = mock.tenancy.tenants.find((one) => one.name === 'Little Boats');
  assert.deepEqual(plan.limits, { servers: 40, members: null });
  assert.deepEqual(plan.features, ['sso']);
});

test('a_hub_without_mail_and_providers_says_how_to_get_them', async (t) => {
  const { mock, page } = await world(t);
  Object.assign(mock.tenancy.installation, { mail: null, providers: [], passkeys: false, public_url: 'https://203.0.113.5:8443' });
  await page.goto(`${mock.url}/settings/hub`);
  await page.getByText('This hub sends no mail').waitFor();
  await page.getByText('[mail]').waitFor();
  await page.getByText('Not offered: people reach this hub by an IP address').waitFor();
  await page.getByText('None. They are configured on the hub’s machine').waitFor();
  assert.deepEqual(await inspect(page, 'hub-bare-light'), []);
});

test('settings_show_what_one_may_change_and_nothing_else', async (t) => {
  const { mock, page } = await world(t, { permissions: ALL.filter((node) => node !== 'workspace.close' && node !== 'hub.manage') });
  await page.goto(`${mock.url}/settings`);
  await page.getByRole('heading', { name: 'Second factor' }).waitFor();
  assert.equal(await page.getByRole('link', { name: 'Hub' }).count(), 0);
  assert.equal(await page.getByRole('link', { name: 'Go to the team' }).count(), 0);
  await page.goto(`${mock.url}/settings/hub`);
  await page.getByText('You may not see this').waitFor();
  await page.getByText('You lack the permission to run the hub.').waitFor();
});

test('an_owner_of_another_workspace_does_not_run_the_hub', async (t) => {
  const { mock, page } = await world(t);
  mock.tenancy.isFirst = false;
  await page.goto(`${mock.url}/settings`);
  await page.getByRole('heading', { name: 'Second factor' }).waitFor();
  assert.equal(await page.getByRole('link', { name: 'Hub' }).count(), 0);
});

test('settings_say_what_is_wrong_and_heal', async (t) => {
  const { mock, page } = await world(t);
  for (const [api, path] of [['/v1/workspace', '/settings'], ['/v1/plan', '/settings'], ['/v1/installation', '/settings/hub'], ['/v1/workspaces', '/settings/hub']]) {
    mock.failures.set(api, 500);
    await page.goto(mock.url + path);
    await page.getByText('That did not work').first().waitFor();
    mock.failures.clear();
    await page.getByRole('button', { name: 'Try again' }).first().click();
    await page.getByText('That did not work').first().waitFor({ state: 'detached' });
  }
});

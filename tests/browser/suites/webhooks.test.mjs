// Webhooks: made, changed, tested; what they sent, and what is done when it does not arrive.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, looks, openPage, until } from '../harness.mjs';
import { inspect } from '../inspect.mjs';
import { startMock } from '../mock/hub.mjs';
import { ALL } from '../mock/rights.mjs';
import { showWebhooks } from '../mock/showcase-webhooks.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

async function world(t, { look = 'light', ...options } = {}) {
  const mock = await startMock({ servers: 3, offlineShare: 0, ...options });
  const page = await openPage(browser, looks[look]);
  t.after(async () => {
    assert.deepEqual(page.problems, []);
    await page.context().close();
    await mock.close();
  });
  return { mock, page, dialog: page.getByRole('dialog') };
}

test('a_webhook_is_made_of_chosen_events_and_its_secret_is_shown_once', { timeout: 60_000 }, async (t) => {
  const { mock, page, dialog } = await world(t);
  await page.goto(`${mock.url}/settings/webhooks`);
  await page.getByText('With one, a chat, a ticket system').waitFor();
  await page.getByRole('button', { name: 'New webhook' }).first().click();
  await dialog.getByLabel('Name').fill('Chat');
  await dialog.getByRole('textbox', { name: 'Address' }).fill('http://hooks.example.net/in');
  await dialog.getByRole('radio', { name: 'Chosen events' }).check();
  await dialog.getByRole('button', { name: 'New webhook' }).click();
  await dialog.getByText('Plain http is for private networks only').waitFor();
  await dialog.getByText('Choose at least one event').waitFor();
  await dialog.getByRole('textbox', { name: 'Address' }).fill('https://169.254.169.254/latest');

  await dialog.getByRole('checkbox', { name: 'Server revoked' }).check();
  await dialog.getByRole('searchbox', { name: 'Search events' }).fill('members');
  await dialog.getByRole('checkbox', { name: 'Members' }).check();
  assert.equal(await dialog.getByRole('checkbox', { name: 'Member joined' }).isDisabled(), true);
  assert.equal(await dialog.getByRole('checkbox', { name: 'Member joined' }).isChecked(), true);
  await dialog.getByLabel('Others').fill('moon.rise Sun');
  await dialog.getByRole('button', { name: 'How events are written' }).click();
  await dialog.getByText('every event about members').waitFor();
  await dialog.getByRole('button', { name: 'New webhook' }).click();
  await dialog.getByText('“Sun” is not an event').waitFor();
  await dialog.getByLabel('Others').fill('moon.rise');
  await dialog.getByRole('button', { name: 'New webhook' }).click();
  await dialog.getByText('Leads to an address that is not public').waitFor();
  assert.deepEqual(await inspect(page, 'webhook-refused-light'), []);
  await dialog.getByRole('textbox', { name: 'Address' }).fill('https://hooks.example.net/in');
  await dialog.getByRole('button', { name: 'New webhook' }).click();

  await dialog.getByText('Keep it now: it is not shown again.').waitFor();
  assert.match(await dialog.getByLabel('Secret').locator('pre').textContent(), /^whsec_/);
  // A press beside the dialog does not lose it.
  await page.mouse.click(5, 5);
  await dialog.getByLabel('Secret').waitFor();
  await dialog.getByRole('button', { name: 'Close' }).last().click();
  await page.getByRole('list', { name: 'Webhooks' }).getByText('hooks.example.net').waitFor();
  assert.deepEqual(mock.webhooks.list[0].events, ['server.revoke', 'member.*', 'moon.rise']);
  assert.equal(await page.getByText('whsec_').count(), 0);
});

test('a_webhook_is_tested_changed_given_a_new_secret_and_deleted', { timeout: 60_000 }, async (t) => {
  const { mock, page, dialog } = await world(t);
  const webhook = mock.webhooks.add({ name: 'Chat', url: 'https://hooks.example.net/in', events: ['server.*', 'moon.rise'] });
  await page.goto(`${mock.url}/settings/webhooks`);
  await page.getByRole('link', { name: 'Chat' }).click();
  await page.getByText('Nothing sent yet').waitFor();
  await page.getByText('Ada Byron').nth(1).waitFor();
  await page.getByRole('button', { name: 'Send a test' }).click();
  await page.getByText('A test is on its way.').waitFor();
  const row = page.getByRole('table', { name: 'Deliveries' }).getByRole('row').filter({ hasText: 'Webhook tested' });
  await row.getByText('Waiting').waitFor();
  // It moves on without being asked.
  Object.assign(mock.webhooks.deliveries[0], { state: 'delivered', attempts: 1, next_attempt_at: null });
  await row.getByText('Delivered').waitFor();

  const menu = async (item) => {
    await page.getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: item }).click();
  };
  await menu('Change');
  assert.equal(await dialog.getByRole('radio', { name: 'Chosen events' }).isChecked(), true);
  assert.equal(await dialog.getByRole('checkbox', { name: 'Servers', exact: true }).isChecked(), true);
  assert.equal(await dialog.getByLabel('Others').inputValue(), 'moon.rise');
  webhook.version += 1;
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.getByText('Somebody changed this webhook in the meantime.').waitFor();
  webhook.version -= 1;
  await dialog.getByRole('radio', { name: 'Everything' }).check();
  await dialog.getByRole('checkbox', { name: 'Send events there' }).uncheck();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Chat was changed.').waitFor();
  assert.deepEqual(webhook.events, ['*']);
  await page.getByText('Disabled', { exact: true }).waitFor();

  await menu('New secret');
  await dialog.getByText('signed with both secrets for 24 hours').waitFor();
  await dialog.getByRole('button', { name: 'New secret' }).click();
  await dialog.getByText('whsec_C2FV').waitFor();
  await page.keyboard.press('Escape');
  await menu('Delete');
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await page.getByText('Chat was deleted.').waitFor();
  await page.getByText('No webhooks').waitFor();
});

test('a_webhook_that_the_hub_disabled_says_why_and_is_turned_on_again', async (t) => {
  const { mock, page } = await world(t);
  const { tickets } = showWebhooks(mock);
  await page.goto(`${mock.url}/settings/webhooks`);
  await page.getByRole('listitem').filter({ hasText: 'Tickets' }).getByText('The hub disabled it').waitFor();
  await page.getByRole('link', { name: 'Tickets' }).click();
  await page.getByText('for three days nothing arrived; the last answer was 410').waitFor();
  await page.getByRole('button', { name: 'Turn on again' }).click();
  await page.getByText('Tickets is on again.').waitFor();
  await page.getByText('for three days nothing arrived').waitFor({ state: 'detached' });
  assert.equal(tickets.enabled, true);
});

test('a_delivery_tells_every_attempt_and_is_sent_again', { timeout: 60_000 }, async (t) => {
  const { mock, page } = await world(t);
  const { failed } = showWebhooks(mock);
  await page.goto(`${mock.url}/settings/deliveries`);
  const rows = page.getByRole('table', { name: 'Deliveries' }).locator('tbody tr');
  await until(async () => (await rows.count()) === 4, 'all four are listed');
  await page.getByRole('button', { name: 'Mail', exact: true }).click();
  await until(async () => (await rows.count()) === 1, 'the mail alone is listed');
  await page.waitForURL('**channel=mail');
  await rows.first().getByText('Your password was changed').waitFor();
  await page.getByRole('button', { name: 'Failed' }).click();
  await page.getByText('No delivery fits these filters.').waitFor();
  await page.getByRole('button', { name: 'Clear filters' }).click();
  await page.getByRole('combobox', { name: 'Webhook' }).click();
  await page.getByRole('option', { name: 'Tickets' }).click();
  await until(async () => (await rows.count()) === 1, 'those of one webhook are listed');

  // By keys alone.
  await rows.first().focus();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Member joined' }).waitFor();
  const attempts = page.getByRole('list', { name: 'Attempts' }).getByRole('listitem');
  assert.equal(await attempts.count(), 3);
  await attempts.nth(0).getByText('the connection was refused').waitFor();
  await attempts.nth(2).getByText('410').first().waitFor();
  await attempts.nth(1).getByRole('button', { name: 'Start of the answer' }).click();
  // What a receiver answers is text, never a page.
  await attempts.nth(1).getByText('<html><body>Service temporarily unavailable').waitFor();
  await page.getByRole('region', { name: 'What is sent' }).getByText('"type": "member.join"').waitFor();
  assert.deepEqual(await inspect(page, 'delivery-failed-light'), []);
  await page.getByRole('button', { name: 'Send again' }).click();
  await page.getByText('It is sent again.').waitFor();
  await page.locator('header').getByText('Waiting').waitFor();
  assert.equal(mock.webhooks.delivery(failed.id).state, 'waiting');
});

test('who_may_not_manage_webhooks_sees_none_and_private_networks_are_for_who_runs_the_hub', async (t) => {
  const { mock, page, dialog } = await world(t, { permissions: ALL.filter((node) => node !== 'hub.manage') });
  await page.goto(`${mock.url}/settings/webhooks`);
  await page.getByRole('button', { name: 'New webhook' }).first().click();
  await dialog.getByLabel('Name').waitFor();
  assert.equal(await dialog.getByRole('checkbox', { name: 'It may lead into private networks' }).count(), 0);
  mock.people.owner.grants[0].granted = { permissions: ['servers.read', 'workspace.manage', 'hub.manage'] };
  await page.goto(`${mock.url}/settings`);
  await page.getByRole('heading', { name: 'Second factor' }).waitFor();
  for (const name of ['Webhooks', 'Deliveries']) assert.equal(await page.getByRole('link', { name }).count(), 0, name);
  for (const path of ['/settings/webhooks', '/settings/deliveries']) {
    await page.goto(mock.url + path);
    await page.getByText('You lack the permission to make and change webhooks.').waitFor();
  }
});

test('webhooks_say_what_is_wrong_and_heal', async (t) => {
  const { mock, page } = await world(t);
  const { chat, waiting } = showWebhooks(mock);
  for (const [api, path] of [
    ['/v1/outgoing-webhooks', '/settings/webhooks'],
    ['/v1/outgoing-webhooks', `/settings/webhooks/${chat.id}`],
    ['/v1/deliveries', '/settings/deliveries'],
    ['/v1/deliveries', `/settings/deliveries/${waiting.id}`],
  ]) {
    mock.failures.set(api, 500);
    await page.goto(mock.url + path);
    await page.getByText('That did not work').first().waitFor();
    mock.failures.clear();
    await page.getByRole('button', { name: 'Try again' }).first().click();
    await page.getByText('That did not work').first().waitFor({ state: 'detached' });
  }
  await page.goto(`${mock.url}/settings/webhooks/0193c0de-0030-7000-8000-0000000fffff`);
  await page.getByRole('heading', { name: 'Nothing here' }).waitFor();
});

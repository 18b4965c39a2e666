// What a person sees when something is missing, refused, lost or over.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, openPage, shoot, until } from '../harness.mjs';
import { account, startMock } from '../mock/hub.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

async function world(t, options) {
  const mock = await startMock(options);
  const page = await openPage(browser);
  t.after(async () => {
    assert.deepEqual(page.problems, []);
    await page.context().close();
    await mock.close();
  });
  return { mock, page };
}

test('a_lost_event_stream_is_said_and_nothing_is_missed', async (t) => {
  const { mock, page } = await world(t, { servers: 6, offlineShare: 0 });
  const [server] = mock.servers;
  await page.goto(`${mock.url}/servers`);
  await page.getByText(server.name, { exact: true }).waitFor();
  await until(() => mock.streams.size === 1, 'the stream is open');
  mock.eventsDown = true;
  mock.cutEvents();
  await page.getByText('Live updates lost').waitFor();
  await shoot(page, 'connection-lost-light');
  mock.setStatus(server, 'offline');
  const row = page.getByRole('row').filter({ hasText: server.name });
  assert.equal(await row.getByText('Online').count(), 1);
  // While the hub is down the button stays; once it is up, the page's own attempt could be faster than the click.
  const refused = mock.eventsRefused;
  await page.getByRole('button', { name: 'Retry now' }).click();
  await until(() => mock.eventsRefused > refused, 'it was tried at once');
  mock.eventsDown = false;
  // The page's next attempt may be fifteen seconds away.
  await row.getByText('Offline').waitFor({ timeout: 25_000 });
  await until(async () => (await page.getByText('Live updates lost').count()) === 0, 'the badge is gone');
});

test('all_tabs_share_one_stream_and_survive_the_one_that_holds_it', async (t) => {
  const { mock, page } = await world(t, { servers: 4, offlineShare: 0 });
  await page.goto(`${mock.url}/servers`);
  await until(() => mock.streams.size === 1, 'the first tab has the stream');
  const second = await page.context().newPage();
  await second.goto(`${mock.url}/servers`);
  await second.getByText(mock.servers[0].name, { exact: true }).waitFor();
  const showsOffline = (tab, server) => tab.getByRole('row').filter({ hasText: server.name }).getByText('Offline').waitFor();
  mock.setStatus(mock.servers[0], 'offline');
  await Promise.all([showsOffline(page, mock.servers[0]), showsOffline(second, mock.servers[0])]);
  assert.equal(mock.streams.size, 1);
  await page.goto('about:blank');
  mock.setStatus(mock.servers[1], 'offline');
  await showsOffline(second, mock.servers[1]);
  await until(() => mock.streams.size === 1, 'the second tab has taken over');
});

test('a_log_that_is_cut_off_goes_on_where_it_stopped', async (t) => {
  const { mock, page } = await world(t, { servers: 2, offlineShare: 0 });
  const job = mock.addJob(mock.servers[0], { command: 'count' }, 'running', { started_at: new Date().toISOString() });
  const log = mock.logs.get(job.id);
  await page.goto(`${mock.url}/jobs/${job.id}`);
  for (let n = 1; n <= 30; n += 1) {
    log.write(`line ${n}\nhalf of `);
    if (n % 10 === 0) mock.cutLogs();
    await mock.pace(20);
  }
  mock.finishJob(job, 'succeeded', 0);
  await page.getByText('Complete').waitFor();
  const rows = await page.locator('[data-line]').evaluateAll((all) => all.map((row) => row.children[1].textContent));
  const expected = Array.from({ length: 30 }, (_, n) => (n === 0 ? 'line 1' : `half of line ${n + 1}`));
  assert.deepEqual(rows, [...expected, 'half of ']);
});

test('a_refusal_is_shown_in_place_with_its_reference_and_heals', async (t) => {
  const { mock, page } = await world(t, { servers: 3 });
  mock.failures.set('/v1/jobs', 500);
  await page.goto(`${mock.url}/jobs`);
  await page.getByText('That did not work').waitFor();
  assert.match(await page.getByRole('alert').textContent(), /internal · [0-9a-f-]{36}/);
  await shoot(page, 'error-light');
  mock.failures.clear();
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByText('./deploy.sh').first().waitFor();
});

test('a_viewer_sees_no_action_that_would_be_refused', async (t) => {
  const { mock, page } = await world(t, { servers: 3, offlineShare: 0, permissions: ['servers.read', 'jobs.read'] });
  await page.goto(`${mock.url}/servers/${mock.servers[0].id}`);
  await page.getByRole('heading', { level: 1 }).waitFor();
  for (const name of ['Run a command', 'More actions', 'Audit', 'Activity']) {
    assert.equal(await page.getByRole('button', { name }).or(page.getByRole('link', { name })).count(), 0, name);
  }
  await page.goto(`${mock.url}/audit`);
  await page.getByText('You may not see this').waitFor();
  await page.goto(`${mock.url}/jobs/${mock.jobs[0].id}`);
  await page.getByText('Running').first().waitFor();
  assert.equal(await page.getByRole('button', { name: 'Cancel job' }).count(), 0);
});

test('a_session_that_ends_leads_to_signing_in_and_back', async (t) => {
  const { mock, page } = await world(t, { servers: 3 });
  await page.goto(`${mock.url}/servers`);
  await page.getByRole('heading', { name: 'Servers', level: 1 }).waitFor();
  mock.signedIn = false;
  await page.keyboard.press('g');
  await page.keyboard.press('j');
  await page.waitForURL('**/sign-in?*');
  await page.getByLabel('E-mail').fill(account.email);
  await page.getByLabel('Password').fill(account.password);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Jobs', exact: true }).waitFor();
});

test('an_unknown_server_and_an_unreachable_hub_say_so', async (t) => {
  const { mock, page } = await world(t, { servers: 1 });
  await page.goto(`${mock.url}/servers/0193c0de-0001-7000-8000-00000000ffff`);
  await page.getByRole('heading', { name: 'Nothing here' }).waitFor();
  mock.failures.set('/v1/', 503);
  await page.goto(`${mock.url}/servers`);
  await page.getByText('Cannot reach the hub').waitFor({ timeout: 15_000 });
});

test('a_name_changed_by_somebody_else_is_not_overwritten', async (t) => {
  const { mock, page } = await world(t, { servers: 1, offlineShare: 0 });
  await page.goto(`${mock.url}/servers/${mock.servers[0].id}`);
  await page.getByRole('button', { name: 'More actions' }).click();
  await page.getByRole('menuitem', { name: 'Rename and label' }).click();
  mock.servers[0].version += 1;
  await page.getByRole('dialog').getByLabel('Name').fill('mine');
  await page.keyboard.press('Enter');
  await page.getByText('Somebody changed this server in the meantime').waitFor();
});

// People on the mock: the whole way of an invited customer, and what a real hub shows less quickly.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, openPage, shoot } from '../harness.mjs';
import { inspect } from '../inspect.mjs';
import { account, startMock } from '../mock/hub.mjs';
import { uuid } from '../mock/data.mjs';
import { peopleSteps } from '../people-steps.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

async function world(t, options) {
  const mock = await startMock({ servers: 6, offlineShare: 0, ...options });
  const page = await openPage(browser);
  t.after(async () => {
    assert.deepEqual(page.problems, []);
    await page.context().close();
    await mock.close();
  });
  return { mock, page };
}

test('people', { timeout: 360_000 }, async (t) => {
  const { mock, page } = await world(t);
  await page.goto(mock.url);
  let broken = false;
  const step = (title, work) =>
    t.test(title, async () => {
      if (broken) throw new Error('an earlier step failed');
      try {
        await work();
      } catch (error) {
        broken = true;
        await shoot(page, 'failed-people');
        throw error;
      }
    });
  await peopleSteps({ step, page, browser, world: mock, mine: mock.servers[1], other: mock.servers[0] });
});

test('a_refusal_says_which_permission_is_missing', async (t) => {
  const { mock, page } = await world(t);
  await page.goto(`${mock.url}/team/members/${mock.people.owner.id}`);
  await page.getByRole('button', { name: 'Add grant' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('radio', { name: 'Operator' }).check();
  // Somebody takes it meanwhile; this page does not know yet.
  mock.people.owner.grants[0].granted = { permissions: ['members.read', 'members.manage', 'servers.read', 'events.read'] };
  await dialog.getByRole('button', { name: 'Add grant' }).click();
  await dialog.getByText(/You lack the permission to add servers, change and remove servers, run commands on servers/).waitFor();
  await dialog.getByText('Whoever runs this hub can grant it: an owner of its first workspace.').waitFor();
});

test('what_the_caller_lacks_cannot_be_given', async (t) => {
  const permissions = ['servers.read', 'jobs.read', 'members.read', 'members.manage', 'roles.manage', 'api-keys.create'];
  const { mock, page } = await world(t, { permissions });
  await page.goto(`${mock.url}/team`);
  await page.getByRole('button', { name: 'Invite somebody' }).click();
  const dialog = page.getByRole('dialog');
  assert.equal(await dialog.getByRole('radio', { name: 'Owner' }).isDisabled(), true);
  await dialog.getByText('You do not hold all of this there yourself.').first().waitFor();
  await dialog.getByRole('radio', { name: 'Chosen permissions' }).check();
  assert.equal(await dialog.getByRole('checkbox', { name: 'Run commands' }).isDisabled(), true);
  assert.equal(await dialog.getByRole('checkbox', { name: 'See servers' }).isDisabled(), false);
  // Without projects.read there is no project to choose.
  assert.equal(await dialog.getByRole('button', { name: 'A project' }).count(), 0);
});

test('somebody_of_one_project_is_offered_what_they_may_do_there', async (t) => {
  const { mock, page } = await world(t, { permissions: ['servers.read'] });
  const shop = mock.people.makeProject('Shop');
  const [inside, outside] = mock.servers;
  inside.project_id = shop.id;
  const nodes = ['servers.exec', 'servers.enroll', 'jobs.read', 'jobs.cancel', 'projects.read', 'events.read'];
  mock.people.owner.grants.push({ id: uuid(12, 99), granted: { permissions: nodes }, scope: { type: 'project', id: shop.id } });
  const run = page.getByRole('link', { name: 'Run a command' });
  await page.goto(`${mock.url}/servers/${outside.id}`);
  await page.getByRole('heading', { name: outside.name, level: 1 }).waitFor();
  assert.equal(await run.count(), 0);
  assert.equal(await page.getByRole('link', { name: 'Jobs' }).count(), 1, 'only the one of the main navigation');
  await page.goto(`${mock.url}/servers/${inside.id}`);
  await run.waitFor();
  await page.goto(`${mock.url}/jobs/new`);
  await page.getByRole('combobox', { name: 'Server' }).click();
  await page.getByRole('option').first().waitFor();
  assert.deepEqual(await page.getByRole('option').count(), 1);
  await page.goto(`${mock.url}/servers/new`);
  await page.getByRole('combobox', { name: 'Project' }).click();
  assert.deepEqual(await page.getByRole('option').allTextContents(), ['Shop']);
});

test('a_person_of_several_workspaces_chooses_one_and_everything_is_loaded_anew', async (t) => {
  const { mock, page } = await world(t);
  mock.people.workspaces.push({ id: uuid(8, 2), name: 'Second Ltd' });
  await page.goto(`${mock.url}/servers`);
  const other = await page.context().newPage();
  await other.goto(`${mock.url}/jobs`);
  await other.getByRole('heading', { name: 'Jobs', level: 1 }).waitFor();
  await page.bringToFront();
  await page.getByRole('button', { name: `Workspace ${account.workspace}; choose another` }).click();
  await page.getByRole('menuitemradio', { name: 'Second Ltd' }).waitFor();
  assert.deepEqual(await inspect(page, 'workspace-menu'), []);
  await page.getByRole('menuitemradio', { name: 'Second Ltd' }).click();
  await page.getByRole('button', { name: 'Workspace Second Ltd; choose another' }).waitFor();
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  assert.equal(mock.people.workspaceId, uuid(8, 2));
  // The other tab shares the session.
  await other.getByRole('button', { name: 'Workspace Second Ltd; choose another' }).waitFor();
});

test('a_workspace_is_handed_over_only_with_the_name_and_the_password', async (t) => {
  const { mock, page } = await world(t);
  const invite = mock.people.makeInvite({ email: 'grace@example.net', granted: { role: 'viewer' }, scope: { type: 'workspace' } }, mock.people.owner, { demandHeld() {} });
  mock.people.accept({ token: invite.token, password: 'a long enough password', name: 'Grace' }, { setHeader() {} });
  await page.goto(`${mock.url}/team`);
  await page.getByRole('link', { name: 'Grace' }).click();
  await page.getByRole('button', { name: 'More actions' }).click();
  await page.getByRole('menuitem', { name: 'Hand the workspace over' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Your password').fill('not the password');
  await dialog.getByRole('button', { name: 'Hand the workspace over' }).click();
  assert.equal(await dialog.getByLabel(/^Type “Grace”/).getAttribute('aria-invalid'), 'true');
  await dialog.getByLabel(/^Type “Grace”/).fill('Grace');
  await dialog.getByRole('button', { name: 'Hand the workspace over' }).click();
  await dialog.getByText('Is not your password').waitFor();
  await dialog.getByLabel('Your password').fill(account.password);
  await dialog.getByRole('button', { name: 'Hand the workspace over' }).click();
  await page.getByText('Grace owns this workspace now.').waitFor();
  await page.getByRole('list', { name: 'Grants' }).getByText('Owner of the workspace').waitFor();
});

test('somebody_is_invited_without_a_mouse', async (t) => {
  const { mock, page } = await world(t);
  await page.goto(mock.url);
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').waitFor();
  await page.keyboard.type('invite');
  await page.getByRole('option', { name: 'Invite somebody' }).waitFor();
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('radio', { name: 'Viewer' }).waitFor();
  await page.keyboard.type('grace@example.net');
  await page.keyboard.press('Tab');
  await page.keyboard.press('ArrowDown');
  assert.equal(await dialog.getByRole('radio', { name: 'Customer' }).isChecked(), true);
  // To where it holds, and to a server found by typing.
  for (const key of ['Tab', 'Tab', 'Tab', 'Enter', 'Tab']) await page.keyboard.press(key);
  // However slow the answer, no server is offered but those that match.
  mock.delayMs = 300;
  await page.keyboard.type(mock.servers[3].name);
  await page.getByRole('option', { name: mock.servers[3].name }).waitFor();
  mock.delayMs = 0;
  for (const key of ['ArrowDown', 'Enter', 'Enter']) await page.keyboard.press(key);
  await dialog.getByLabel('Invitation link').waitFor();
  assert.deepEqual(mock.people.invites[0].scope, { type: 'server', id: mock.servers[3].id });
  assert.deepEqual(mock.people.invites[0].granted, { role: 'customer' });
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  await page.getByText(`Customer of server ${mock.servers[3].name}`).waitFor();
});

test('lists_say_what_is_wrong_and_heal', async (t) => {
  const { mock, page } = await world(t);
  for (const [api, path] of [['/v1/team/members', '/team'], ['/v1/team/roles', '/team'], ['/v1/team/invites', '/team'], ['/v1/projects', '/projects'], ['/v1/api-keys', '/account']]) {
    mock.failures.set(api, 500);
    await page.goto(mock.url + path);
    await page.getByText('That did not work').first().waitFor();
    mock.failures.clear();
    await page.getByRole('button', { name: 'Try again' }).first().click();
    await page.getByText('That did not work').first().waitFor({ state: 'detached' });
  }
});

// What concerns people, on whatever hub: projects, roles, an invited customer, API keys. Part of the suites `path` (real
// hub) and `people` (mock).
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { openPage, shoot, until } from './harness.mjs';
import { inspect } from './inspect.mjs';

const PASSWORD = 'a customer’s long password';

/** `mine` is the server that the customer will see, `other` one that they must not; both `{ id, name }`. */
export async function peopleSteps({ step, page, browser, world, mine, other }) {
  const mark = Date.now().toString(36);
  const project = `Shop ${mark}`;
  const role = `Watcher ${mark}`;
  const email = `carla-${mark}@customer.example`;
  const dialog = page.getByRole('dialog');
  let customer;
  const pick = async (label, text) => {
    await dialog.getByRole('combobox', { name: label }).fill(text);
    await page.getByRole('option', { name: text }).first().click();
  };
  const openMember = async () => {
    await page.goto(`${world.url}/team`);
    await page.getByRole('link', { name: 'Carla Customer' }).click();
    await page.getByRole('heading', { name: 'Carla Customer', level: 1 }).waitFor();
  };
  const linksOf = (someone) => someone.getByRole('navigation', { name: 'Main' }).getByRole('link').allTextContents();

  await step('a_server_is_moved_into_a_project_and_found_by_it', async () => {
    await page.goto(`${world.url}/projects`);
    await page.getByRole('button', { name: 'New project' }).first().click();
    await dialog.getByRole('textbox', { name: 'Name', exact: true }).fill(project);
    await page.keyboard.press('Enter');
    await page.getByRole('link', { name: project }).waitFor();
    await page.goto(`${world.url}/servers/${mine.id}`);
    await page.getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: 'Move to a project' }).click();
    await dialog.getByRole('combobox', { name: 'Project' }).click();
    await page.getByRole('option', { name: project }).click();
    await dialog.getByRole('button', { name: 'Move', exact: true }).click();
    await page.locator('header').getByRole('link', { name: project }).click();
    await page.waitForURL(/\/servers\?project=/);
    await page.getByText('1 server', { exact: true }).waitFor();
    await page.getByRole('row').filter({ hasText: mine.name }).getByText(project).waitFor();
    assert.equal(await page.getByText(other.name, { exact: true }).count(), 0);
  });

  await step('a_role_is_made_of_permissions_that_are_found_by_their_meaning', async () => {
    await page.goto(`${world.url}/team`);
    await page.getByRole('button', { name: 'New role' }).click();
    await dialog.getByRole('textbox', { name: 'Name', exact: true }).fill(role);
    await dialog.getByRole('searchbox', { name: 'Search permissions' }).fill('logs');
    await dialog.getByRole('checkbox', { name: 'See jobs and their logs.' }).check();
    assert.equal(await dialog.getByRole('checkbox').count(), 1);
    await dialog.getByRole('button', { name: 'New role' }).click();
    await page.getByRole('list', { name: 'Roles of this workspace' }).getByText(role).waitFor();
  });

  await step('an_invited_customer_sees_exactly_one_server_and_nothing_else', async () => {
    await page.getByRole('button', { name: 'Invite somebody' }).click();
    await dialog.getByLabel('E-mail').fill(email);
    await dialog.getByRole('radio', { name: 'Customer' }).check();
    await dialog.getByRole('button', { name: 'A server' }).click();
    await pick('Server', mine.name);
    await dialog.getByRole('button', { name: 'Create invitation' }).click();
    const link = await dialog.getByLabel('Invitation link').locator('pre').textContent();
    await dialog.getByRole('button', { name: 'Close' }).last().click();
    await page.getByText(`Customer of server ${mine.name}`).waitFor();

    customer = await openPage(browser);
    const { hash } = new URL(link);
    await customer.goto(`${world.url}/invite${hash}`);
    await customer.getByText(`This makes an account for ${email}.`).waitFor();
    await customer.getByLabel('Your name').fill('Carla Customer');
    await customer.getByLabel('A password').fill('short');
    await customer.getByRole('button', { name: /^Join/ }).click();
    await customer.getByText('Use at least 12 characters').waitFor();
    await customer.getByLabel('A password').fill(PASSWORD);
    await customer.keyboard.press('Enter');
    await customer.getByRole('heading', { name: mine.name, level: 1 }).waitFor();
    assert.deepEqual(await linksOf(customer), ['Servers']);
    assert.deepEqual(await customer.getByRole('navigation', { name: mine.name }).getByRole('link').allTextContents(), ['Metrics', 'Policy']);
    for (const name of ['Run a command', 'More actions', 'Add a server', other.name, project]) {
      assert.equal(await customer.getByRole('button', { name }).or(customer.getByRole('link', { name })).count(), 0, name);
    }
    assert.deepEqual(await inspect(customer, 'customer-server'), []);

    await customer.getByRole('link', { name: 'Servers' }).click();
    await customer.getByText('1 server', { exact: true }).waitFor();
    await customer.getByText(mine.name, { exact: true }).waitFor();
    assert.equal(await customer.getByText(other.name).count(), 0);
    assert.deepEqual(await inspect(customer, 'customer-servers'), []);
    await customer.keyboard.press('Control+k');
    await customer.getByRole('option', { name: mine.name }).waitFor();
    const offered = await customer.getByRole('option').allTextContents();
    assert.deepEqual(offered.filter((text) => !text.startsWith('Theme')), [mine.name, 'Account']);
    await customer.keyboard.press('Escape');

    await customer.goto(`${world.url}/servers/${other.id}`);
    await customer.getByRole('heading', { name: 'Nothing here' }).waitFor();
    for (const path of ['/jobs', '/batches', '/projects', '/team', '/audit', '/servers/new', '/jobs/new']) {
      await customer.goto(world.url + path);
      await customer.getByText('You may not see this').waitFor();
    }
    await customer.goto(`${world.url}/account`);
    await customer.getByText(`Customer of server ${mine.name}`).waitFor();
    for (const name of ['API keys', 'Operator keys']) assert.equal(await customer.getByRole('heading', { name }).count(), 0, name);
    assert.deepEqual(await inspect(customer, 'customer-account'), []);
  });

  await step('the_link_of_an_invitation_works_once', async () => {
    const again = await openPage(browser);
    await again.goto(`${world.url}/invite#rsv_of_nobody`);
    await again.getByRole('heading', { name: 'This invitation is not open any more' }).waitFor();
    await again.goto(`${world.url}/invite`);
    await again.getByText('The link is incomplete').waitFor();
    assert.deepEqual(again.problems, []);
    await again.context().close();
  });

  await step('a_role_that_is_given_acts_at_once_on_an_open_page_and_so_does_taking_it', async () => {
    await customer.goto(world.url);
    await customer.getByRole('heading', { name: mine.name, level: 1 }).waitFor();
    await openMember();
    await page.getByRole('button', { name: 'Add grant' }).click();
    await dialog.getByRole('radio', { name: role }).check();
    await dialog.getByRole('button', { name: 'A project' }).click();
    await pick('Project', project);
    await dialog.getByRole('button', { name: 'Add grant' }).click();
    await page.getByRole('list', { name: 'Grants' }).getByText(`${role} of project ${project}`).waitFor();
    await page.getByText('See jobs and their logs.').waitFor();
    await until(async () => (await linksOf(customer)).includes('Jobs'), 'the customer has a way to jobs', 20_000);
    await customer.getByRole('navigation', { name: mine.name }).getByRole('link', { name: 'Jobs' }).waitFor();

    await page.goto(`${world.url}/team`);
    await page.getByRole('button', { name: `More: ${role}` }).click();
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    await dialog.getByText('Held by Carla Customer').waitFor();
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await dialog.getByText('1 grant uses this role').waitFor();
    await page.keyboard.press('Escape');

    await openMember();
    await page.getByRole('button', { name: `Remove ${role} of project ${project}` }).click();
    await dialog.getByRole('button', { name: 'Remove' }).click();
    await until(async () => !(await linksOf(customer)).includes('Jobs'), 'the customer has no way to jobs', 20_000);
    await page.goto(`${world.url}/team`);
    await page.getByRole('button', { name: `More: ${role}` }).click();
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await page.getByText(`The role ${role} was deleted.`).waitFor();
  });

  await step('an_api_key_works_with_curl_until_it_is_revoked', async () => {
    const key = `script ${mark}`;
    await page.goto(`${world.url}/account`);
    await page.getByRole('button', { name: 'New key' }).click();
    await dialog.getByRole('textbox', { name: 'Name', exact: true }).fill(key);
    await dialog.getByRole('checkbox', { name: 'See servers' }).check();
    await dialog.getByRole('button', { name: 'A project' }).click();
    await pick('Project', project);
    await dialog.getByRole('button', { name: 'New key' }).click();
    const command = await dialog.getByLabel('Try it').locator('pre').textContent();
    assert.match(command, /^curl -H 'Authorization: Bearer rsk_/);
    const answer = JSON.parse((await shell(command)).body);
    assert.deepEqual(answer.data.map((server) => server.name), [mine.name]);
    await dialog.getByRole('button', { name: 'Close' }).last().click();
    await page.getByRole('list', { name: 'API keys' }).getByText(`1 permission on project ${project}`).waitFor();
    await page.getByRole('button', { name: `Revoke: ${key}` }).click();
    await dialog.getByRole('button', { name: 'Revoke' }).click();
    await page.getByText(`${key} was revoked.`).waitFor();
    assert.equal((await shell(command)).status, 401);
  });

  await step('a_member_who_is_removed_is_out', async () => {
    await openMember();
    await page.getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: 'Remove from workspace' }).click();
    await dialog.getByRole('textbox').fill('Carla Customer');
    await dialog.getByRole('button', { name: 'Remove from workspace' }).click();
    await page.getByText('Carla Customer is no longer a member.').waitFor();
    await customer.goto(`${world.url}/servers`);
    await customer.waitForURL('**/sign-in*');
    await customer.getByRole('heading', { name: 'Sign in to Roadstead' }).waitFor();
    await shoot(customer, 'customer-removed');
    assert.deepEqual(customer.problems, []);
    await customer.context().close();
  });

  await step('a_project_is_deleted_and_its_server_stays', async () => {
    await page.goto(`${world.url}/projects`);
    await page.getByRole('button', { name: `More: ${project}` }).click();
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    await dialog.getByText('Its server stays').waitFor();
    await dialog.getByRole('textbox').fill(project);
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await page.getByText(`The project ${project} was deleted.`).waitFor();
    await page.goto(`${world.url}/servers/${mine.id}`);
    await page.getByRole('heading', { name: mine.name, level: 1 }).waitFor();
  });
}

/** What a person would paste into a terminal. */
async function shell(command) {
  const { stdout } = await promisify(execFile)('/bin/sh', ['-c', `${command} -sSk -w '\\n%{http_code}'`]);
  const end = stdout.lastIndexOf('\n');
  return { body: stdout.slice(0, end), status: Number(stdout.slice(end + 1)) };
}

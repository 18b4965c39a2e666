// The main path, as a person goes it: set up, sign in, add a server, run a command, watch it, cancel it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launch, looks, openPage, shoot, until } from '../harness.mjs';
import { inspect } from '../inspect.mjs';
import { readWholeLog } from '../log-reader.mjs';
import { factorSteps } from '../factor-steps.mjs';
import { hasPasskeys, passkeySteps } from '../passkey-steps.mjs';
import { peopleSteps } from '../people-steps.mjs';
import { isReal, mockWorld, realWorld } from '../world.mjs';

const LINES = 100_000;
const HEAP_LIMIT_BYTES = 160 * 1024 * 1024;

test(`user path against the ${isReal ? 'real hub' : 'mock'}`, { timeout: 1_200_000 }, async (t) => {
  const world = isReal ? await realWorld() : await mockWorld();
  const browser = await launch();
  const page = await openPage(browser, { viewport: { width: 1440, height: 1000 } });
  t.after(async () => {
    await browser.close();
    await world.close();
  });
  let broken = false;
  /** Each step stands on the one before: after a failure the rest would only repeat it. */
  const step = (title, ...rest) => {
    const [options, work] = rest.length === 2 ? rest : [{}, rest[0]];
    return t.test(title, options, async () => {
      if (broken) throw new Error('an earlier step failed');
      try {
        await work();
      } catch (error) {
        broken = true;
        await shoot(page, 'failed-path');
        throw error;
      }
    });
  };
  const name = `browser-${Date.now().toString(36)}`;
  const runHere = async (command) => {
    await page.getByRole('textbox', { name: 'Command' }).fill(command);
    await page.keyboard.press('Control+Enter');
    await page.waitForURL(/\/jobs\/[0-9a-f-]{36}/);
  };
  /** From anywhere: the key `r`, and the server found by typing. */
  const run = async (command) => {
    await page.locator('h1').first().click();
    await page.keyboard.press('r');
    const picker = page.getByRole('combobox', { name: 'Server' });
    await picker.fill(world.enroll ? name : '');
    await page.getByRole('option').first().click();
    await runHere(command);
  };
  const jobState = (text) => page.getByRole('banner').or(page.locator('header')).getByText(text, { exact: true }).first();

  await step('a_fresh_hub_asks_for_the_set_up_code', { skip: !world.code }, async () => {
    await page.goto(world.url);
    await page.waitForURL('**/setup');
    await page.getByLabel('Set-up code').fill('wrong-code');
    await page.getByLabel('Your name').fill('Ada Byron');
    await page.getByLabel('E-mail').fill(world.email);
    await page.getByLabel('Password').fill(world.password);
    await page.getByLabel('Workspace').fill('Harbour Ltd');
    await page.getByRole('button', { name: 'Create owner' }).click();
    await page.locator('[aria-invalid="true"], [role="alert"]').first().waitFor();
    await page.getByLabel('Set-up code').fill(world.code);
    await page.getByRole('button', { name: 'Create owner' }).click();
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    await page.getByRole('button', { name: /Ada Byron/ }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await page.waitForURL('**/sign-in');
  });

  await step('a_wrong_password_is_refused_and_the_right_one_leads_back_to_the_page_asked_for', async () => {
    await page.goto(`${world.url}/jobs`);
    await page.waitForURL('**/sign-in?*');
    await page.getByLabel('E-mail').fill(world.email);
    await page.getByLabel('Password').fill(`${world.password}-not`);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByText('E-mail or password is wrong.').waitFor();
    await page.getByLabel('Password').fill(world.password);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Jobs', exact: true }).waitFor();
  });

  await step('the_wizard_waits_for_the_agent_and_turns_into_its_page', { skip: !world.enroll }, async () => {
    await page.getByRole('link', { name: 'Servers' }).click();
    await page.getByRole('link', { name: 'Add a server' }).first().click();
    await page.getByLabel('Name').fill(name);
    await page.getByLabel('Labels').fill('env:test, role:browser');
    const answer = page.waitForResponse((response) => response.url().endsWith('/install-tokens') && response.status() === 201);
    await page.getByRole('button', { name: 'Create install line' }).click();
    const created = await (await answer).json();
    await page.getByText('Waiting for the agent…').waitFor();
    const shown = await page.getByLabel('Install command').locator('pre').textContent();
    assert.equal(shown, created.command);
    await world.enroll(created);
    await page.waitForURL(/\/servers\/[0-9a-f-]{36}/, { timeout: 20_000 });
    await page.getByRole('heading', { name, level: 1 }).waitFor();
    await page.locator('header').getByText('Online', { exact: true }).waitFor();
    await page.getByText('env:test').first().waitFor();
  });

  await step('live_metrics_move_within_ten_seconds', async () => {
    if (!world.enroll) await openFirstOnlineServer(page, world);
    const cpu = page.getByRole('region', { name: 'Now' }).locator('dd').first();
    await until(async () => /\d %/.test((await cpu.textContent()) ?? ''), 'the CPU has a number');
    const image = page.getByRole('img', { name: /^CPU\./ });
    await image.locator('canvas').waitFor();
    const before = await page.getByRole('region', { name: 'Now' }).textContent();
    await until(async () => (await page.getByRole('region', { name: 'Now' }).textContent()) !== before, 'the numbers change');
  });

  await step('output_arrives_line_by_line_and_ends_with_code_and_duration', async () => {
    await page.getByRole('link', { name: 'Run a command' }).first().click();
    await runHere('for i in 1 2 3; do echo "step $i"; sleep 0.4; done; echo "to stderr" >&2; sleep 0.4; printf "\\033[32mgreen\\033[0m <b>no markup</b>\\n"; exit 3');
    await page.getByText('step 1', { exact: true }).waitFor();
    assert.equal(await page.getByText('step 3', { exact: true }).count(), 0, 'the log was not live');
    await page.getByText('step 3', { exact: true }).waitFor();
    await jobState('Failed').waitFor();
    const lines = [];
    await readWholeLog(page, (_, text) => lines.push(text));
    assert.deepEqual(lines, ['step 1', 'step 2', 'step 3', 'to stderr', 'green <b>no markup</b>']);
    await page.locator('header dl').getByText('3', { exact: true }).waitFor();
    assert.match(await page.locator('header dl').textContent(), /Duration\s*[1-9]\.\d s/);
  });

  await step('a_line_can_be_linked_to', async () => {
    await page.getByRole('button', { name: 'Line 2' }).click();
    assert.match(page.url(), /#L2$/);
    await page.reload();
    await page.getByText('step 3', { exact: true }).waitFor();
    assert.equal(await page.locator('[data-line="2"]').evaluate((row) => row.className.includes('bg-accent-soft')), true);
    await page.getByRole('button', { name: 'Line 4' }).click({ modifiers: ['Shift'] });
    assert.match(page.url(), /#L2-L4$/);
  });

  await step('every_one_of_100_000_lines_is_shown_once_and_in_order_in_bounded_memory', { timeout: 400_000 }, async () => {
    await run(`for i in $(seq 1 ${LINES}); do echo line $i; done`);
    await page.getByText(`line ${LINES}`, { exact: true }).waitFor({ timeout: 200_000 });
    await jobState('Succeeded').waitFor();
    const count = await readWholeLog(page, (number, text) => assert.equal(text, `line ${number}`));
    assert.equal(count, LINES);
    assert.ok((await page.locator('[data-line]').count()) < 600, 'only what is on screen exists');
    const heap = await heapBytes(page);
    assert.ok(heap < HEAP_LIMIT_BYTES, `the page holds ${Math.round(heap / 1e6)} MB`);
  });

  await step('search_finds_and_steps_through_matches', async () => {
    await page.keyboard.press('/');
    await page.keyboard.type(`line ${LINES - 1}`);
    await page.getByText('1 / 1').waitFor();
    await page.keyboard.press('Enter');
    await page.locator('mark').first().waitFor();
    await page.keyboard.press('Escape');
  });

  await step('a_job_can_be_cancelled', async () => {
    await run('echo started; sleep 600');
    await page.getByText('started', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Cancel job' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel job' }).click();
    await jobState('Cancelled').waitFor({ timeout: 20_000 });
  });

  await step('a_batch_runs_on_every_server_that_is_meant', async () => {
    await page.goto(`${world.url}/jobs/new`);
    await page.getByRole('button', { name: 'All', exact: true }).click();
    await page.getByRole('textbox', { name: 'Command' }).fill('echo from a batch');
    await page.getByLabel(/^Run it on all|^Run it on the/).check();
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.waitForURL(/\/batches\/[0-9a-f-]{36}/);
    await page.locator('header').getByText('Succeeded', { exact: true }).waitFor({ timeout: 30_000 });
    await page.getByRole('table', { name: 'Results by server' }).getByText('Succeeded').first().waitFor();
  });

  await step('what_the_hub_forbids_itself_is_obeyed_until_it_is_lifted', { skip: !isReal || !world.enroll }, async () => {
    const server = (await serverUrl(page, world, name)).replace(/\?.*/, '');
    const dialog = page.getByRole('dialog');
    const open = async () => {
      await page.goto(`${server}/policy`);
      await page.getByRole('button', { name: 'Restrict' }).click();
    };
    const inForce = async () => {
      const answer = await page.request.get(server.replace('/servers/', '/v1/servers/'));
      return (await answer.json()).restrictions?.in_force === true;
    };
    await open();
    await dialog.getByLabel('Only as some users').check();
    await dialog.getByLabel('Users', { exact: true }).fill('nobody');
    await dialog.getByRole('button', { name: 'Restrict' }).click();
    await until(inForce, 'the host has taken it');
    await run('echo forbidden');
    await jobState('Rejected').waitFor({ timeout: 20_000 });
    await page.getByText(/restriction set in this hub/).first().waitFor();
    await open();
    await dialog.getByRole('button', { name: 'Lift everything set here' }).click();
    await until(inForce, 'the host has lifted it');
    await run('echo allowed again');
    await jobState('Succeeded').waitFor({ timeout: 20_000 });
  });

  await step('what_was_done_is_in_the_audit_log', async () => {
    await page.getByRole('link', { name: 'Audit' }).click();
    await page.getByRole('table', { name: 'Audit' }).getByText(/job/).first().waitFor();
  });

  // The suite `looks` does this for the mock.
  if (isReal) {
    // Here, because the steps about people sign in as well: one address may try ten times a minute.
    await factorSteps({ step, page, browser, world });
    await step('every_page_of_the_real_hub_is_accessible_and_fits_in_every_look', { timeout: 500_000 }, async () => {
      const storageState = await page.context().storageState();
      const server = await serverUrl(page, world, world.enroll ? name : '');
      const { data: jobs } = await (await page.request.get(`${world.url}/v1/jobs?limit=3`)).json();
      const pages = {
        overview: world.url,
        servers: `${world.url}/servers`,
        server,
        'server-hour': server.replace('range=live', 'range=1h'),
        'server-activity': server.replace('?', '/activity?'),
        jobs: `${world.url}/jobs`,
        job: `${world.url}/jobs/${jobs[0].id}`,
        'job-long': `${world.url}/jobs/${jobs[1].id}#L99990-L99999`,
        projects: `${world.url}/projects`,
        team: `${world.url}/team`,
        audit: `${world.url}/audit`,
        account: `${world.url}/account`,
        settings: `${world.url}/settings`,
        webhooks: `${world.url}/settings/webhooks`,
        deliveries: `${world.url}/settings/deliveries`,
        hub: `${world.url}/settings/hub`,
      };
      const findings = [];
      for (const look of Object.keys(looks)) {
        const other = await openPage(browser, { ...looks[look], storageState });
        for (const [title, url] of Object.entries(pages)) {
          await other.goto(url);
          await other.locator('h1').first().waitFor();
          await other.waitForFunction(() => document.querySelector('[role="status"][aria-label="Loading"]') === null);
          if (['server', 'server-hour'].includes(title)) await other.locator('canvas').nth(5).waitFor();
          findings.push(...(await inspect(other, `real-${title}-${look}`)));
        }
        findings.push(...other.problems);
        await other.context().close();
      }
      assert.deepEqual(findings, []);
    });
  }

  // The suite `passkeys` does this for the mock. Here, because all those pages took longer than a minute: the ten tries of
  // this address are there again.
  if (isReal && (await hasPasskeys(page, world))) await passkeySteps({ step, page, browser, world });

  // The suite `people` does this for the mock.
  if (isReal && world.enroll) {
    const [mine, other] = [{ name }, { name: `${name}-hidden` }];
    await step('a_second_server_joins', async () => {
      await page.goto(`${world.url}/servers/new`);
      await page.getByLabel('Name').fill(other.name);
      const answer = page.waitForResponse((response) => response.url().endsWith('/install-tokens') && response.status() === 201);
      await page.getByRole('button', { name: 'Create install line' }).click();
      await world.enroll(await (await answer).json());
      await page.getByRole('heading', { name: other.name, level: 1 }).waitFor({ timeout: 20_000 });
      for (const one of [mine, other]) {
        const found = await (await page.request.get(`${world.url}/v1/servers?limit=10&q=${one.name}`)).json();
        one.id = found.data.find((server) => server.name === one.name).id;
      }
    });
    await peopleSteps({ step, page, browser, world, mine, other });
  }

  await step('a_server_is_deleted_only_after_its_name_was_typed', { skip: !world.enroll }, async () => {
    await page.goto(await serverUrl(page, world, name));
    await page.getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    const dialog = page.getByRole('dialog');
    const remove = dialog.getByRole('button', { name: 'Delete' });
    assert.equal(await remove.isDisabled(), true);
    await dialog.getByRole('textbox').fill(name);
    await remove.click();
    await page.getByRole('heading', { name: 'Servers', level: 1 }).waitFor();
    await until(async () => (await page.getByText(name, { exact: true }).count()) === 0, 'the server is gone from the list');
  });

  assert.deepEqual(page.problems, []);
});

async function openFirstOnlineServer(page, world) {
  await page.goto(await serverUrl(page, world, ''));
}

async function serverUrl(page, world, name) {
  const answer = await page.request.get(`${world.url}/v1/servers?status=online&limit=10${name ? `&q=${name}` : ''}`);
  const { data } = await answer.json();
  assert.ok(data.length > 0, 'there is a server to work with');
  return `${world.url}/servers/${data[0].id}?range=live`;
}

async function heapBytes(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  return usedSize;
}

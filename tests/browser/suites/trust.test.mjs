// What a host reserves for its operators, what its policy refuses, and what a person sees and does about it.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { launch, looks, openPage, until } from '../harness.mjs';
import { startMock } from '../mock/hub.mjs';
import { showcase } from '../mock/showcase.mjs';
import { fingerprintOf, KEYS } from '../mock/trust.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

async function world(t, { look = 'light', ...options } = {}) {
  const mock = await startMock({ servers: 14, offlineShare: 0.15, ...options });
  const shown = showcase(mock);
  const page = await openPage(browser, looks[look]);
  t.after(async () => {
    assert.deepEqual(page.problems, []);
    await page.context().close();
    await mock.close();
  });
  return { mock, page, shown };
}

test('a_job_waits_for_a_signature_is_signed_and_runs', { timeout: 180_000 }, async (t) => {
  const { mock, page, shown } = await world(t);
  await page.goto(mock.url);
  await page.getByRole('link', { name: '2 jobs wait for a signature' }).click();
  await page.waitForURL('**state=signature');
  await page.goto(`${mock.url}/jobs/new?server=${shown.servers.reserved.id}`);
  await page.getByRole('textbox', { name: 'Command' }).fill('echo signed and sealed');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  const card = page.getByRole('region', { name: 'Waiting for a signature' });
  await card.getByRole('region', { name: 'Command' }).getByText('echo signed and sealed').waitFor();
  await card.getByText(shown.servers.reserved.id).waitFor();
  await card.getByRole('listitem').filter({ hasText: 'ada@laptop' }).getByText('Yours').waitFor();
  assert.equal(await card.getByRole('listitem').filter({ hasText: 'grace@office' }).getByText('Yours').count(), 0);

  // The file is the text that is signed, byte for byte.
  const download = page.waitForEvent('download');
  await card.getByRole('button', { name: /roadstead-job-.*\.json$/ }).click();
  const file = await download;
  const jobId = page.url().split('/').at(-1);
  assert.equal(await readFile(await file.path(), 'utf8'), mock.trust.signing.get(jobId).op_body);
  await card.getByText(`ssh-keygen -Y sign -n roadstead-job -f ~/.ssh/id_ed25519 ${file.suggestedFilename()}`).waitFor();

  const field = card.getByLabel('Signature', { exact: true });
  const send = card.getByRole('button', { name: 'Send signature' });
  await field.fill('roadstead-job.json.sig');
  await send.click();
  await card.getByText('This is not an SSH signature').waitFor();
  await field.fill(mock.trust.signatureBy('SHA256:somebody-else'));
  await send.click();
  await card.getByText('a key that the policy of this server does not list').waitFor();
  await field.fill(mock.trust.signatureBy(fingerprintOf(KEYS.laptop)));
  await send.click();
  await page.getByText('signed and sealed', { exact: true }).waitFor();
  await page.locator('header').getByText('Succeeded', { exact: true }).waitFor();
});

test('a_text_that_belongs_to_another_job_is_not_offered_for_signing', async (t) => {
  const { mock, page, shown } = await world(t);
  await page.goto(`${mock.url}/jobs/${shown.jobs.tampered.id}`);
  await page.getByText('belongs to another job or server. Do not sign it').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Send signature' }).count(), 0);
  assert.equal(await page.getByRole('button', { name: /\.json$/ }).count(), 0);
});

test('the_page_says_what_every_state_means', { timeout: 180_000 }, async (t) => {
  const { mock, page, shown } = await world(t);
  const says = {
    queued_offline: ['is not connected. The job is sent as soon as it is back', 'It is given up', 'in 23 h'],
    queued_behind: ['It runs alone, so it waits until the job before it has ended', 'Runs alone', '512 MiB'],
    reconciling: ['The server is away or has not told yet how this job stands'],
    server_restarted: ['The machine went down while it ran', 'Look on the server before you run it again'],
    outcome_unknown: ['Nothing is left on the server that could tell how it ended'],
    expired: ['It was not started in time and was given up. Nothing ran.'],
    policy_denied: ['does not allow this job', 'The host’s own policy file forbids it, and so does a restriction set in this hub', 'commands as root'],
    bad_signature: ['did not fit the key that the server trusts'],
    out_of_memory: ['it used more memory than it may', 'Give it a higher memory limit'],
    truncated: ['Part of the output is missing', '700 MiB of output were dropped here'],
    removed: ['The log of this job was removed on', 'The log was removed to make room'],
  };
  for (const [name, sentences] of Object.entries(says)) {
    await page.goto(`${mock.url}/jobs/${shown.jobs[name].id}`);
    for (const sentence of sentences) await page.getByText(sentence).first().waitFor();
  }
  // Values of secrets are known to nobody any more, so that there is nothing to repeat as it was.
  await page.goto(`${mock.url}/jobs/${shown.jobs.truncated.id}`);
  await page.getByText('API_TOKEN').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Run again' }).count(), 0);
  await page.getByRole('link', { name: 'Edit and run' }).click();
  assert.equal(await page.getByLabel('Name of secret variable 1').inputValue(), 'API_TOKEN');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.getByText('Enter the value of API_TOKEN; it was not kept').waitFor();
  await page.getByLabel('Value of secret variable 1').fill('s3cr3t-value');
  assert.equal(await page.getByLabel('Value of secret variable 1').getAttribute('type'), 'password');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.waitForURL(/\/jobs\/[0-9a-f-]{36}$/);
  await page.locator('h1').waitFor();
  assert.equal(await page.getByText('s3cr3t-value').count(), 0);
});

test('a_waiting_job_moves_when_its_server_is_back', async (t) => {
  const { mock, page, shown } = await world(t);
  await page.goto(`${mock.url}/jobs/${shown.jobs.queued_offline.id}`);
  await page.getByText('is not connected').waitFor();
  await until(() => mock.streams.size === 1, 'the stream is open');
  mock.setStatus(shown.servers.offline, 'online');
  await page.getByText('is not connected').waitFor({ state: 'detached' });
});

test('the_policy_is_narrowed_and_lifted_and_waits_for_a_host_that_is_away', { timeout: 180_000 }, async (t) => {
  const { mock, page, shown } = await world(t);
  const { busy, restricted, offline, unreadable } = shown.servers;
  const rule = (name) => page.getByRole('table', { name: 'Policy in force' }).getByRole('row').filter({ hasText: name });
  await page.goto(`${mock.url}/servers/${busy.id}`);
  await page.getByRole('link', { name: 'Policy', exact: true }).click();
  await page.getByText('Nothing is restricted').waitFor();
  await page.getByRole('button', { name: 'Restrict' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Only as some users').check();
  await dialog.getByRole('button', { name: 'Restrict' }).click();
  await dialog.getByText('Name at least one').waitFor();
  await dialog.getByLabel('Users', { exact: true }).fill('deploy, www-data');
  await dialog.getByRole('button', { name: 'Restrict' }).click();
  await rule('Users').getByText('www-data').waitFor();
  await rule('Users').getByText('Set in this hub').waitFor();
  assert.deepEqual(busy.restrictions.rules, { users: ['deploy', 'www-data'] });
  await page.getByRole('button', { name: 'Restrict' }).click();
  await dialog.getByRole('button', { name: 'Lift everything set here' }).click();
  await page.getByText('Nothing is restricted').waitFor();

  await page.goto(`${mock.url}/servers/${restricted.id}/policy`);
  await rule('Users').getByText('The host’s file allows deploy, www-data').waitFor();
  await rule('Users').getByText('This hub allows deploy').waitFor();
  await rule('Directories').getByText('The host’s own file').waitFor();
  await page.getByRole('link', { name: 'Activity' }).click();
  await page.getByRole('button', { name: 'The server’s policy refused a job' }).click();
  await page.getByText('The policy of this server does not allow commands as root.').waitFor();

  await page.goto(`${mock.url}/servers/${offline.id}/policy`);
  await page.getByText('A change of the restrictions waits for the host.').waitFor();
  await page.getByText('Rotation under way').waitFor();
  await until(() => mock.streams.size === 1, 'the stream is open');
  mock.setStatus(offline, 'online');
  await rule('Powers').getByText('Set in this hub').waitFor();

  await page.goto(`${mock.url}/servers/${unreadable.id}/policy`);
  await page.getByText('unknown key "tier"').waitFor();
});

test('a_rule_of_the_host_s_file_cannot_be_lifted_here', async (t) => {
  const { mock, page, shown } = await world(t);
  await page.goto(`${mock.url}/servers/${shown.servers.reserved.id}/policy`);
  await page.getByRole('button', { name: 'Restrict' }).click();
  const wanted = page.getByRole('dialog').getByRole('group', { name: 'Operator’s signature' }).getByLabel('Root');
  assert.equal(await wanted.isChecked(), true);
  assert.equal(await wanted.isDisabled(), true);
});

test('a_token_is_rotated_on_demand', async (t) => {
  const { mock, page, shown } = await world(t);
  await page.goto(`${mock.url}/servers/${shown.servers.busy.id}/policy`);
  await page.getByText('Issued 9 d ago').waitFor();
  await page.getByRole('button', { name: 'Rotate now' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Rotate now' }).click();
  await page.getByText('Issued just now').waitFor();
});

test('operator_keys_are_added_and_removed', { timeout: 180_000 }, async (t) => {
  const { mock, page } = await world(t, { look: 'phone' });
  await page.goto(`${mock.url}/account`);
  await page.getByRole('button', { name: 'Add key' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Public key').fill('-----BEGIN OPENSSH PRIVATE KEY-----');
  await dialog.getByRole('button', { name: 'Add key' }).click();
  await dialog.getByText('This is a private key').waitFor();
  await dialog.getByLabel('Public key').fill(KEYS.laptop);
  await dialog.getByRole('button', { name: 'Add key' }).click();
  await dialog.getByText('This key is registered already').waitFor();
  await dialog.getByLabel('Public key').fill(KEYS.office);
  await dialog.getByRole('button', { name: 'Add key' }).click();
  const row = page.getByRole('listitem').filter({ hasText: 'grace@office' });
  await row.getByText(fingerprintOf(KEYS.office)).waitFor();
  await row.getByRole('button', { name: 'How to let a host accept it' }).click();
  await row.getByText(`operators = ["${KEYS.office}"]`).waitFor();
  await row.getByRole('button', { name: 'Remove grace@office' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await row.waitFor({ state: 'detached' });
});

test('the_whole_log_is_searched_in_stretches_and_a_match_is_jumped_to', { timeout: 270_000 }, async (t) => {
  const { mock, page } = await world(t);
  mock.searchBytes = 100_000;
  const job = mock.addJob(mock.servers[0], { command: './import.sh' }, 'succeeded', { started_at: new Date().toISOString(), exit_code: 0 });
  const log = mock.logs.get(job.id);
  // Pieces of several stretches each, as a fast job makes them.
  for (let n = 1; n <= 70_000; n += 5_000) {
    log.write(Array.from({ length: 5_000 }, (_, i) => (n + i === 4_321 ? 'a needle early on\n' : `line ${n + i}\n`)).join(''));
  }
  log.end();
  job.log.bytes = log.size;
  await page.goto(`${mock.url}/jobs/${job.id}`);
  await page.getByText('line 70000', { exact: true }).waitFor({ timeout: 30_000 });
  await page.getByLabel('Search the log').fill('needle');
  await page.getByText('No match').waitFor();
  await page.getByRole('button', { name: 'Search the whole log' }).click();
  const results = page.getByRole('region', { name: 'Matches in the whole log' });
  await results.getByText('1 match').waitFor();
  await results.getByText(/in the first \d+(\.\d)? % of the log/).waitFor();
  await results.getByRole('button', { name: 'a needle early on' }).click();
  await page.locator('[data-line="4321"]').getByText('needle').waitFor();
  assert.match(page.url(), /#B\d+$/);
  await until(() => page.locator('[data-line="4321"]').evaluate((row) => row.className.includes('bg-accent-soft')), 'the very line is marked');
  await results.getByRole('button', { name: 'Go on' }).click();
  await results.getByText('in the whole log.').waitFor();
});

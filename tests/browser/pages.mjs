// Every page of the dashboard, by the name of its screenshot.

/** What `page.goto` needs, and what must be on the screen before it is looked at. */
export function pagesOf(mock) {
  const server = mock.servers.find((one) => one.status === 'online');
  const offline = mock.servers.find((one) => one.status === 'offline');
  const running = mock.jobs.find((job) => job.args.command.startsWith('./deploy.sh'));
  const timedOut = mock.jobs.findLast((job) => job.state === 'timed_out');
  return [
    { name: 'overview', path: '/', ready: (page) => page.getByRole('heading', { name: 'Latest jobs' }) },
    { name: 'servers', path: '/servers', ready: (page) => page.getByText(server.name, { exact: true }) },
    { name: 'servers-filtered', path: '/servers?status=offline&label=env:prod', ready: (page) => page.getByText('env:prod').first() },
    { name: 'servers-none', path: '/servers?q=nothing-like-this', ready: (page) => page.getByText('No match') },
    { name: 'server', path: `/servers/${server.id}?range=6h`, ready: (page) => page.locator('canvas').nth(5) },
    { name: 'server-live', path: `/servers/${server.id}?range=live`, ready: (page) => page.locator('canvas').nth(5) },
    { name: 'server-offline', path: `/servers/${offline.id}`, ready: (page) => page.locator('canvas').nth(5) },
    { name: 'server-jobs', path: `/servers/${server.id}/jobs`, ready: (page) => page.getByText('Started').or(page.getByText('No jobs yet')).or(page.locator('main li')).first() },
    { name: 'server-activity', path: `/servers/${server.id}/activity`, ready: (page) => page.getByText('Server changed').or(page.getByText('Nothing recorded')).first() },
    { name: 'add-server', path: '/servers/new', ready: (page) => page.getByRole('button', { name: 'Create install line' }) },
    { name: 'jobs', path: '/jobs', ready: (page) => page.getByText('./deploy.sh').first() },
    { name: 'run-command', path: `/jobs/new?server=${server.id}`, ready: (page) => page.getByRole('textbox', { name: 'Command' }) },
    { name: 'job-running', path: `/jobs/${running.id}`, ready: (page) => page.getByText('Installing dependencies') },
    { name: 'job-timed-out', path: `/jobs/${timedOut.id}#L5-L7`, ready: (page) => page.getByText('Deployed in') },
    { name: 'audit', path: '/audit', ready: (page) => page.getByText('Server changed') },
    { name: 'account', path: '/account', ready: (page) => page.getByText('Chrome on Linux') },
    ...(mock.shown ? shownPages(mock.shown) : []),
    { name: 'unknown', path: '/no/such/page', ready: (page) => page.getByRole('heading', { name: 'Nothing here' }) },
  ];
}

/** Pages of what `showcase` made. */
function shownPages({ jobs, batches, people, servers, webhooks }) {
  const job = (name, one, text) => ({ name: `job-${name}`, path: `/jobs/${one.id}`, ready: (page) => page.getByText(text) });
  const policy = (name, server, text) => ({ name: `policy-${name}`, path: `/servers/${server.id}/policy`, ready: (page) => page.getByText(text) });
  return [
    { name: 'jobs-to-sign', path: '/jobs?state=signature', ready: (page) => page.getByText('systemctl restart postgresql') },
    job('awaiting-signature', jobs.awaiting, 'grace@office'),
    job('tampered-signing', jobs.tampered, 'belongs to another job'),
    job('policy-denied', jobs.policy_denied, 'forbids it'),
    job('bad-signature', jobs.bad_signature, 'did not fit the key'),
    job('queued-offline', jobs.queued_offline, 'is not connected'),
    job('queued-behind', jobs.queued_behind, 'It runs alone'),
    job('reconciling', jobs.reconciling, 'as soon as it is known'),
    job('interrupted', jobs.server_restarted, 'The server restarted while the job ran'),
    job('lost', jobs.outcome_unknown, 'Nothing is left on the server'),
    job('expired', jobs.expired, 'was given up'),
    job('truncated-log', jobs.truncated, 'Part of the output is missing'),
    job('removed-log', jobs.removed, 'The log of this job was removed'),
    { name: 'batches', path: '/batches', ready: (page) => page.getByText('certbot renew') },
    { name: 'batch-halted', path: `/batches/${batches.halted.id}`, ready: (page) => page.getByText('apt-get update').first() },
    { name: 'batch-large', path: `/batches/${batches.large.id}`, ready: (page) => page.getByText('edge-00001') },
    { name: 'batch-paused', path: `/batches/${batches.paused.id}`, ready: (page) => page.getByText('Somebody paused this batch') },
    policy('open', servers.busy, 'Nothing is restricted'),
    policy('restricted', servers.restricted, 'The host’s file allows'),
    policy('reserved', servers.reserved, 'grace@office'),
    policy('unreadable', servers.unreadable, 'Root on the host mends'),
    policy('pending', servers.offline, 'waits for the host'),
    { name: 'team', path: '/team', ready: (page) => page.getByText('margaret@example.net') },
    { name: 'member', path: `/team/members/${people.grace.id}`, ready: (page) => page.getByText('Run commands on servers').first() },
    { name: 'member-nothing', path: `/team/members/${people.nobody.id}`, ready: (page) => page.getByText('sees nothing') },
    { name: 'projects', path: '/projects', ready: (page) => page.getByText('Archive') },
    { name: 'servers-of-project', path: `/servers?project=${people.shop.id}`, ready: (page) => page.getByText('8 servers') },
    { name: 'invited', path: `/invite#${people.invite.token}`, ready: (page) => page.getByRole('button', { name: 'Join Harbour Ltd' }) },
    { name: 'invite-gone', path: '/invite#rsv_of_yesterday', ready: (page) => page.getByText('This invitation was used') },
    { name: 'audit-filtered', path: '/audit?since=30d&result=ok&action=server.update', ready: (page) => page.getByText('Server changed').last() },
    { name: 'settings', path: '/settings', ready: (page) => page.getByText('Harbour 50') },
    { name: 'settings-hub', path: '/settings/hub', ready: (page) => page.getByText('Little Boats') },
    { name: 'webhooks', path: '/settings/webhooks', ready: (page) => page.getByText('Chat of the night shift') },
    { name: 'webhook', path: `/settings/webhooks/${webhooks.tickets.id}`, ready: (page) => page.getByText('Member joined') },
    { name: 'deliveries', path: '/settings/deliveries', ready: (page) => page.getByText('Member joined') },
    { name: 'delivery', path: `/settings/deliveries/${webhooks.failed.id}`, ready: (page) => page.getByText('the connection was refused') },
    { name: 'forgot-password', path: '/forgot-password', ready: (page) => page.getByRole('button', { name: 'Send link' }) },
    { name: 'reset-password', path: '/reset-password#rspr_x', ready: (page) => page.getByRole('button', { name: 'Set password' }) },
    { name: 'reset-gone', path: '/reset-password', ready: (page) => page.getByText('The link is incomplete') },
    { name: 'change-email', path: '/change-email#rsec_x', ready: (page) => page.getByRole('button', { name: 'Use this address' }) },
    { name: 'sign-in-denied', path: '/sign-in#error=oidc_unknown_account', ready: (page) => page.getByRole('alert') },
    { name: 'sign-in-pending', path: '/sign-in#error=oidc_second_factor', ready: (page) => page.getByLabel('One-time code') },
    { name: 'run-batch', path: '/jobs/new?on=several', ready: (page) => page.getByText('Halts at the first failure') },
  ];
}

/** Things that open over a page. */
export const overlays = [
  {
    name: 'new-webhook',
    path: '/settings/webhooks',
    open: async (page) => {
      await page.getByRole('button', { name: 'New webhook' }).click();
      await page.getByRole('radio', { name: 'Chosen events' }).check();
    },
    ready: (page) => page.getByRole('searchbox', { name: 'Search events' }),
  },
  {
    name: 'webhook-secret',
    path: (mock) => `/settings/webhooks/${mock.shown.webhooks.chat.id}`,
    open: async (page) => {
      await page.getByRole('button', { name: 'More actions' }).click();
      await page.getByRole('menuitem', { name: 'New secret' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'New secret' }).click();
    },
    ready: (page) => page.getByText('whsec_'),
  },
  {
    name: 'audit-redact',
    path: '/audit?action=server.update',
    open: async (page) => {
      await page.getByRole('table').getByRole('button', { name: /^Server changed/ }).click();
      await page.getByRole('button', { name: 'Remove personal data' }).click();
    },
    ready: (page) => page.getByRole('dialog'),
  },
  {
    name: 'audit-export',
    path: '/audit',
    open: (page) => page.getByRole('button', { name: 'Export' }).click(),
    ready: (page) => page.getByRole('dialog'),
  },
  {
    name: 'require-second-factor',
    path: '/settings',
    open: (page) => page.getByRole('button', { name: 'Require it' }).click(),
    ready: (page) => page.getByRole('dialog'),
  },
  {
    name: 'change-plan',
    path: '/settings/hub',
    open: (page) => page.getByRole('button', { name: 'Change plan: Little Boats' }).click(),
    ready: (page) => page.getByRole('dialog'),
  },
  { name: 'palette', path: '/', open: (page) => page.keyboard.press('Control+k'), ready: (page) => page.getByRole('combobox') },
  { name: 'shortcuts', path: '/', open: (page) => page.keyboard.press('?'), ready: (page) => page.getByRole('dialog') },
  {
    name: 'delete-server',
    path: (mock) => `/servers/${mock.servers[0].id}`,
    open: async (page) => {
      await page.getByRole('button', { name: 'More actions' }).click();
      await page.getByRole('menuitem', { name: 'Delete' }).click();
    },
    ready: (page) => page.getByRole('dialog'),
  },
  {
    name: 'wizard-waiting',
    path: '/servers/new',
    open: async (page) => {
      await page.getByLabel('Name').fill('web-7');
      await page.getByRole('button', { name: 'Create install line' }).click();
    },
    ready: (page) => page.getByText('Waiting for the agent…'),
  },
  {
    name: 'account-menu',
    path: '/servers',
    open: (page) => page.getByRole('button', { name: /Ada Byron|More/ }).last().click(),
    ready: (page) => page.getByRole('menuitem', { name: 'Sign out' }),
  },
  {
    name: 'restrict',
    path: (mock) => `/servers/${mock.shown.servers.restricted.id}/policy`,
    open: (page) => page.getByRole('button', { name: 'Restrict' }).click(),
    ready: (page) => page.getByRole('dialog'),
  },
  {
    name: 'resume-batch',
    path: (mock) => `/batches/${mock.shown.batches.halted.id}`,
    open: (page) => page.getByRole('button', { name: 'Resume' }).click(),
    ready: (page) => page.getByRole('dialog'),
  },
  {
    name: 'add-operator-key',
    path: '/account',
    open: (page) => page.getByRole('button', { name: 'Add key' }).click(),
    ready: (page) => page.getByRole('dialog'),
  },
  {
    name: 'invite',
    path: '/team',
    open: (page) => page.getByRole('button', { name: 'Invite somebody' }).click(),
    ready: (page) => page.getByRole('radio', { name: 'Night shift' }),
  },
  {
    name: 'invite-made',
    path: '/team',
    open: async (page) => {
      await page.getByRole('button', { name: 'Invite somebody' }).click();
      await page.getByRole('dialog').getByLabel('E-mail').fill(`barbara-${Date.now()}@example.net`);
      await page.getByRole('button', { name: 'Create invitation' }).click();
    },
    ready: (page) => page.getByLabel('Invitation link'),
  },
  {
    name: 'role',
    path: '/team',
    open: async (page) => {
      await page.getByRole('button', { name: 'More: Night shift' }).click();
      await page.getByRole('menuitem', { name: 'Change role' }).click();
    },
    ready: (page) => page.getByRole('checkbox', { name: 'End jobs.' }),
  },
  {
    name: 'role-in-use',
    path: '/team',
    open: async (page) => {
      await page.getByRole('button', { name: 'More: Night shift' }).click();
      await page.getByRole('menuitem', { name: 'Delete' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    },
    ready: (page) => page.getByText(/grants? uses? this role/),
  },
  {
    name: 'add-grant',
    path: (mock) => `/team/members/${mock.shown.people.grace.id}`,
    open: async (page) => {
      await page.getByRole('button', { name: 'Add grant' }).click();
      await page.getByRole('radio', { name: 'Chosen permissions' }).check();
      await page.getByRole('button', { name: 'A project' }).click();
    },
    ready: (page) => page.getByRole('combobox', { name: 'Project' }),
  },
  {
    name: 'transfer',
    path: (mock) => `/team/members/${mock.shown.people.grace.id}`,
    open: async (page) => {
      await page.getByRole('button', { name: 'More actions' }).click();
      await page.getByRole('menuitem', { name: 'Hand the workspace over' }).click();
    },
    ready: (page) => page.getByLabel('Your password'),
  },
  {
    name: 'delete-project',
    path: '/projects',
    open: async (page) => {
      await page.getByRole('button', { name: 'More: Shop' }).click();
      await page.getByRole('menuitem', { name: 'Delete' }).click();
    },
    ready: (page) => page.getByText('Its 8 servers stay'),
  },
  {
    name: 'move-server',
    path: (mock) => `/servers/${mock.servers[0].id}`,
    open: async (page) => {
      await page.getByRole('button', { name: 'More actions' }).click();
      await page.getByRole('menuitem', { name: 'Move to a project' }).click();
      await page.getByRole('combobox', { name: 'Project' }).click();
    },
    ready: (page) => page.getByRole('option', { name: 'No project' }),
  },
  {
    name: 'new-api-key',
    path: '/account',
    open: (page) => page.getByRole('button', { name: 'New key' }).click(),
    ready: (page) => page.getByRole('checkbox', { name: 'See servers' }),
  },
  {
    name: 'api-key-made',
    path: '/account',
    open: async (page) => {
      await page.getByRole('button', { name: 'New key' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByRole('textbox', { name: 'Name', exact: true }).fill('made for the picture');
      await dialog.getByRole('checkbox', { name: 'See servers' }).check();
      await dialog.getByRole('button', { name: 'New key' }).click();
    },
    ready: (page) => page.getByLabel('Try it'),
  },
  {
    name: 'run-command-full',
    path: '/jobs/new?on=several',
    open: async (page) => {
      await page.getByRole('button', { name: 'All', exact: true }).click();
      await page.getByRole('button', { name: 'Secret variables' }).click();
      await page.getByRole('button', { name: 'Add secret variable' }).click();
      await page.getByRole('button', { name: 'Limits' }).click();
      await page.getByText('servers in').waitFor();
    },
    ready: (page) => page.getByText('Memory, MiB'),
  },
  {
    name: 'form-errors',
    path: '/jobs/new',
    open: (page) => page.getByRole('button', { name: 'Run', exact: true }).click(),
    ready: (page) => page.getByText('Enter a command'),
  },
];

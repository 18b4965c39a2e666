// Who somebody is: by a password with a second factor, by a passkey, by a provider; and what to do when that is lost.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, looks, openPage, until } from '../harness.mjs';
import { inspect } from '../inspect.mjs';
import { account, startMock } from '../mock/hub.mjs';
import { CODE, RECOVERY } from '../mock/sign-in.mjs';
import { virtualAuthenticator } from '../virtual-authenticator.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const company = { id: 'company', name: 'Company account' };

/** Under a name: browsers know passkeys for names only. */
async function world(t, { look = 'light', ...options } = {}) {
  const mock = await startMock({ servers: 3, offlineShare: 0, ...options });
  const page = await openPage(browser, looks[look]);
  const url = mock.url.replace('127.0.0.1', 'localhost');
  t.after(async () => {
    assert.deepEqual(page.problems, []);
    await page.context().close();
    await mock.close();
  });
  const signIn = async () => {
    await page.getByLabel('E-mail').fill(account.email);
    await page.getByLabel('Password').fill(account.password);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  };
  return { mock, page, url, signIn, dialog: page.getByRole('dialog'), home: page.getByRole('heading', { name: 'Overview' }) };
}

test('a_second_factor_is_a_code_or_a_passkey', { timeout: 60_000 }, async (t) => {
  const { mock, page, url, signIn, home } = await world(t);
  await virtualAuthenticator(page);
  await page.goto(`${url}/account`);
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Go on' }).click();
  await page.getByText('Chrome on Linux was added.').waitFor();
  const leave = async () => {
    mock.signedIn = false;
    await page.evaluate(() => localStorage.clear());
    await page.goto(url);
  };
  const code = page.getByLabel('One-time code');
  const use = page.getByRole('button', { name: 'Use a passkey' });

  // A passkey alone.
  await leave();
  await signIn();
  await use.waitFor();
  assert.equal(await code.count(), 0);
  await page.getByLabel('Or a recovery code').waitFor();
  assert.deepEqual(await inspect(page, 'sign-in-second-passkey-light'), []);
  await page.waitForFunction(() => document.activeElement?.textContent === 'Use a passkey');
  await page.keyboard.press('Enter');
  await home.waitFor();

  // Both; what was refused once is asked for anew.
  mock.people.owner.totp = true;
  await leave();
  await signIn();
  await code.fill('000000');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByText('E-mail, password or code is wrong. A code works once.').waitFor();
  mock.signIn.ceremonies.clear();
  await use.click();
  await page.getByText('E-mail, password or code is wrong.').waitFor();
  await use.click();
  await home.waitFor();

  await leave();
  await signIn();
  await code.fill(RECOVERY);
  await page.keyboard.press('Enter');
  await home.waitFor();
});

test('ten_minutes_later_something_dangerous_asks_who_is_there_and_goes_on', { timeout: 60_000 }, async (t) => {
  const { mock, page, url, dialog } = await world(t);
  await virtualAuthenticator(page);
  const rename = async (name) => {
    await page.goto(`${url}/settings`);
    await page.getByRole('textbox', { name: 'Name' }).fill(name);
    mock.signIn.isStale = true;
    await page.getByRole('button', { name: 'Save' }).click();
    await dialog.getByRole('heading', { name: 'Confirm that it is you' }).waitFor();
  };
  await rename('By password');
  await dialog.getByLabel('Password').fill('not this one');
  await page.keyboard.press('Enter');
  await dialog.getByText('Is not your password').waitFor();
  assert.deepEqual(await inspect(page, 'step-up-light'), []);
  await dialog.getByLabel('Password').fill(account.password);
  await page.keyboard.press('Enter');
  await page.getByText('The workspace is called By password now.').waitFor();

  // With one-time codes, the code is asked for once the password was right.
  mock.people.owner.totp = true;
  await rename('By code');
  await dialog.getByLabel('Password').fill(account.password);
  await page.keyboard.press('Enter');
  await dialog.getByLabel('One-time code').fill(CODE);
  await page.keyboard.press('Enter');
  await page.getByText('The workspace is called By code now.').waitFor();

  await page.goto(`${url}/account`);
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  await dialog.getByRole('button', { name: 'Go on' }).click();
  await page.getByText('Chrome on Linux was added.').waitFor();
  await rename('By passkey');
  await dialog.getByRole('button', { name: 'Use a passkey' }).click();
  await page.getByText('The workspace is called By passkey now.').waitFor();

  // Who turns it down has changed nothing, and is told so.
  await rename('By nobody');
  await page.keyboard.press('Escape');
  await page.getByText('Nothing was changed: it was not confirmed that it is you.').waitFor();
  assert.equal(mock.tenancy.workspace.name, 'By passkey');
});

test('an_invitation_is_accepted_with_an_account_that_has_one_time_codes', async (t) => {
  const { mock, page, url } = await world(t);
  const invite = mock.people.makeInvite({ email: 'grace@example.net', granted: { role: 'viewer' }, scope: { type: 'workspace' } }, mock.people.owner, { demandHeld() {} });
  mock.people.strangers.push({ id: '0193c0de-0003-7000-8000-000000000777', email: 'grace@example.net', name: 'Grace Brewster', password: 'of another workspace', totp: true, joined_at: new Date().toISOString(), grants: [] });
  mock.signedIn = false;
  await page.goto(`${url}/invite#${invite.token}`);
  await page.getByText('You have an account for grace@example.net. Your password lets you in.').waitFor();
  await page.getByLabel('Your password').fill('not hers at all');
  await page.keyboard.press('Enter');
  await page.getByText('That is not the password of grace@example.net.').waitFor();
  await page.getByLabel('Your password').fill('of another workspace');
  await page.keyboard.press('Enter');
  const code = page.getByLabel('One-time code');
  await code.fill('111111');
  await page.keyboard.press('Enter');
  await page.getByText('That was not accepted. A code works once.').waitFor();
  assert.deepEqual(await inspect(page, 'invited-code-light'), []);
  await code.fill(CODE);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  await page.getByText('grace@example.net').waitFor();
  assert.equal(mock.people.members.at(-1).name, 'Grace Brewster');
});

test('a_lost_password_is_set_anew_by_mail_and_a_mailbox_alone_is_not_enough', async (t) => {
  const { mock, page, url, signIn } = await world(t, { signedIn: false });
  await page.goto(`${url}/sign-in`);
  await page.getByText('Somebody with access to the hub’s machine can set a new one.').waitFor();
  mock.signIn.methods.password_reset = true;
  await page.reload();
  await page.getByRole('link', { name: 'Lost your password?' }).click();
  await page.getByLabel('E-mail').fill(account.email);
  await page.keyboard.press('Enter');
  await page.getByText(`If there is an account with ${account.email}, a mail is on its way.`).waitFor();
  assert.deepEqual(await inspect(page, 'forgot-sent-light'), []);
  assert.deepEqual(mock.signIn.mailedTo, [account.email]);

  mock.people.owner.totp = true;
  mock.signIn.resets.set('rspr_one', mock.people.owner);
  await page.goto(`${url}/reset-password#rspr_one`);
  await page.getByLabel('New password').fill('short');
  await page.keyboard.press('Enter');
  await page.getByText('Use at least 12 characters').waitFor();
  await page.getByLabel('New password').fill('a wholly new password');
  await page.keyboard.press('Enter');
  await page.getByLabel('One-time code').fill(CODE);
  assert.deepEqual(await inspect(page, 'reset-code-light'), []);
  await page.keyboard.press('Enter');
  await page.getByText('Your new password is set.').waitFor();
  assert.equal(mock.people.owner.password, 'a wholly new password');
  mock.people.owner.totp = false;
  await page.getByRole('link', { name: 'Sign in' }).click();
  await signIn();
  await page.getByText('E-mail or password is wrong.').waitFor();

  await page.goto(`${url}/reset-password#rspr_one`);
  await page.reload();
  await page.getByLabel('New password').fill('once more, please');
  await page.keyboard.press('Enter');
  await page.getByText('This link was used or is older than 30 minutes.').waitFor();
  await page.goto(`${url}/reset-password`);
  await page.getByText('The link is incomplete.').waitFor();
  await page.getByRole('link', { name: 'Send another' }).click();
  await page.getByRole('heading', { name: 'Set a new password' }).waitFor();
});

test('a_new_address_counts_once_its_link_was_opened', async (t) => {
  const { mock, page, url, dialog } = await world(t);
  mock.signIn.methods.password_reset = true;
  await page.goto(`${url}/account`);
  await page.getByText(`You sign in with ${account.email}.`).waitFor();
  await page.getByRole('button', { name: 'Change address' }).click();
  await dialog.getByLabel('New address').fill('ada@example.org');
  await dialog.getByLabel('Current password').fill('a wrong guess');
  await page.keyboard.press('Enter');
  await dialog.getByText('is not your password').waitFor();
  assert.deepEqual(await inspect(page, 'email-change-light'), []);
  await dialog.getByLabel('Current password').fill(account.password);
  await page.keyboard.press('Enter');
  await page.getByText(`A link was mailed to ada@example.org. Open it within 30 minutes; until then you sign in with ${account.email}.`).waitFor();
  assert.deepEqual(await inspect(page, 'email-pending-light'), []);
  assert.equal(mock.people.owner.email, account.email);

  await page.goto(`${url}/change-email#rsec_1`);
  await page.getByRole('button', { name: 'Use this address' }).waitFor();
  assert.deepEqual(await inspect(page, 'email-confirm-light'), []);
  assert.equal(mock.people.owner.email, account.email, 'looking at it changes nothing');
  await page.getByRole('button', { name: 'Use this address' }).click();
  await page.getByText('You sign in with the new address from now on.').waitFor();
  await page.getByRole('link', { name: 'To my account' }).click();
  await page.getByText('You sign in with ada@example.org.').waitFor();

  await page.goto(`${url}/change-email#rsec_1`);
  await page.reload();
  await page.getByRole('button', { name: 'Use this address' }).click();
  await page.getByText('This link was used, is older than 30 minutes').waitFor();
  mock.signIn.methods.password_reset = false;
  await page.goto(`${url}/account`);
  await page.getByRole('button', { name: 'Change address' }).click();
  await dialog.getByLabel('New address').fill(account.email);
  await dialog.getByLabel('Current password').fill(account.password);
  await page.keyboard.press('Enter');
  await page.getByText(`You sign in with ${account.email} now.`).waitFor();
});

test('a_provider_signs_in_and_what_went_wrong_there_is_said', { timeout: 60_000 }, async (t) => {
  const { mock, page, url, home } = await world(t, { signedIn: false });
  mock.signIn.methods.providers = [company];
  await page.goto(`${url}/jobs`);
  await page.getByRole('button', { name: 'Continue with Company account' }).click();
  await page.getByRole('heading', { name: 'Jobs', exact: true }).waitFor();

  const words = {
    oidc_denied: 'did not let you in',
    oidc_failed: 'answer could not be used',
    oidc_unknown_account: 'this hub does not',
    oidc_expired: 'Start again',
    oidc_address_taken: 'Sign in with your password, then link',
    something_new: 'did not work',
  };
  for (const [code, text] of Object.entries(words)) {
    mock.signedIn = false;
    mock.signIn.providerAnswer = code;
    await page.goto(`${url}/sign-in`);
    await page.getByRole('button', { name: 'Continue with Company account' }).click();
    await page.getByRole('alert').getByText(text).waitFor();
    await page.getByLabel('E-mail').waitFor();
  }
  assert.deepEqual(await inspect(page, 'sign-in-provider-refused-light'), []);

  mock.signIn.providerAnswer = 'oidc_second_factor';
  mock.people.owner.totp = true;
  await page.goto(`${url}/jobs`);
  await page.getByRole('button', { name: 'Continue with Company account' }).click();
  await page.getByRole('heading', { name: 'One more step' }).waitFor();
  assert.deepEqual(await inspect(page, 'sign-in-provider-code-light'), []);
  await page.getByLabel('One-time code').fill('000000');
  await page.keyboard.press('Enter');
  await page.getByText('That was not accepted.').waitFor();
  await page.getByLabel('One-time code').fill(CODE);
  await page.keyboard.press('Enter');
  // Where the way had led at first.
  await page.getByRole('heading', { name: 'Jobs', exact: true }).waitFor();
  assert.equal(await home.count(), 0);
});

test('a_provider_is_linked_and_not_taken_away_when_it_is_the_only_way_in', async (t) => {
  const { mock, page, url, dialog } = await world(t);
  mock.signIn.methods.providers = [company];
  await page.goto(`${url}/account`);
  await page.getByRole('button', { name: 'Link Company account' }).click();
  const row = page.getByRole('list', { name: 'Sign-in providers' }).getByRole('listitem');
  await row.getByText('ada@company.example').waitFor();
  assert.deepEqual(await inspect(page, 'account-linked-light'), []);
  mock.signIn.methods.providers = [company, { id: 'other', name: 'Other account' }];
  mock.signIn.providerAnswer = 'oidc_identity_taken';
  await page.goto(`${url}/account#error=oidc_identity_taken`);
  await page.reload();
  await dialog.getByText('Another account here is linked').waitFor();
  assert.deepEqual(await inspect(page, 'provider-return-light'), []);
  await dialog.getByRole('button', { name: 'Close' }).last().click();
  await dialog.waitFor({ state: 'detached' });
  assert.doesNotMatch(page.url(), /#/);
  mock.signIn.providerAnswer = null;
  mock.signIn.methods.providers = [company];
  mock.people.owner.password = null;
  await page.reload();
  await page.getByText('This account has none').waitFor();
  await page.getByRole('button', { name: 'Set a password' }).waitFor();
  assert.equal(await page.getByLabel('Current password').count(), 0);
  await page.getByRole('button', { name: 'Unlink: Company account' }).click();
  await dialog.getByRole('button', { name: 'Unlink' }).click();
  await dialog.getByText('This is the only way into your account; add a passkey first.').waitFor();
  await page.keyboard.press('Escape');

  // Without a password, something dangerous is confirmed at the provider.
  mock.signIn.isStale = true;
  await page.goto(`${url}/settings`);
  await page.getByRole('textbox', { name: 'Name' }).fill('Anew');
  await page.getByRole('button', { name: 'Save' }).click();
  await dialog.getByText('What you were about to do is not done yet').waitFor();
  assert.equal(await dialog.getByLabel('Password').count(), 0);
  assert.deepEqual(await inspect(page, 'step-up-provider-light'), []);
  mock.signIn.providerAnswer = 'oidc_second_factor';
  mock.people.owner.totp = true;
  await dialog.getByRole('button', { name: 'Confirm with Company account' }).click();
  await dialog.getByLabel('One-time code').fill(CODE);
  await page.keyboard.press('Enter');
  await page.waitForURL('**/settings');
  await dialog.waitFor({ state: 'detached' });
  await page.getByRole('textbox', { name: 'Name' }).fill('Anew');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('The workspace is called Anew now.').waitFor();
});

test('all_other_sessions_end_at_once', async (t) => {
  const { mock, page, url, dialog } = await world(t);
  await page.goto(`${url}/account`);
  const rows = page.getByRole('list', { name: 'Sessions' }).getByRole('listitem');
  await until(async () => (await rows.count()) === 3, 'there are three sessions');
  await page.getByRole('button', { name: 'End all others' }).click();
  await dialog.getByRole('button', { name: 'End all others' }).click();
  await page.getByText('All other sessions ended.').waitFor();
  await until(async () => (await rows.count()) === 1, 'one is left');
  assert.equal(await page.getByRole('button', { name: 'End all others' }).count(), 0);
  assert.equal(mock.otherSessions, false);
});

test('too_many_attempts_say_when_to_try_again', async (t) => {
  const { mock, page, url, signIn } = await world(t, { signedIn: false });
  mock.failures.set('/v1/auth/login', 429);
  await page.goto(`${url}/sign-in`);
  await signIn();
  await page.getByText('Too many attempts.').waitFor();
});

// Passkeys on the mock: their whole way, and what a real hub shows less quickly.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, looks, openPage, shoot } from '../harness.mjs';
import { inspect } from '../inspect.mjs';
import { account, startMock } from '../mock/hub.mjs';
import { passkeySteps } from '../passkey-steps.mjs';
import { virtualAuthenticator } from '../virtual-authenticator.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

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

test('passkeys', { timeout: 90_000 }, async (t) => {
  const { page, mock, url } = await world(t);
  await page.goto(url);
  let broken = false;
  const step = (title, work) =>
    t.test(title, async () => {
      if (broken) throw new Error('an earlier step failed');
      try {
        await work();
      } catch (error) {
        broken = true;
        await shoot(page, 'failed-passkeys');
        throw error;
      }
    });
  mock.signIn.isStale = true;
  await passkeySteps({ step, page, browser, world: { url, email: account.email, password: account.password } });
});

test('a_passkey_is_added_named_used_renamed_and_removed', { timeout: 60_000 }, async (t) => {
  const { mock, page, url, dialog, home } = await world(t);
  const authenticator = await virtualAuthenticator(page);
  await page.goto(`${url}/account`);
  await page.getByText('None yet.').waitFor();
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  assert.equal(await dialog.getByLabel('Name').inputValue(), 'Chrome on Linux');
  await dialog.getByLabel('Name').fill('Laptop');
  assert.deepEqual(await inspect(page, 'passkey-add-light'), []);
  await page.keyboard.press('Enter');
  await page.getByText('Laptop was added.').waitFor();
  await dialog.getByText('It is your second factor from now on').waitFor();
  assert.equal(await dialog.getByRole('listitem').count(), 10);
  assert.deepEqual(await inspect(page, 'passkey-recovery-light'), []);
  await dialog.getByRole('button', { name: 'I have kept them' }).click();
  await page.getByText('10 recovery codes left').waitFor();
  assert.equal((await authenticator.passkeys()).length, 1);
  const row = page.getByRole('list', { name: 'Passkeys' }).getByRole('listitem');
  await row.getByText('In one place only').waitFor();
  await row.getByText('Never used').waitFor();

  // Other recovery codes are made with the passkey as well.
  await page.getByRole('button', { name: 'New recovery codes' }).click();
  await dialog.getByLabel('Password').fill(account.password);
  assert.equal(await dialog.getByLabel('One-time code').count(), 0);
  await dialog.getByRole('button', { name: 'Use a passkey' }).click();
  await dialog.getByText('Keep these recovery codes').waitFor();
  await dialog.getByRole('button', { name: 'I have kept them' }).click();

  // The same device cannot keep a second one of the same account.
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  await dialog.getByRole('button', { name: 'Go on' }).click();
  await dialog.getByText('This device keeps a passkey of your account already.').waitFor();
  await page.keyboard.press('Escape');

  await page.getByRole('button', { name: 'Ada Byron' }).click();
  // This browser has used a passkey: it is offered with the address. Whether the pretended user takes what nobody pressed
  // a button for is left to Chromium, which mostly does and sometimes does not.
  const offered = page.waitForRequest((request) => request.url().endsWith('/v1/auth/passkey/begin'));
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await offered;
  await page.goto('about:blank');
  mock.signedIn = false;
  await page.goto(url);
  await page.evaluate(() => localStorage.clear());
  await page.goto(`${url}/jobs`);
  await page.waitForURL('**/sign-in?next=*');
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
  await page.getByRole('heading', { name: 'Jobs', exact: true }).waitFor();

  await page.goto(`${url}/account`);
  await row.getByText(/Last used/).waitFor();
  await page.getByRole('button', { name: 'Rename: Laptop' }).click();
  await dialog.getByLabel('Name').fill('Old laptop');
  await page.keyboard.press('Enter');
  await page.getByText('The passkey is called Old laptop now.').waitFor();
  mock.tenancy.workspace.require_totp = true;
  await page.getByRole('button', { name: 'Remove Old laptop' }).click();
  await dialog.getByRole('button', { name: 'Remove' }).click();
  await dialog.getByText('A workspace of yours requires a second factor, and this is the last one.').waitFor();
  mock.tenancy.workspace.require_totp = false;
  await dialog.getByRole('button', { name: 'Remove' }).click();
  await page.getByText('Old laptop was removed.').waitFor();
  await page.getByText('None yet.').waitFor();

  // What the device still keeps is worth nothing.
  mock.signedIn = false;
  await page.evaluate(() => localStorage.clear());
  await page.goto(url);
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
  await page.getByText('This hub does not know that passkey.').waitFor();
  assert.equal(await home.count(), 0);
});

test('a_passkey_whose_user_is_not_recognised_does_not_sign_in', async (t) => {
  const { mock, page, url } = await world(t);
  const authenticator = await virtualAuthenticator(page);
  await page.goto(`${url}/account`);
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Go on' }).click();
  await page.getByText('Chrome on Linux was added.').waitFor();
  await authenticator.recognise(false);
  mock.signedIn = false;
  await page.evaluate(() => localStorage.clear());
  await page.goto(url);
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
  await page.getByText('It was cancelled, or took too long.').waitFor();
  assert.deepEqual(await inspect(page, 'sign-in-passkey-refused-light'), []);
});

test('under_an_ip_address_there_are_no_passkeys_and_the_account_says_why', async (t) => {
  const { mock, page } = await world(t);
  mock.signIn.methods.passkeys = false;
  await page.goto(`${mock.url}/account`);
  await page.getByText('this hub is reached by an IP address (127.0.0.1)').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Add a passkey' }).count(), 0);
  mock.signedIn = false;
  await page.goto(mock.url);
  await page.getByRole('heading', { name: 'Sign in to Roadstead' }).waitFor();
  assert.equal(await page.getByRole('button', { name: /passkey/ }).count(), 0);
});

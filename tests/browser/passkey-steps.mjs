// Passkeys, on whatever hub has a name: added, signing in alone, a second factor, copied, removed. Chromium pretends to
// have the authenticators. Part of the suites `path` (real hub, whose signatures are checked) and `passkeys` (mock).
import assert from 'node:assert/strict';
import { openPage, shoot, until } from './harness.mjs';
import { inspect } from './inspect.mjs';
import { virtualAuthenticator } from './virtual-authenticator.mjs';

/** Browsers know passkeys for names only, and so does the hub. */
export async function hasPasskeys(page, world) {
  const answer = await page.request.get(`${world.url}/v1/auth/methods`);
  return answer.ok() && (await answer.json()).passkeys === true;
}

/** Tries to sign in five times. The owner has no second factor before, and none afterwards. */
export async function passkeySteps({ step, page, browser, world, options = {} }) {
  const dialog = page.getByRole('dialog');
  const name = `Laptop ${Date.now().toString(36)}`;
  const row = page.getByRole('list', { name: 'Passkeys' }).getByRole('listitem').filter({ hasText: name });
  let authenticator;
  let copy;

  /** A browser of its own, with an authenticator that keeps these passkeys. */
  const elsewhere = async (kept) => {
    const other = await openPage(browser, { viewport: { width: 390, height: 844 } });
    const device = await virtualAuthenticator(other, options);
    for (const passkey of kept) await device.keep(passkey);
    await other.goto(`${world.url}/sign-in`);
    return { other, device, signIn: other.getByRole('button', { name: 'Sign in with a passkey' }), main: other.getByRole('navigation', { name: 'Main' }) };
  };
  const leave = async ({ other }) => {
    assert.deepEqual(other.problems, []);
    await other.context().close();
  };
  /** What is dangerous asks who is there, when that was last shown ten minutes ago. */
  const confirm = async (done) => {
    const question = page.getByRole('heading', { name: 'Confirm that it is you' });
    await done.or(question).first().waitFor();
    if ((await question.count()) === 0) return;
    await page.getByRole('dialog', { name: 'Confirm that it is you' }).getByLabel('Password').fill(world.password);
    await page.keyboard.press('Enter');
    await done.first().waitFor();
  };

  await step('a_passkey_is_added_and_comes_with_recovery_codes', async () => {
    authenticator = await virtualAuthenticator(page, options);
    await page.goto(`${world.url}/account`);
    await page.getByRole('button', { name: 'Add a passkey' }).click();
    await dialog.getByLabel('Name').fill(name);
    await dialog.getByRole('button', { name: 'Go on' }).click();
    await confirm(page.getByText(`${name} was added.`));
    await dialog.getByText('It is your second factor from now on').waitFor();
    assert.equal(await dialog.getByRole('listitem').count(), 10);
    await dialog.getByRole('button', { name: 'I have kept them' }).click();
    await row.getByText('Never used').waitFor();
    await page.getByText('10 recovery codes left').waitFor();
    [copy] = await authenticator.passkeys();
    assert.ok(copy, 'the authenticator keeps it');
  });

  await step('a_device_that_keeps_a_passkey_is_asked_for_no_second_one', async () => {
    await page.getByRole('button', { name: 'Add a passkey' }).click();
    await dialog.getByRole('button', { name: 'Go on' }).click();
    await dialog.getByText('This device keeps a passkey of your account already.').waitFor();
    await page.keyboard.press('Escape');
  });

  await step('a_passkey_signs_in_alone_and_the_account_says_when', async () => {
    const there = await elsewhere([copy]);
    await there.signIn.click();
    await there.main.waitFor();
    [copy] = await there.device.passkeys();
    await page.reload();
    await row.getByText(/Last used/).waitFor();
    await leave(there);
  });

  await step('the_password_alone_does_not_sign_in_any_more_with_the_passkey_it_does', async () => {
    const there = await elsewhere([copy]);
    const { other } = there;
    await other.getByLabel('E-mail').fill(world.email);
    await other.getByLabel('Password').fill(world.password);
    await other.getByRole('button', { name: 'Sign in', exact: true }).click();
    const use = other.getByRole('button', { name: 'Use a passkey' });
    await use.waitFor();
    assert.equal(await there.main.count(), 0);
    await other.getByLabel('Or a recovery code').waitFor();
    assert.deepEqual(await inspect(other, 'sign-in-passkey-factor'), []);
    await use.click();
    await there.main.waitFor();
    await leave(there);
  });

  await step('a_copy_of_a_passkey_is_noticed_and_refused', async () => {
    // It counts on from before the last use: somebody else used the other one in between.
    const there = await elsewhere([copy]);
    await there.signIn.click();
    await there.other.getByText('This hub does not know that passkey.').waitFor();
    assert.equal(await there.main.count(), 0);
    await shoot(there.other, 'passkey-copied');
    await leave(there);
  });

  await step('a_passkey_that_was_removed_opens_nothing', async () => {
    await page.getByRole('button', { name: `Remove ${name}` }).click();
    await dialog.getByRole('button', { name: 'Remove' }).click();
    await confirm(page.getByText(`${name} was removed.`));
    await until(async () => (await row.count()) === 0, 'it is listed no more');
    const there = await elsewhere([{ ...copy, signCount: copy.signCount + 100 }]);
    await there.signIn.click();
    await there.other.getByText('This hub does not know that passkey.').waitFor();
    await leave(there);
    await authenticator.remove();
    await page.evaluate(() => localStorage.removeItem('roadstead.passkey.used'));
  });
}

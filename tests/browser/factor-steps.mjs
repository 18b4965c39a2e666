// One-time codes: turned on by the person, asked for at the next sign-in. On the real hub, whose codes are real.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { openPage, shoot } from './harness.mjs';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** RFC 6238 with the defaults of every app: SHA-1, 30 s, six digits. */
export function codeOf(secret, at = Date.now()) {
  const bits = [...secret.replace(/=+$/, '')].map((letter) => ALPHABET.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
  const digest = createHmac('sha1', key).update(counter).digest();
  const start = digest.at(-1) & 15;
  return String((digest.readUInt32BE(start) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

export async function factorSteps({ step, page, browser, world }) {
  const dialog = page.getByRole('dialog');
  let recovery;

  await step('one_time_codes_are_turned_on_with_an_app', async () => {
    await page.goto(`${world.url}/account`);
    await page.getByRole('button', { name: 'Turn on one-time codes' }).click();
    await dialog.getByLabel('Password').fill(world.password);
    await dialog.getByRole('button', { name: 'Next' }).click();
    const secret = (await dialog.locator('code').textContent()).replaceAll(/\s/g, '');
    await dialog.getByRole('img', { name: 'QR code for your app' }).waitFor();
    await shoot(page, 'one-time-codes');
    await dialog.getByLabel('One-time code').fill(codeOf(secret));
    await dialog.getByRole('button', { name: 'Turn on' }).click();
    await dialog.getByText('Keep these recovery codes').waitFor();
    recovery = await dialog.getByRole('listitem').allTextContents();
    assert.equal(recovery.length, 10);
    await dialog.getByRole('button', { name: 'I have kept them' }).click();
    await page.getByText('10 recovery codes left').waitFor();
  });

  await step('a_password_alone_does_not_sign_in_any_more', async () => {
    const elsewhere = await openPage(browser, { viewport: { width: 390, height: 844 } });
    await elsewhere.goto(`${world.url}/sign-in`);
    await elsewhere.getByLabel('E-mail').fill(world.email);
    await elsewhere.getByLabel('Password').fill(world.password);
    await elsewhere.getByRole('button', { name: 'Sign in', exact: true }).click();
    const code = elsewhere.getByLabel('One-time code');
    await code.fill('000000');
    await shoot(elsewhere, 'sign-in-code');
    await elsewhere.getByRole('button', { name: 'Sign in', exact: true }).click();
    await elsewhere.getByText('E-mail, password or code is wrong.').waitFor();
    await code.fill(recovery[0]);
    await elsewhere.getByRole('button', { name: 'Sign in', exact: true }).click();
    await elsewhere.getByRole('navigation', { name: 'Main' }).waitFor();
    await page.reload();
    await page.getByText('9 recovery codes left').waitFor();
    await elsewhere.context().close();
  });

  await step('one_time_codes_are_turned_off_with_both_factors', async () => {
    await page.getByRole('button', { name: 'Turn off' }).click();
    await dialog.getByLabel('Password').fill(world.password);
    await dialog.getByLabel('One-time code').fill(recovery[1]);
    await dialog.getByRole('button', { name: 'Turn off' }).click();
    await page.getByRole('button', { name: 'Turn on one-time codes' }).waitFor();
  });
}

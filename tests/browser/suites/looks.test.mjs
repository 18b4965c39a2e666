// Every page in light, dark and on a phone: a screenshot to look at, no serious finding of axe, nothing wider than the
// screen, nothing in the console. The screenshots stay in tests/artefacts/.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launch, looks, openPage, shoot } from '../harness.mjs';
import { inspect } from '../inspect.mjs';
import { startMock } from '../mock/hub.mjs';
import { showcase } from '../mock/showcase.mjs';
import { overlays, pagesOf } from '../pages.mjs';

test('every page in every look', { timeout: 1_800_000 }, async (t) => {
  const mock = await startMock({ servers: 46, offlineShare: 0.1 });
  mock.shown = showcase(mock);
  const browser = await launch();
  t.after(async () => {
    await browser.close();
    await mock.close();
  });

  for (const look of Object.keys(looks)) {
    await t.test(`${look}_is_complete_accessible_and_fits`, async () => {
      const page = await openPage(browser, looks[look]);
      const findings = [];
      const lookAt = async (name) => findings.push(...(await inspect(page, `${name}-${look}`)));
      for (const { name, path, ready } of pagesOf(mock)) {
        await page.goto(mock.url + path);
        await ready(page).first().waitFor();
        await lookAt(name);
      }
      for (const { name, path, open, ready } of overlays) {
        await page.goto(mock.url + (typeof path === 'function' ? path(mock) : path));
        await page.locator('h1').first().waitFor();
        await open(page);
        await ready(page).first().waitFor();
        await lookAt(name);
      }
      mock.signedIn = false;
      for (const name of ['sign-in', 'setup']) {
        mock.needsSetup = name === 'setup';
        await page.goto(mock.url);
        await page.waitForURL(`**/${name}`);
        await page.locator('h1').waitFor();
        await lookAt(name);
      }
      mock.signedIn = true;
      mock.needsSetup = false;
      await page.context().close();
      assert.deepEqual(findings, []);
      assert.deepEqual(page.problems, []);
    });
  }

  await t.test('an_empty_hub_offers_the_one_next_step', async () => {
    const empty = await startMock({ servers: 0 });
    const page = await openPage(browser);
    await page.goto(empty.url);
    await page.getByText('Your hub is ready').waitFor();
    await shoot(page, 'overview-empty-light');
    for (const [path, text] of [['/servers', 'No servers yet'], ['/jobs', 'No jobs yet'], ['/batches', 'No batches yet'], ['/audit', 'Nothing recorded']]) {
      await page.goto(empty.url + path);
      await page.getByText(text).waitFor();
      await shoot(page, `${path.slice(1)}-empty-light`);
    }
    assert.deepEqual(page.problems, []);
    await page.context().close();
    await empty.close();
  });

  await t.test('a_dark_page_is_dark_before_its_first_paint', async () => {
    const page = await openPage(browser, { colorScheme: 'light' });
    await page.goto(mock.url);
    await page.evaluate(() => localStorage.setItem('roadstead.theme', 'dark'));
    await page.addInitScript(() => {
      new PerformanceObserver(() => {
        window.themeAtFirstPaint ??= document.documentElement.dataset.theme;
      }).observe({ type: 'paint', buffered: true });
    });
    await page.reload();
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    await page.waitForFunction(() => window.themeAtFirstPaint !== undefined);
    assert.equal(await page.evaluate(() => window.themeAtFirstPaint), 'dark');
    await page.context().close();
  });
});

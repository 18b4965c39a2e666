import { launch, looks, openPage } from './harness.mjs';
import { inspect } from './inspect.mjs';
import { startMock } from './mock/hub.mjs';
import { showcase } from './mock/showcase.mjs';
import { overlays, pagesOf } from './pages.mjs';
const [, , pattern = '.', lookPattern = '.'] = process.argv;
const mock = await startMock({ servers: 46, offlineShare: 0.1 });
mock.shown = showcase(mock);
const browser = await launch();
for (const look of Object.keys(looks).filter((l) => l.match(lookPattern))) {
  const page = await openPage(browser, looks[look]);
  page.context().setDefaultTimeout(6000);
  for (const { name, path, ready, open } of [...pagesOf(mock), ...overlays].filter((one) => one.name.match(pattern))) {
    try {
      await page.goto(mock.url + (typeof path === 'function' ? path(mock) : path));
      if (open) { await page.locator('h1').first().waitFor(); await open(page); }
      await ready(page).first().waitFor();
    } catch (e) { console.log('NOT READY', name, look, String(e).slice(0, 300)); }
    for (const f of await inspect(page, `${name}-${look}`)) console.log(f);
  }
  for (const p of page.problems) console.log('PROBLEM', p.slice(0, 400));
  await page.context().close();
}
await browser.close(); await mock.close();

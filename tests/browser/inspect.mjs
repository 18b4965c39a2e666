// Looks at a page: a screenshot to keep, no serious finding of axe, nothing wider than the screen.
import { AxeBuilder } from '@axe-core/playwright';
import { shoot } from './harness.mjs';

/** What is wrong with the page as it is now. */
export async function inspect(page, name) {
  await page.evaluate(() => document.fonts.ready);
  await shoot(page, name);
  const findings = [];
  const width = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  if (width > 0) findings.push(`${name}: ${width} px wider than the screen`);
  const { violations } = await new AxeBuilder({ page }).analyze();
  for (const { id, impact, nodes } of violations) {
    if (impact === 'serious' || impact === 'critical') findings.push(`${name}: ${id}: ${nodes[0].html.slice(0, 200)}`);
  }
  return findings;
}

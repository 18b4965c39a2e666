// Chromium, pages with their errors collected, and the looks that every page is seen in.
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const executablePath = process.env.ROADSTEAD_CHROMIUM ?? '/usr/bin/chromium';
export const artefacts = fileURLToPath(new URL('../artefacts/', import.meta.url));

export const looks = {
  light: { colorScheme: 'light', viewport: { width: 1440, height: 900 } },
  dark: { colorScheme: 'dark', viewport: { width: 1440, height: 900 } },
  phone: { colorScheme: 'light', viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 },
};

export function launch() {
  mkdirSync(artefacts, { recursive: true });
  // Root in a container has no user namespace for the sandbox.
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--js-flags=--expose-gc'] });
}

/** A page that remembers what went wrong in it; `page.problems` must be empty in the end. */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext({ ...looks.light, ignoreHTTPSErrors: true, reducedMotion: 'reduce', ...options });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  page.problems = [];
  watchProblems(page);
  return page;
}

function watchProblems(page) {
  page.on('console', (message) => {
    // A refusal that a test provokes on purpose is logged by the browser itself, with no say of the page.
    const isRefusal = /Failed to load resource|net::ERR_/.test(message.text());
    if (['error', 'warning'].includes(message.type()) && !isRefusal) page.problems.push(message.text());
  });
  page.on('pageerror', (error) => page.problems.push(String(error.stack ?? error)));
}

export async function shoot(page, name) {
  await page.screenshot({ path: `${artefacts}${name}.png`, animations: 'disabled' });
}

/** Waits for a condition in this process. */
export async function until(condition, what, timeoutMs = 30_000) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

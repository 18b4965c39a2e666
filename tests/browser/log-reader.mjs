// Reads a job's log as a person would: by scrolling through it, and only what is on the screen.

/** Calls `visit(number, text)` for every line from the first to the last, in order of appearance. */
export async function readWholeLog(page, visit) {
  const region = page.getByRole('region', { name: 'Log lines' });
  await region.evaluate((box) => {
    box.scrollTop = 0;
  });
  let seen = 0;
  for (;;) {
    const rows = await stableRows(page, region);
    for (const [number, text] of rows) {
      if (number <= seen) continue;
      if (number !== seen + 1) throw new Error(`line ${number} follows line ${seen} on the screen`);
      visit(number, text);
      seen = number;
    }
    const more = await region.evaluate((box) => {
      const before = box.scrollTop;
      box.scrollTop = before + box.clientHeight;
      return box.scrollTop > before;
    });
    if (!more) return seen;
  }
}

/** The rows on the screen once none of them is still being fetched. */
async function stableRows(page, region) {
  return page.waitForFunction(
    (box) => {
      const { top, bottom } = box.getBoundingClientRect();
      const rows = [...box.querySelectorAll('[data-line]')].filter((row) => {
        const place = row.getBoundingClientRect();
        return place.bottom > top && place.top < bottom;
      });
      if (rows.length === 0) return null;
      const first = rows[0].getBoundingClientRect();
      // Rows lag a frame behind the scroll position.
      if (first.top > top + 28) return null;
      const last = rows.at(-1).getBoundingClientRect();
      const isAtEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 2;
      if (!isAtEnd && last.bottom < bottom - 24) return null;
      const texts = rows.map((row) => [Number(row.dataset.line), row.children[1]?.textContent ?? '', row.querySelector('.animate-pulse-soft') !== null]);
      return texts.some(([, , isLoading]) => isLoading) ? null : texts;
    },
    await region.elementHandle(),
    { polling: 'raf', timeout: 10_000 },
  ).then((handle) => handle.jsonValue());
}

// Reads a job's log as a person would: by scrolling through it, and only what is on the screen.

/** Calls `visit(number, text)` for every line from the first to the last, in order of appearance; returns how many. */
export async function readWholeLog(page, visit) {
  const session = await page.context().newCDPSession(page);
  // A tall screen of few pixels: fewer steps, and little to paint.
  await session.send('Emulation.setDeviceMetricsOverride', { width: 800, height: 6_000, deviceScaleFactor: 0.1, mobile: false });
  const region = page.getByRole('region', { name: 'Log lines' });
  const lines = await region.evaluate(scrollThrough);
  await session.send('Emulation.clearDeviceMetricsOverride');
  await session.detach();
  for (const [number, text] of lines) visit(number, text);
  return lines.length;
}

/** Runs in the page: scrolls a screen at a time and takes down each row once it is drawn in its place. */
async function scrollThrough(box) {
  const nextFrame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const rowsOnScreen = () => {
    const { top, bottom } = box.getBoundingClientRect();
    return [...box.querySelectorAll('[data-line]')]
      .map((row) => ({ row, place: row.getBoundingClientRect() }))
      .filter(({ place }) => place.bottom > top && place.top < bottom);
  };
  /** Rows lag behind the scroll position by a frame or two, and old ones are fetched. */
  const settledRows = async () => {
    const deadline = performance.now() + 60_000;
    while (performance.now() < deadline) {
      const rows = rowsOnScreen();
      const { top, bottom } = box.getBoundingClientRect();
      const isShort = box.scrollHeight <= box.clientHeight;
      const isCovered = rows.length > 0 && rows[0].place.top <= top + 28 && (isShort || rows.at(-1).place.bottom >= bottom - 24);
      if (isCovered && rows.every(({ row }) => row.querySelector('.animate-pulse-soft') === null)) return rows;
      await nextFrame();
    }
    throw new Error(`the rows at ${box.scrollTop} of ${box.scrollHeight} px were never all there`);
  };

  box.scrollTop = 0;
  const lines = [];
  for (;;) {
    for (const { row } of await settledRows()) {
      const number = Number(row.dataset.line);
      if (number <= lines.length) continue;
      if (number !== lines.length + 1) {
        throw new Error(`line ${number} follows line ${lines.length} at ${box.scrollTop} of ${box.scrollHeight} px, ${box.clientHeight} px high`);
      }
      lines.push([number, row.children[1]?.textContent ?? '']);
    }
    const before = box.scrollTop;
    // A little less than a screen, so that no row falls between two of them.
    box.scrollTop = before + box.clientHeight - 60;
    if (box.scrollTop <= before) return lines;
    await nextFrame();
  }
}

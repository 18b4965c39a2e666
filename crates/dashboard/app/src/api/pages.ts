/** More than the hub keeps of anything that is listed as a whole. */
const MOST_PAGES = 10;

interface Page<T> {
  data: T[];
  next_cursor: string | null;
}

/** Every page of a list that is never long. */
export async function everyPage<T>(ask: (cursor: string | undefined) => Promise<Page<T>>): Promise<T[]> {
  const all: T[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const { data, next_cursor } = await ask(cursor);
    all.push(...data);
    if (next_cursor === null) break;
    cursor = next_cursor;
  }
  return all;
}

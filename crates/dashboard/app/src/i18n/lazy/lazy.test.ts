import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const here = import.meta.dirname;
const source = join(here, '../..');
const areas = readdirSync(here)
  .filter((name) => name.endsWith('.ts') && !/^(index|lazy\.test)\./.test(name))
  .map((name) => name.replace('.ts', ''));

describe('words that are not in the shell', () => {
  it('are_imported_by_every_file_that_uses_them', () => {
    const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /\.tsx?$/.test(name),
    );
    const missing = files.flatMap((file) => {
      const text = readFileSync(join(source, file), 'utf8');
      return areas
        .filter((area) => new RegExp(`\\bt\\(\\s*[\`'"]${area}\\.`).test(text))
        .filter((area) => !text.includes(`import '@/i18n/lazy/${area}';`))
        .map((area) => `${file} uses ${area}`);
    });
    expect(areas).toContain('settings');
    expect(missing).toEqual([]);
  });
});

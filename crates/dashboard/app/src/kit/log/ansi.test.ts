import { describe, expect, it } from 'vitest';
import { PLAIN, parseAnsi, stripAnsi, styleAfter } from './ansi';

const ESC = '\x1b';
const runs = (line: string) => parseAnsi(line).runs.map(({ text, style }) => [text, style.fg, style.bold]);

describe('parseAnsi', () => {
  it('leaves_plain_text_alone', () =>
    expect(runs('plain <b>text</b>')).toEqual([['plain <b>text</b>', null, false]]));

  it('reads_colours_and_resets', () =>
    expect(runs(`a${ESC}[31mb${ESC}[1;92mc${ESC}[0md`)).toEqual([
      ['a', null, false],
      ['b', 1, false],
      ['c', 10, true],
      ['d', null, false],
    ]));

  it('reads_256_and_true_colour_with_either_separator', () => {
    expect(runs(`${ESC}[38;5;196mx`)).toEqual([['x', 'rgb(255 0 0)', false]]);
    expect(runs(`${ESC}[38:5:244mx`)).toEqual([['x', 'rgb(128 128 128)', false]]);
    expect(runs(`${ESC}[38;2;1;2;300mx`)).toEqual([['x', 'rgb(1 2 255)', false]]);
    expect(runs(`${ESC}[38;5;999mx`)).toEqual([['x', null, false]]);
  });

  it('drops_cursor_moves_titles_links_and_clipboard_writes', () => {
    expect(stripAnsi(`a${ESC}[2Kb${ESC}[10;5Hc`)).toBe('abc');
    expect(stripAnsi(`a${ESC}]0;title\x07b`)).toBe('ab');
    expect(stripAnsi(`a${ESC}]52;c;aGVsbG8=${ESC}\\b`)).toBe('ab');
    expect(stripAnsi(`${ESC}]8;;javascript:alert(1)${ESC}\\click${ESC}]8;;${ESC}\\`)).toBe('click');
    expect(stripAnsi(`a${ESC}Mb${ESC}(0c`)).toBe('abc');
  });

  it('drops_a_sequence_that_the_line_cuts_off', () => {
    expect(stripAnsi(`a${ESC}[31`)).toBe('a');
    expect(stripAnsi(`a${ESC}`)).toBe('a');
    expect(stripAnsi(`a${ESC}]0;never closed`)).toBe('a');
  });

  it('keeps_tabs_and_drops_other_controls', () => expect(stripAnsi('a\tb\x00c\x08d\x7f')).toBe('a\tbcd'));

  it('carries_the_look_over_to_the_next_line', () => {
    const after = styleAfter(`${ESC}[33mstart`, PLAIN);
    expect(after.fg).toBe(3);
    expect(parseAnsi('next', after).runs[0]?.style.fg).toBe(3);
    expect(styleAfter('no escape', after)).toBe(after);
  });

  it('is_quick_on_hostile_input', () => {
    const started = performance.now();
    stripAnsi(`${ESC}]`.repeat(20_000));
    stripAnsi(`${ESC}[;`.repeat(50_000));
    stripAnsi(ESC.repeat(100_000));
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

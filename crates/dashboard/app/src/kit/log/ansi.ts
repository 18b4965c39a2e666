/** How a run of text looks. Colours 0–15 are the theme's; others are given as `rgb(…)`. */
export interface AnsiStyle {
  readonly fg: number | string | null;
  readonly bg: number | string | null;
  readonly bold: boolean;
  readonly dim: boolean;
  readonly italic: boolean;
  readonly underline: boolean;
  readonly inverse: boolean;
  readonly strike: boolean;
}

export interface AnsiRun {
  text: string;
  style: AnsiStyle;
}

export const PLAIN: AnsiStyle = {
  fg: null,
  bg: null,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  inverse: false,
  strike: false,
};

/**
 * One escape sequence or control character: CSI with its final byte, OSC/DCS/APC/PM/SOS strings up to their end
 * (a hyperlink, a title, a clipboard write: all dropped), two-byte escapes, and bare controls except the tab.
 * A sequence that the line's end cuts off is dropped too.
 */
const ESCAPES =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  /\x1b\[([0-9:;<=>?]*)[ -/]*([@-~]|$)|\x1b[\]PX^_](?:[^\x07\x1b]|\x1b(?!\\))*(?:\x07|\x1b\\|$)|\x1b[ -/]*[0-~]?|[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f]/g;

/** Splits a line into runs of one look, starting with `style`. Output is data: nothing in it becomes markup. */
export function parseAnsi(line: string, style: AnsiStyle = PLAIN): { runs: AnsiRun[]; style: AnsiStyle } {
  const runs: AnsiRun[] = [];
  let from = 0;
  let current = style;
  for (const match of line.matchAll(ESCAPES)) {
    if (match.index > from) addRun(runs, line.slice(from, match.index), current);
    from = match.index + match[0].length;
    if (match[2] === 'm') current = applySgr(match[1] ?? '', current);
  }
  if (from < line.length) addRun(runs, line.slice(from), current);
  return { runs, style: current };
}

/** The line without escape sequences and controls. */
export function stripAnsi(line: string): string {
  return hasControl(line) ? line.replace(ESCAPES, '') : line;
}

/** The look that the next line starts with. */
export function styleAfter(line: string, style: AnsiStyle): AnsiStyle {
  return line.includes('\x1b') ? parseAnsi(line, style).style : style;
}

function hasControl(line: string): boolean {
  for (let i = 0; i < line.length; i += 1) {
    const code = line.charCodeAt(i);
    if ((code < 32 && code !== 9) || code === 127) return true;
  }
  return false;
}

function addRun(runs: AnsiRun[], text: string, style: AnsiStyle): void {
  const last = runs.at(-1);
  if (last && last.style === style) last.text += text;
  else runs.push({ text, style });
}

function applySgr(parameters: string, before: AnsiStyle): AnsiStyle {
  const codes =
    parameters === '' ? [0] : parameters.split(/[;:]/).map((part) => (part === '' ? 0 : Number(part)));
  let style = before;
  for (let i = 0; i < codes.length; i += 1) {
    const code = codes[i] ?? 0;
    if (code === 38 || code === 48) {
      const { color, used } = extendedColor(codes.slice(i + 1));
      if (color !== null) style = { ...style, [code === 38 ? 'fg' : 'bg']: color };
      i += used;
    } else {
      style = applyCode(code, style);
    }
  }
  return style;
}

function applyCode(code: number, style: AnsiStyle): AnsiStyle {
  if (code >= 30 && code <= 37) return { ...style, fg: code - 30 };
  if (code >= 90 && code <= 97) return { ...style, fg: code - 82 };
  if (code >= 40 && code <= 47) return { ...style, bg: code - 40 };
  if (code >= 100 && code <= 107) return { ...style, bg: code - 92 };
  switch (code) {
    case 0:
      return PLAIN;
    case 1:
      return { ...style, bold: true };
    case 2:
      return { ...style, dim: true };
    case 3:
      return { ...style, italic: true };
    case 4:
      return { ...style, underline: true };
    case 7:
      return { ...style, inverse: true };
    case 9:
      return { ...style, strike: true };
    case 22:
      return { ...style, bold: false, dim: false };
    case 23:
      return { ...style, italic: false };
    case 24:
      return { ...style, underline: false };
    case 27:
      return { ...style, inverse: false };
    case 29:
      return { ...style, strike: false };
    case 39:
      return { ...style, fg: null };
    case 49:
      return { ...style, bg: null };
    default:
      return style;
  }
}

/** What follows 38 or 48: `5;n` from the 256 colours or `2;r;g;b`. */
function extendedColor(rest: number[]): { color: number | string | null; used: number } {
  if (rest[0] === 5) return { color: paletteColor(rest[1] ?? 0), used: 2 };
  if (rest[0] === 2) return { color: rgb(rest[1], rest[2], rest[3]), used: 4 };
  return { color: null, used: rest.length };
}

function paletteColor(n: number): number | string | null {
  if (!Number.isInteger(n) || n < 0 || n > 255) return null;
  if (n < 16) return n;
  if (n >= 232) {
    const grey = 8 + (n - 232) * 10;
    return rgb(grey, grey, grey);
  }
  const cube = n - 16;
  const level = (step: number) => (step === 0 ? 0 : 55 + step * 40);
  return rgb(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6));
}

function rgb(...channels: (number | undefined)[]): string {
  return `rgb(${channels.map((channel) => Math.max(0, Math.min(255, Math.round(channel ?? 0) || 0))).join(' ')})`;
}

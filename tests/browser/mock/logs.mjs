// Job logs held in memory, read by range and followed as the real hub does.
export class MockLog {
  constructor() {
    this.chunks = [];
    this.size = 0;
    this.isComplete = false;
    this.waiting = new Set();
  }

  write(text, stream = 'out') {
    const bytes = Buffer.byteLength(text);
    this.chunks.push({ offset: this.size, bytes, stream, at: new Date().toISOString(), text });
    this.size += bytes;
    this.wake();
  }

  /** A middle that was not kept, as agents mark it. */
  drop(bytes) {
    this.chunks.push({ offset: this.size, bytes, stream: 'sys', at: new Date().toISOString(), text: '', gap_bytes: bytes });
    this.size += bytes;
    this.wake();
  }

  end() {
    this.isComplete = true;
    this.wake();
  }

  /** Chunks from `from` on, the first one cut to start there. */
  *from(from) {
    let low = 0;
    let high = this.chunks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const chunk = this.chunks[middle];
      if (chunk.offset + chunk.bytes <= from) low = middle + 1;
      else high = middle;
    }
    for (let n = low; n < this.chunks.length; n += 1) {
      const chunk = this.chunks[n];
      if (chunk.offset >= from) yield chunk;
      else {
        if (chunk.gap_bytes) {
          yield { ...chunk, offset: from, bytes: chunk.bytes - (from - chunk.offset), gap_bytes: chunk.bytes - (from - chunk.offset) };
          continue;
        }
        const text = Buffer.from(chunk.text).subarray(from - chunk.offset).toString();
        yield { ...chunk, offset: from, bytes: chunk.bytes - (from - chunk.offset), text };
      }
    }
  }

  page(from, limit) {
    const data = [];
    let next = from;
    for (const chunk of this.from(from)) {
      if (next - from >= limit) break;
      data.push(chunk);
      next = chunk.offset + chunk.bytes;
    }
    return { data, next_offset: next, complete: this.isComplete && next >= this.size };
  }

  /** Lines that hold `q`, in a bounded stretch from byte `from` on. */
  search(q, from, limit, budget) {
    const needle = q.toLowerCase();
    const data = [];
    let next = from;
    for (const chunk of this.from(from)) {
      let at = chunk.offset;
      for (const line of chunk.text.split(/(?<=\n)/)) {
        if (data.length >= limit || next - from >= budget) return { data, next_from: next, complete: false };
        if (line.toLowerCase().includes(needle)) data.push({ offset: at, stream: chunk.stream, at: chunk.at, text: line.trimEnd() });
        at += Buffer.byteLength(line);
        next = at;
      }
    }
    return { data, next_from: next, complete: true };
  }

  changed() {
    return new Promise((resolve) => this.waiting.add(resolve));
  }

  wake() {
    for (const resolve of this.waiting) resolve();
    this.waiting.clear();
  }
}

const ESC = '\x1b';

export const deployLog = [
  `${ESC}[1m==> Fetching sources${ESC}[0m\n`,
  'remote: Enumerating objects: 128, done.\n',
  'Receiving objects:  10% (13/128)\rReceiving objects:  55% (70/128)\rReceiving objects: 100% (128/128), 1.21 MiB | 8.40 MiB/s, done.\n',
  `${ESC}[1m==> Installing dependencies${ESC}[0m\n`,
  `${ESC}[33mwarning${ESC}[0m: package "left" is deprecated, use "right"\n`,
  `added ${ESC}[32m412${ESC}[0m packages in 9s\n`,
  `${ESC}[1m==> Building${ESC}[0m\n`,
  `${ESC}[36mvite${ESC}[0m building for production...\n`,
  `${ESC}[2mdist/${ESC}[22m${ESC}[32massets/index-4f81.js${ESC}[39m  ${ESC}[1m184.20 kB${ESC}[22m │ gzip: 61.03 kB\n`,
  `${ESC}[38;5;208mslow:${ESC}[0m transforming took longer than expected <script>alert(1)</script>\n`,
  `${ESC}[1m==> Restarting${ESC}[0m\n`,
  'systemctl restart app.service\n',
  `${ESC}[1;32m✔ Deployed in 41 s${ESC}[0m\n`,
];

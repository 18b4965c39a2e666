import { describe, expect, it } from 'vitest';
import { SseParser } from './sse';

describe('SseParser', () => {
  it('gives_the_same_events_wherever_the_text_is_cut', () => {
    const text =
      ': keep-alive\n\nid: 7\nevent: log\ndata: {"a":1}\n\nevent: end\r\ndata: one\r\ndata: two\r\n\r\n';
    const whole = new SseParser().push(text);
    for (let cut = 0; cut <= text.length; cut += 1) {
      const parser = new SseParser();
      expect([...parser.push(text.slice(0, cut)), ...parser.push(text.slice(cut))]).toEqual(whole);
    }
    expect(whole).toEqual([
      { id: '7', event: 'log', data: '{"a":1}' },
      { id: '7', event: 'end', data: 'one\ntwo' },
    ]);
  });

  it('refuses_an_endless_line', () => {
    const parser = new SseParser();
    expect(() => {
      for (let n = 0; n < 20; n += 1) parser.push('x'.repeat(1_000_000));
    }).toThrow('too long');
  });
});

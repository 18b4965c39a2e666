import { describe, expect, it } from 'vitest';
import { selectorInWords, sizeInWords, strategyInWords, wavesOf } from './strategy';

describe('waves', () => {
  it.each([
    [12, { canary: 1, batch_size: 3 }, [1, 3, 3, 3, 2]],
    [12, null, [12]],
    [12, { canary: 2 }, [2, 10]],
    [3, { canary: 5, batch_size: 2 }, [3]],
    [10, { batch_percent: 25 }, [3, 3, 3, 1]],
    [2, { batch_percent: 1 }, [1, 1]],
    [0, { batch_size: 2 }, []],
  ])('%i servers by %o', (total, strategy, expected) => expect(wavesOf(total, strategy)).toEqual(expected));

  it('hold_every_server_once', () => {
    for (let total = 1; total < 60; total += 1) {
      for (const strategy of [
        { canary: 1, batch_percent: 30 },
        { batch_size: 7 },
        { canary: 9, batch_size: 1 },
      ]) {
        const waves = wavesOf(total, strategy);
        expect(waves.reduce((sum, size) => sum + size, 0)).toBe(total);
        expect(Math.min(...waves)).toBeGreaterThan(0);
      }
    }
  });
});

describe('a plan in words', () => {
  it('says_what_comes_first_when_it_halts_and_how_long_it_waits', () =>
    expect(strategyInWords({ canary: 1, batch_size: 3, max_failures: 0, pause_s: 300 })).toBe(
      '1 first, then 3 at a time. Halts at the first failure. 5 min between waves.',
    ));
  it('says_when_all_run_at_once', () => {
    expect(strategyInWords(null)).toBe('All at once. Halts at the first failure.');
    expect(strategyInWords({ max_failures: 2 })).toBe('All at once. Halts when more than 2 fail.');
  });
  it('says_percent_and_the_rest', () => {
    expect(strategyInWords({ batch_percent: 10 })).toMatch(/^10 % at a time\./);
    expect(strategyInWords({ canary: 2 })).toMatch(/^2 first, then all others\./);
  });
  it('counts_servers_and_waves', () => {
    expect(sizeInWords(12, { canary: 1, batch_size: 3 })).toBe('12 servers in 5 waves.');
    expect(sizeInWords(1, null)).toBe('1 server in 1 wave.');
  });
  it('names_the_servers', () => {
    expect(selectorInWords({ all: true })).toBe('All servers');
    expect(selectorInWords({ labels: { env: 'prod', web: '' } })).toBe('Labels env:prod, web');
    expect(selectorInWords({ server_ids: ['a'] })).toBe('1 chosen server');
  });
});

import { describe, expect, it } from 'vitest';
import { emailError, passwordError, validateSetup } from './validate';

describe('set-up form', () => {
  it('names_every_field_that_is_missing', () => {
    const errors = validateSetup({ code: '', email: '', name: ' ', password: '', workspace: '' });
    expect(Object.values(errors).every(Boolean)).toBe(true);
  });

  it('lets_good_values_pass', () => {
    const errors = validateSetup({
      code: 'abc',
      email: 'a@b',
      name: 'A',
      password: 'x'.repeat(12),
      workspace: 'W',
    });
    expect(Object.values(errors).some(Boolean)).toBe(false);
  });

  it.each(['a', '@', 'a@', 'a b@c', '@c'])('refuses the address %s', (value) =>
    expect(emailError(value)).toBeTruthy(),
  );

  it('asks_for_twelve_characters', () => {
    expect(passwordError('x'.repeat(11))).toBeTruthy();
    expect(passwordError('x'.repeat(12))).toBeUndefined();
  });
});

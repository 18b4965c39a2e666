import { describe, expect, it } from 'vitest';
import { oneLine, policyLine, problemOfKey } from './operator-keys-data';

const BLOB = `AAAAC3NzaC1lZDI1NTE5AAAAI${'b'.repeat(43)}`;

describe('a pasted public key', () => {
  it.each([
    [`ssh-ed25519 ${BLOB} ada@example.net`, null],
    [`  ssh-ed25519 ${BLOB.slice(0, 40)}\n${BLOB.slice(40)}\n`, null],
    ['', 'missing'],
    ['-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn', 'private'],
    ['ssh-rsa AAAAB3NzaC1yc2E', 'other_type'],
    ['sk-ssh-ed25519@openssh.com AAAA', 'other_type'],
    ['ssh-ed25519 AAAA', 'not_a_key'],
    ['SHA256:abc', 'not_a_key'],
  ])('%j', (text, problem) => expect(problemOfKey(text)).toBe(problem));

  it('is_sent_as_one_line', () => expect(oneLine('a b\n  c\r\n')).toBe('a bc'));
});

describe('the line for the policy file', () => {
  it('names_the_key_and_cannot_be_broken_out_of', () =>
    expect(policyLine({ public_key: `ssh-ed25519 ${BLOB} old`, name: 'Ada’s "laptop"] #' })).toBe(
      `operators = ["ssh-ed25519 ${BLOB} Adas laptop "]`,
    ));
});

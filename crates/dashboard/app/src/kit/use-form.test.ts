import { describe, expect, it } from 'vitest';
import { ApiError } from '@/api/error';
import { fieldsOf } from './use-form';

describe('fieldsOf', () => {
  const values = { command: '', env: '' };
  const refusal = (fields: Record<string, string[]>) =>
    new ApiError(422, 'validation_failed', 'no', null, fields);

  it('puts_the_hubs_complaints_at_their_fields', () =>
    expect(fieldsOf(refusal({ 'args.command': ['must not be empty'] }), values)).toEqual({
      command: 'Must not be empty',
    }));

  it('leaves_out_fields_that_the_form_does_not_have', () =>
    expect(fieldsOf(refusal({ other: ['no'] }), values)).toEqual({}));
});

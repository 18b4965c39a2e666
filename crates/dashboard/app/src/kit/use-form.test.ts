import { describe, expect, it } from 'vitest';
import { ApiError } from '@/api/error';
import { fieldsOf, mergeErrors } from './use-form';

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

describe('mergeErrors', () => {
  it('keeps_what_the_hub_refused_where_the_form_itself_sees_nothing_wrong', () =>
    expect(mergeErrors({ code: 'wrong code', name: 'taken' }, { code: undefined, name: 'too long' })).toEqual(
      {
        code: 'wrong code',
        name: 'too long',
      },
    ));
});

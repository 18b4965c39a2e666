import { t } from '@/i18n';
import type { Errors } from '@/kit/use-form';

export const MIN_PASSWORD = 12;

export interface SetupValues extends Record<string, unknown> {
  code: string;
  email: string;
  name: string;
  password: string;
  workspace: string;
}

export function validateSetup(values: SetupValues): Errors<SetupValues> {
  return {
    code: required(values.code),
    name: required(values.name),
    workspace: required(values.workspace),
    email: emailError(values.email),
    password: passwordError(values.password),
  };
}

export interface SignInValues extends Record<string, unknown> {
  email: string;
  password: string;
}

export function validateSignIn(values: SignInValues): Errors<SignInValues> {
  return {
    email: emailError(values.email),
    password: values.password === '' ? t('auth.required') : undefined,
  };
}

export function required(value: string): string | undefined {
  return value.trim() === '' ? t('auth.required') : undefined;
}

/** Only catches slips; whether the address exists is not for a pattern to say. */
export function emailError(value: string): string | undefined {
  if (value.trim() === '') return t('auth.required');
  return /^[^\s@]+@[^\s@]+$/.test(value.trim()) ? undefined : t('auth.email_invalid');
}

export function passwordError(value: string): string | undefined {
  if (value === '') return t('auth.required');
  return value.length < MIN_PASSWORD ? t('auth.password_short', { length: MIN_PASSWORD }) : undefined;
}

import { ApiError, isRecord } from '@/api/error';
import type { CeremonyOptions, CredentialJson } from '@/api/types';
import { t } from '@/i18n';
import { readPreference, writePreference } from '@/kit/preference';
import { fromBase64Url, toBase64Url } from './base64';
import '@/i18n/lazy/factors';

/** Whether this browser offers passkeys on this page at all. */
export function browserHasPasskeys(): boolean {
  return typeof window.PublicKeyCredential === 'function' && window.isSecureContext;
}

/** Has an authenticator make a passkey. */
export async function createPasskey(options: CeremonyOptions): Promise<CredentialJson> {
  return asJson(await asked(() => navigator.credentials.create({ publicKey: creationOptions(options) })));
}

/** Has an authenticator answer for one of its passkeys. */
export async function askForPasskey(
  options: CeremonyOptions,
  how: { conditional?: boolean; signal?: AbortSignal } = {},
): Promise<CredentialJson> {
  const { signal } = how;
  const request: CredentialRequestOptions = {
    publicKey: requestOptions(options),
    ...(how.conditional ? { mediation: 'conditional' as const } : {}),
    ...(signal ? { signal } : {}),
  };
  return asJson(await asked(() => navigator.credentials.get(request)));
}

const USED = 'passkey.used';

/** This browser knows a passkey of this hub: the sign-in page may offer it by itself. */
export function rememberPasskey(): void {
  writePreference(USED, 'yes');
}

/** Whether the field for the address may offer passkeys: asking for it costs one of the few tries of an address. */
export async function offersByItself(): Promise<boolean> {
  if (!browserHasPasskeys() || readPreference(USED) !== 'yes') return false;
  return (await window.PublicKeyCredential.isConditionalMediationAvailable?.()) ?? false;
}

/** The hub's library wraps its options in `publicKey`; the standard's JSON does not. */
function unwrapped(options: CeremonyOptions): Record<string, unknown> {
  return isRecord(options.publicKey) ? options.publicKey : options;
}

export function creationOptions(options: CeremonyOptions): PublicKeyCredentialCreationOptions {
  const { user, ...rest } = unwrapped(options);
  return {
    ...withBytes(rest, 'excludeCredentials'),
    user: isRecord(user) ? { ...user, id: fromBase64Url(String(user.id)) } : user,
  } as PublicKeyCredentialCreationOptions;
}

export function requestOptions(options: CeremonyOptions): PublicKeyCredentialRequestOptions {
  return withBytes(unwrapped(options), 'allowCredentials') as unknown as PublicKeyCredentialRequestOptions;
}

function withBytes(options: Record<string, unknown>, list: string): Record<string, unknown> {
  const known = options[list];
  return {
    ...options,
    challenge: fromBase64Url(String(options.challenge)),
    ...(Array.isArray(known)
      ? { [list]: known.map((one) => ({ ...one, id: fromBase64Url(String(one.id)) })) }
      : {}),
  };
}

/** Parts of an answer that are bytes; which of them there are says whether it made a passkey or used one. */
const BYTES = [
  'clientDataJSON',
  'attestationObject',
  'authenticatorData',
  'signature',
  'userHandle',
] as const;

export function asJson(credential: PublicKeyCredential): CredentialJson {
  const answer = credential.response as unknown as Record<string, unknown>;
  const response: Record<string, unknown> = {};
  for (const name of BYTES) {
    const value = answer[name];
    if (value instanceof ArrayBuffer) response[name] = toBase64Url(value);
  }
  if (typeof answer.getTransports === 'function')
    response.transports = (credential.response as AuthenticatorAttestationResponse).getTransports();
  const json = {
    id: credential.id,
    rawId: toBase64Url(credential.rawId),
    type: credential.type,
    ...(credential.authenticatorAttachment
      ? { authenticatorAttachment: credential.authenticatorAttachment }
      : {}),
    response,
    clientExtensionResults: credential.getClientExtensionResults(),
  };
  return json as unknown as CredentialJson;
}

async function asked(ask: () => Promise<Credential | null>): Promise<PublicKeyCredential> {
  try {
    const credential = await ask();
    if (credential) return credential as PublicKeyCredential;
  } catch (thrown) {
    if (thrown instanceof DOMException) throw passkeyError(thrown.name, thrown.message);
    throw thrown;
  }
  throw passkeyError('NotAllowedError', '');
}

/** What the browser refused, as an error that can be shown. */
export function passkeyError(name: string, message: string): ApiError {
  const words =
    {
      NotAllowedError: t('factors.passkey.cancelled'),
      AbortError: t('factors.passkey.cancelled'),
      InvalidStateError: t('factors.passkey.already'),
      NotSupportedError: t('factors.passkey.not_supported'),
      ConstraintError: t('factors.passkey.not_supported'),
      SecurityError: t('factors.passkey.wrong_site'),
    }[name] ?? t('factors.passkey.failed', { reason: message || name });
  return new ApiError(400, `passkey_${name}`, words);
}

// TO BE REMOVED once `schema.d.ts` describes these routes (`npm run codegen` after the hub's side is merged): then
// `client.ts` takes `paths` alone and `types.ts` names `Schemas['…']`. Nothing else refers to this file.
import type { components } from './schema';

type Schemas = components['schemas'];

interface Page<T> {
  data: T[];
  next_cursor: string | null;
}

// How somebody signs in.

export interface Provider {
  id: string;
  /** The label of its button. */
  name: string;
}

export interface AuthMethods {
  password: boolean;
  /** False where the hub is called by an IP address: browsers know passkeys for names only. */
  passkeys: boolean;
  /** Whether the hub sends mail. */
  password_reset: boolean;
  providers: Provider[];
}

/** `PublicKeyCredentialCreationOptions` and `PublicKeyCredentialRequestOptions` as JSON, as browsers parse them. */
export type CeremonyOptions = Record<string, unknown>;

export interface Ceremony {
  ceremony_id: string;
  options: CeremonyOptions;
}

/** What an authenticator answered, as `PublicKeyCredential.toJSON` writes it. */
export interface CredentialJson {
  id: string;
  rawId: string;
  type: string;
  authenticatorAttachment?: string;
  response: Record<string, unknown>;
  clientExtensionResults: Record<string, unknown>;
}

export interface PasskeyProof {
  ceremony_id: string;
  credential: CredentialJson;
}

/** One of several second factors. */
interface SecondFactor {
  totp?: string;
  passkey?: PasskeyProof;
}

/** Of an account without a password it is asked for nothing: its session must be fresh instead. */
interface Proof {
  password?: string;
}

export interface Passkey {
  id: string;
  name: string;
  created_at: string;
  last_used_at: string | null;
  /** Whether the authenticator keeps it in more places than one. */
  backed_up: boolean;
}

export interface PasskeyAdded extends Passkey {
  /** For an account that had no second factor before, shown this once. */
  recovery_codes: string[] | null;
}

export interface Identity {
  id: string;
  provider: Provider;
  /** The address or name that the provider told. */
  subject_hint: string;
  created_at: string;
  last_used_at: string | null;
}

export interface Account {
  id: string;
  email: string;
  name: string;
  has_password: boolean;
  has_passkeys: boolean;
}

// The hub as a whole.

export interface Installation {
  version: string;
  public_url: string;
  mail: { host: string; port: number; tls: 'starttls' | 'tls' | 'none'; from: string } | null;
  providers: (Provider & { issuer: string })[];
  passkeys: boolean;
  database: 'sqlite' | 'postgresql';
}

export interface MailTest {
  accepted: boolean;
  /** The mail server's own words. */
  response: string;
}

// What is sent to elsewhere.

export type DeliveryState = 'waiting' | 'delivered' | 'failed';
export type DeliveryChannel = 'webhook' | 'mail';

export interface Delivery {
  id: string;
  channel: DeliveryChannel;
  webhook: { id: string; name: string } | null;
  /** Host of the URL, or the address with most of it hidden. */
  to: string;
  event: string;
  subject: string;
  state: DeliveryState;
  attempts: number;
  next_attempt_at: string | null;
  last_attempt: Omit<DeliveryAttempt, 'response_excerpt'> | null;
  created_at: string;
  finished_at: string | null;
}

export interface DeliveryAttempt {
  at: string;
  status: number | null;
  error: string | null;
  duration_ms: number;
  response_excerpt?: string | null;
}

export interface DeliveryDetail extends Delivery {
  /** Of webhooks only. */
  payload?: unknown;
  attempts_made: DeliveryAttempt[];
}

export interface Webhook {
  id: string;
  name: string;
  url: string;
  /** Actions, `area.*` or `*`. */
  events: string[];
  enabled: boolean;
  /** Whether it may lead to private addresses and use plain http. */
  allow_private: boolean;
  created_at: string;
  /** The id of who made it. */
  created_by: string;
  last_delivery: { state: DeliveryState; at: string } | null;
  disabled_reason: string | null;
  /** Events that were left out because too many waited already. */
  missed: number;
  version: number;
}

export interface WebhookCreated extends Webhook {
  /** Shown this once. */
  secret: string;
}

export interface WebhookForm {
  name: string;
  url: string;
  events: string[];
  enabled?: boolean;
  allow_private?: boolean;
}

// The routes, in the shape of the generated ones.

interface Parameters {
  query?: Record<string, string | number | undefined>;
  header?: Record<string, string | undefined>;
  path?: Record<string, string>;
}
interface NoParameters {
  query?: never;
  header?: never;
  path?: never;
  cookie?: never;
}
interface WithId {
  path: { id: string };
}
type Answer<T> = {
  200: {
    headers: Record<string, unknown>;
    content: [T] extends [never] ? never : { 'application/json': T };
  };
};
interface Ask<T, P = NoParameters> {
  parameters: P;
  requestBody?: never;
  responses: Answer<T>;
}
interface Send<B, T, P = NoParameters> {
  parameters: P;
  requestBody: { content: { 'application/json': B } };
  responses: Answer<T>;
}
interface PageQuery extends Parameters {
  limit?: number;
  cursor?: string;
}

export interface PendingPaths {
  '/v1/account': {
    get: Ask<Account>;
    patch: Send<Schemas['AccountPatch'], Schemas['User']>;
  };
  '/v1/account/identities': { get: Ask<Page<Identity>> };
  '/v1/account/identities/{id}': { delete: Ask<never, WithId> };
  '/v1/account/identities/{provider}/link': {
    post: Send<Record<string, never>, { location: string }, { path: { provider: string } }>;
  };
  '/v1/account/passkeys': {
    get: Ask<Page<Passkey>>;
    post: Send<PasskeyProof & { name?: string }, PasskeyAdded>;
  };
  '/v1/account/passkeys/begin': { post: Send<Record<string, never>, Ceremony> };
  '/v1/account/passkeys/{id}': {
    patch: Send<{ name: string }, Passkey, WithId>;
    delete: Ask<never, WithId>;
  };
  '/v1/account/password': {
    post: Send<{ current_password?: string; new_password: string }, never>;
  };
  '/v1/account/totp': {
    get: Ask<Schemas['TotpState']>;
    post: Send<Proof, Schemas['TotpStarted']>;
    delete: Send<Proof & SecondFactor, never>;
  };
  '/v1/account/totp/recovery-codes': {
    post: Send<Proof & SecondFactor, Schemas['RecoveryCodes']>;
  };
  '/v1/team/transfer': { post: Send<Proof & { user_id: string }, never> };
  '/v1/auth/login': {
    post: Send<{ email: string; password: string } & SecondFactor, Schemas['SignedIn']>;
  };
  '/v1/auth/methods': { get: Ask<AuthMethods> };
  '/v1/auth/oidc/complete': { post: Send<SecondFactor, Schemas['SignedIn']> };
  '/v1/auth/passkey': { post: Send<PasskeyProof, Schemas['SignedIn']> };
  '/v1/auth/passkey/begin': { post: Send<Record<string, never>, Ceremony> };
  '/v1/auth/password-reset': { post: Send<{ email: string }, unknown> };
  '/v1/auth/password-reset/complete': {
    post: Send<{ token: string; password: string } & SecondFactor, unknown>;
  };
  '/v1/auth/step-up': { post: Send<Proof & SecondFactor, Schemas['SteppedUp']> };
  '/v1/auth/step-up/begin': { post: Send<Record<string, never>, Ceremony> };
  '/v1/invites/accept': {
    post: Send<
      { token: string; password: string; name?: string; passkey?: PasskeyProof; totp?: string },
      Schemas['SignedIn']
    >;
  };
  '/v1/deliveries': {
    get: Ask<
      Page<Delivery>,
      {
        query?: {
          channel?: DeliveryChannel;
          state?: DeliveryState;
          webhook_id?: string;
          limit?: number;
          cursor?: string;
        };
      }
    >;
  };
  '/v1/deliveries/{id}': { get: Ask<DeliveryDetail, WithId> };
  '/v1/deliveries/{id}/retry': { post: Ask<unknown, WithId> };
  '/v1/installation': { get: Ask<Installation> };
  '/v1/installation/mail-test': { post: Send<{ to: string }, MailTest> };
  '/v1/outgoing-webhooks': {
    get: Ask<Page<Webhook>, { query?: PageQuery }>;
    post: Send<WebhookForm, WebhookCreated, { header?: { 'idempotency-key'?: string } }>;
  };
  '/v1/outgoing-webhooks/{id}': {
    get: Ask<Webhook, WithId>;
    patch: Send<Partial<WebhookForm>, Webhook, WithId & { header?: { 'If-Match'?: string } }>;
    delete: Ask<never, WithId>;
  };
  '/v1/outgoing-webhooks/{id}/rotate-secret': { post: Ask<WebhookCreated, WithId> };
  '/v1/outgoing-webhooks/{id}/test': { post: Ask<Delivery, WithId> };
}

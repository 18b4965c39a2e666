// Short names for the generated schemas, so that the rest of the app does not spell out `components[…]`.
import type { components } from './schema';

type Schemas = components['schemas'];

export type {
  Account,
  AuthMethods,
  Ceremony,
  CeremonyOptions,
  CredentialJson,
  Delivery,
  DeliveryAttempt,
  DeliveryChannel,
  DeliveryDetail,
  DeliveryState,
  Identity,
  Installation,
  MailTest,
  Passkey,
  PasskeyAdded,
  PasskeyProof,
  Provider,
  Webhook,
  WebhookCreated,
  WebhookForm,
} from './pending';

export type Session = Schemas['SignedIn'];
export type AccountSession = Schemas['AccountSession'];
export type Server = Schemas['Server'];
export type ServerDetail = Schemas['ServerDetail'];
export type ServerStatus = Schemas['ServerStatus'];
export type ServerTotals = Schemas['Totals'];
export type Live = Schemas['Live'];
export type Metrics = Schemas['Metrics'];
export type InstallToken = Schemas['InstallToken'];
export type InstallTokenCreated = Schemas['MintedToken'];
export type Job = Schemas['Job'];
export type JobCreate = Schemas['JobCreate'];
export type JobLimits = Schemas['JobLimits'];
export type JobSigning = Schemas['JobSigning'];
export type JobState = Schemas['JobState'];
export type ExecArgs = Schemas['ExecArgs'];
export type LogPage = Schemas['LogPage'];
export type LogChunk = Schemas['LogChunk'];
export type LogMatch = Schemas['LogMatch'];
export type LogMatches = Schemas['LogMatches'];
export type JobBatch = Schemas['JobBatch'];
export type JobBatchCreate = Schemas['JobBatchCreate'];
export type JobBatchState = Schemas['JobBatchState'];
export type BatchServer = Schemas['JobBatchServer'];
export type BatchStrategy = Schemas['JobBatchStrategyCreate'];
export type BatchSelector = Schemas['JobBatchSelector'];
export type OperatorKey = Schemas['OperatorKey'];
export type OperatorName = Schemas['PolicyOperator'];
export type Tier = Schemas['Tier'];
export type Policy = Schemas['Policy'];
export type PolicyRules = Schemas['PolicyRules'];
export type AuditEntry = Schemas['AuditRecord'];
export type Held = Schemas['Held'];
export type Scope = Schemas['Scope'];
export type Granted = Schemas['Granted'];
export type Grant = Schemas['Grant'];
export type GrantForm = Schemas['GrantForm'];
export type Grantable = Schemas['Grantable'];
export type BuiltInRole = Schemas['BuiltInRole'];
export type Member = Schemas['Member'];
export type Role = Schemas['Role'];
export type Invite = Schemas['Invite'];
export type InviteCreated = Schemas['InviteCreated'];
export type InviteOffer = Schemas['InviteOffer'];
export type Project = Schemas['Project'];
export type ApiKey = Schemas['ApiKey'];
export type ApiKeyCreated = Schemas['ApiKeyCreated'];
export type Workspace = Schemas['Workspace'];
export type Tenant = Schemas['Tenant'];
export type Plan = Schemas['Plan'];
export type PlanForm = Schemas['PlanForm'];
export type AuditVerification = Schemas['AuditVerification'];
export type AuditResult = Schemas['AuditResult'];

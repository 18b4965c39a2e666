// Short names for the generated schemas, so that the rest of the app does not spell out `components[…]`.
import type { components } from './schema';

type Schemas = components['schemas'];

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

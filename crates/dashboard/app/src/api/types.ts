// Short names for the generated schemas, so that the rest of the app does not spell out `components[…]`.
import type * as pending from './pending-schema';
import type { components } from './schema';

type Schemas = components['schemas'];

export type Session = Schemas['SignedIn'];
export type AccountSession = Schemas['AccountSession'];
export type Server = pending.Server;
export type ServerDetail = pending.ServerDetail;
export type ServerStatus = Schemas['ServerStatus'];
export type ServerTotals = Schemas['Totals'];
export type Live = Schemas['Live'];
export type Metrics = Schemas['Metrics'];
export type InstallToken = Schemas['InstallToken'];
export type InstallTokenCreated = Schemas['MintedToken'];
export type Job = pending.Job;
export type JobCreate = pending.JobCreate;
export type JobLimits = pending.JobLimits;
export type JobSigning = pending.JobSigning;
export type JobState = Schemas['JobState'];
export type ExecArgs = pending.ExecArgs;
export type LogPage = Schemas['LogPage'];
export type LogChunk = Schemas['LogChunk'];
export type LogMatch = pending.LogMatch;
export type LogMatches = pending.LogMatches;
export type JobBatch = pending.JobBatch;
export type JobBatchCreate = pending.JobBatchCreate;
export type JobBatchState = pending.JobBatchState;
export type BatchServer = pending.BatchServer;
export type BatchStrategy = pending.BatchStrategy;
export type BatchSelector = pending.BatchSelector;
export type OperatorKey = pending.OperatorKey;
export type OperatorName = pending.OperatorName;
export type Tier = pending.Tier;
export type Policy = pending.Policy;
export type PolicyRules = pending.PolicyRules;
export type AuditEntry = Schemas['AuditRecord'];

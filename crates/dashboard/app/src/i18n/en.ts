import { account } from './en/account';
import { api_keys } from './en/api-keys';
import { audit } from './en/audit';
import { auth } from './en/auth';
import { batches } from './en/batches';
import { jobs } from './en/jobs';
import { chart, common, error, log, status, time } from './en/kit';
import { overview } from './en/overview';
import { policy } from './en/policy';
import { projects } from './en/projects';
import { servers } from './en/servers';
import { shell } from './en/shell';
import { signing } from './en/signing';
import { invited, rights, team } from './en/team';

/** Every string of the dashboard in English; the keys are checked by the compiler. */
export const en = {
  account,
  api_keys,
  audit,
  auth,
  batches,
  chart,
  common,
  error,
  invited,
  jobs,
  log,
  overview,
  policy,
  projects,
  rights,
  servers,
  shell,
  signing,
  status,
  team,
  time,
} as const;

import { account } from './en/account';
import { audit } from './en/audit';
import { auth } from './en/auth';
import { batches } from './en/batches';
import { jobs } from './en/jobs';
import { chart, common, error, log, status, time } from './en/kit';
import { overview } from './en/overview';
import { policy } from './en/policy';
import { servers } from './en/servers';
import { shell } from './en/shell';
import { signing } from './en/signing';

/** Every string of the dashboard in English; the keys are checked by the compiler. */
export const en = {
  account,
  audit,
  auth,
  batches,
  chart,
  common,
  error,
  jobs,
  log,
  overview,
  policy,
  servers,
  shell,
  signing,
  status,
  time,
} as const;

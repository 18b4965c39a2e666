import { account } from './en/account';
import { audit } from './en/audit';
import { auth } from './en/auth';
import { jobs } from './en/jobs';
import { chart, common, error, log, status, time } from './en/kit';
import { overview } from './en/overview';
import { servers } from './en/servers';
import { shell } from './en/shell';

/** Every string of the dashboard in English; the keys are checked by the compiler. */
export const en = {
  account,
  audit,
  auth,
  chart,
  common,
  error,
  jobs,
  log,
  overview,
  servers,
  shell,
  status,
  time,
} as const;

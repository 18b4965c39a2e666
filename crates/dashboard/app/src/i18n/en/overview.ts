export const overview = {
  add_first: 'Add your first server',
  all_jobs: 'All jobs',
  counters: 'Servers by status',
  latest_jobs: 'Latest jobs',
  no_jobs: 'Nothing has been run yet.',
  nothing_body: 'You are a member of this workspace, and hold nothing in it. Ask whoever invited you.',
  nothing_title: 'Nothing was granted to you yet',
  quiet: 'All quiet. Nothing needs you right now.',
  signature: 'To sign',
  title: 'Overview',
  to_sign_many: 'More than {{count}} jobs wait for a signature',
  to_sign_one: '{{count}} job waits for a signature',
  to_sign_other: '{{count}} jobs wait for a signature',
  trouble: 'Needs attention',
  welcome_body:
    'Paste one line on a VPS, and a few seconds later it is here: live metrics, commands and their output. No inbound port is opened.',
  welcome_title: 'Your hub is ready',
} as const;

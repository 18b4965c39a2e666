export const common = {
  add: 'Add',
  back: 'Back',
  cancel: 'Cancel',
  clear: 'Clear',
  close: 'Close',
  copied: 'Copied',
  copy: 'Copy',
  delete: 'Delete',
  loading: 'Loading',
  load_more: 'Load more',
  more: 'More',
  none: 'None',
  optional: 'optional',
  remove: 'Remove',
  retry: 'Retry',
  save: 'Save',
  show_choices: 'Show choices',
  try_again: 'Try again',
  type_to_confirm: 'Type “{{name}}” to confirm',
} as const;

export const time = {
  ago: '{{span}} ago',
  ahead: 'in {{span}}',
  just_now: 'just now',
} as const;

export const error = {
  copy_details: 'Copy details',
  crash_body:
    'This is a fault of the dashboard. Reloading usually helps; what you did on your servers is not affected.',
  crash_title: 'This page stopped working',
  forbidden_body: 'Your role does not include this. Ask an owner or administrator of the workspace.',
  forbidden_title: 'You may not see this',
  not_found_body: 'It may have been deleted, or the link is incomplete.',
  not_found_title: 'Nothing here',
  reload: 'Reload',
  title: 'That did not work',
  unreachable_body: 'The hub does not answer. It may be restarting; check your network, then try again.',
  unreachable_title: 'Cannot reach the hub',
} as const;

export const status = {
  server: {
    online: 'Online',
    suspect: 'Suspect',
    offline: 'Offline',
    pending: 'Pending',
    revoked: 'Revoked',
  },
  job: {
    queued: 'Queued',
    awaiting_signature: 'Awaiting signature',
    sent: 'Sent',
    running: 'Running',
    reconciling: 'Reconnecting',
    succeeded: 'Succeeded',
    failed: 'Failed',
    cancelled: 'Cancelled',
    timed_out: 'Timed out',
    interrupted: 'Interrupted',
    expired: 'Expired',
    lost: 'Lost',
    rejected: 'Rejected',
  },
} as const;

export const chart = {
  no_data: 'No data in this range',
  show_chart: 'Show as chart',
  show_table: 'Show as table',
  summary: '{{label}}: between {{low}} and {{high}}, last {{last}}',
  time: 'Time',
} as const;

export const log = {
  clear_selection: 'Clear selection',
  copy_link: 'Copy link',
  copy_text: 'Copy text',
  download: 'Download the log',
  download_all: 'Download the whole log',
  follow: 'Follow',
  gap: '⋯ {{size}} of output were dropped here ⋯',
  line_picked: 'Line {{number}}',
  lines: 'Log lines',
  lines_picked: 'Lines {{first}}–{{last}}',
  lost: 'Connection lost, again in {{seconds}} s',
  new_lines_one: '{{count}} new line',
  new_lines_other: '{{count}} new lines',
  next_match: 'Next match (Enter)',
  no_match: 'No match',
  pause: 'Pause',
  phase: {
    connecting: 'Connecting…',
    live: 'Live',
    ended: 'Complete',
  },
  pick_line: 'Line {{number}}',
  previous_match: 'Previous match (Shift+Enter)',
  search: 'Search the log',
  search_partial: 'in the newest {{lines}} lines',
  size_one: '{{lines}} line · {{size}}',
  size_other: '{{lines}} lines · {{size}}',
  start_dropped: 'The first {{lines}} lines are no longer shown here.',
  start_not_loaded: 'The first {{size}} are not shown here.',
  timestamps: 'Timestamps',
  wrap: 'Wrap long lines',
} as const;

import { addWords } from '@/i18n';

export const deliveries = {
  again: 'Send again',
  again_done: 'It is sent again.',
  answer: 'Answer',
  attempt: 'Attempt',
  attempts: 'Attempts',
  attempts_none: 'Not tried yet.',
  attempts_of: '{{count}} of 12',
  body: 'What was sent to elsewhere, and what is still to be: listed for 30 days.',
  channel: { label: 'Kind', mail: 'Mail', webhook: 'Webhook' },
  column: { attempts: 'Attempts', event: 'Event', state: 'State', to: 'To', when: 'Made' },
  error: 'Error',
  filter_all: 'All',
  finished: 'Ended',
  made: 'Made',
  next: 'Next attempt',
  no_answer: 'No answer',
  none_body: 'What is sent will be listed here.',
  none_match_body: 'No delivery fits these filters.',
  none_match_title: 'No match',
  none_title: 'Nothing sent yet',
  payload: 'What is sent',
  payload_mail: 'What a mail says is not kept here: it is for its reader alone.',
  response: 'Start of the answer',
  state: { delivered: 'Delivered', failed: 'Failed', waiting: 'Waiting' },
  state_means: {
    delivered: 'The receiver took it.',
    failed: 'It was given up. It can be sent again.',
    waiting: 'It is tried until it arrives, at longer and longer intervals, for a day at most.',
  },
  subject: 'About',
  title: 'Deliveries',
  took: 'Took',
  webhook: 'Webhook',
} as const;

addWords({ deliveries });

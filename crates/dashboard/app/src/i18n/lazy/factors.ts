import { addWords } from '@/i18n';

/** Ways to show who one is, besides a password. */
export const factors = {
  account: {
    no_password: 'This account has none: a passkey or a provider signs you in. You may set one.',
    password_set: 'Your password is set.',
    sessions_end: 'End all others',
    sessions_end_body: 'Every device but this one is signed out at once, on open pages too.',
    sessions_end_title: 'End all other sessions?',
    sessions_ended: 'All other sessions ended.',
    set_password: 'Set a password',
  },
  codes_or_passkey: 'This account has a second factor.',
  email: {
    body: 'You sign in with {{email}}.',
    change: 'Change address',
    change_body:
      'Where the hub sends mail, a link goes to the new address, and it counts once you opened that within 30 minutes. Your other sessions end then.',
    change_title: 'Change your e-mail address',
    changed: 'You sign in with {{email}} now.',
    confirm: 'Use this address',
    confirm_body:
      'Your account signs in with the address that this link was mailed to. Its other sessions end.',
    confirm_title: 'Confirm your e-mail address',
    done: 'You sign in with the new address from now on.',
    gone: 'This link was used, is older than 30 minutes, or your password was changed since.',
    new: 'New address',
    pending:
      'A link was mailed to {{pending}}. Open it within 30 minutes; until then you sign in with {{email}}. To end it, change your password or ask for another address.',
    title: 'E-mail address',
    to_account: 'To my account',
  },
  forgot: {
    again: 'Send another',
    body: 'We send a link to the address of your account. It works once, for 30 minutes.',
    link: 'Lost your password?',
    no_mail: 'This hub sends no mail. Somebody with access to its machine can set a new password.',
    send: 'Send link',
    sent: 'If there is an account with {{email}}, a mail is on its way. Look into the spam folder too.',
    sent_title: 'Look into your mailbox',
    title: 'Set a new password',
  },
  identity: {
    body: 'Accounts elsewhere that sign you in here.',
    link: 'Link {{name}}',
    linked: 'Linked',
    never_used: 'Never used',
    none: 'None is linked.',
    title: 'Sign-in providers',
    unlink: 'Unlink',
    unlink_body: 'It signs you in no more. What you hold here because of it goes at your next sign-in.',
    unlink_title: 'Unlink {{name}}?',
    unlinked: '{{name}} was unlinked.',
  },
  oidc: {
    another: 'Sign in another way',
    code_title: 'One more step',
    code_body: 'You were recognised. This account has a second factor.',
    error: {
      oidc_address_taken:
        'There is an account with your address already. Sign in with your password, then link the provider on your account’s page.',
      oidc_denied: 'The provider did not let you in, or you cancelled there.',
      oidc_expired: 'That took too long, or the page was opened twice. Start again.',
      oidc_failed:
        'The provider’s answer could not be used. Try again; if it stays so, whoever runs this hub finds the reason in its log.',
      oidc_identity_taken:
        'Another account here is linked with that account of the provider. It can be linked with one only.',
      oidc_second_factor: 'This account has a second factor.',
      oidc_unknown_account:
        'The provider knows you, this hub does not. Ask somebody of your team for an invitation.',
      other: 'Signing in with the provider did not work.',
    },
    return_title: 'Back from the provider',
    with: 'Continue with {{name}}',
  },
  or: 'or',
  passkey: {
    add: 'Add a passkey',
    add_body:
      'Your browser asks where to keep it: in this device, a phone, a password manager or a security key.',
    add_go_on: 'Go on',
    added: 'Added',
    added_done: '{{name}} was added.',
    already: 'This device keeps a passkey of your account already.',
    backed_up: 'Kept in several places',
    body: 'Fingerprint, face or PIN of a device instead of a password. It cannot be guessed, and works on this site only.',
    cancelled: 'It was cancelled, or took too long. Nothing was changed.',
    failed: 'Your browser could not do it: {{reason}}',
    last_used: 'Last used',
    name: 'Name',
    name_hint: 'Where it is kept, such as “Laptop” or “blue key”.',
    never_used: 'Never used',
    no_address:
      'Not offered here: this hub is reached by an IP address ({{host}}), and browsers know passkeys for names only. Once the hub has a name, they can be added.',
    no_browser: 'This browser offers no passkeys on this page.',
    none: 'None yet.',
    not_supported: 'This device has nothing that could keep such a passkey.',
    one_place: 'In one place only',
    remove_body: 'It signs you in no more. What your device kept of it stays there and is worth nothing.',
    remove_title: 'Remove {{name}}?',
    removed: '{{name}} was removed.',
    rename: 'Rename',
    rename_title: 'Rename this passkey',
    renamed: 'The passkey is called {{name}} now.',
    sign_in: 'Sign in with a passkey',
    title: 'Passkeys',
    unknown: 'This hub does not know that passkey. It may have been removed.',
    use: 'Use a passkey',
    wrong_site: 'Passkeys do not work under this address of the hub.',
  },
  recovery: {
    field: 'Or a recovery code',
    field_hint: 'If you do not have the device with your passkey.',
    after_passkey: 'It is your second factor from now on, so keep these recovery codes as well.',
    with_passkey: 'Off. Your passkeys are your second factor.',
  },
  refused: {
    code: 'E-mail, password or code is wrong. A code works once.',
    second: 'That was not accepted. A code works once.',
  },
  reset: {
    body: 'All your sessions end, and you sign in anew.',
    done: 'Your new password is set. Every session of your account has ended.',
    done_title: 'Done',
    gone: 'This link was used or is older than 30 minutes.',
    gone_title: 'This link does not work any more',
    password: 'New password',
    set: 'Set password',
    short: 'The link is incomplete. Copy it again as a whole, with everything after the #.',
    title: 'Set a new password',
  },
  step_up: {
    no_way:
      'Your account has nothing that could show it is you. Sign out and in again, then repeat what you wanted to do.',
    with_provider: 'Confirm with {{name}}',
    with_provider_body:
      'You go to {{name}} and come back to this page. What you were about to do is not done yet: do it again then.',
  },
} as const;

addWords({ factors });

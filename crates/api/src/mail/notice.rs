//! Everything that the hub writes to people: one variant, one file of text.

use crate::clock::Timestamp;

/// What to write.
#[derive(Debug, Clone, Copy)]
pub enum Notice<'a> {
    /// A link to choose another password with.
    PasswordReset {
        /// The link, a secret.
        link: &'a str,
        /// Where the request came from.
        ip: &'a str,
    },
    /// A link to join a workspace with.
    Invitation {
        /// Its name.
        workspace: &'a str,
        /// Who invites.
        inviter: &'a str,
        /// The link, a secret.
        link: &'a str,
        /// Until when it works.
        expires: Timestamp,
    },
    /// The password is another one.
    PasswordChanged {
        /// By which way.
        how: &'a str,
    },
    /// A link to confirm an address with, written to it.
    EmailChangeLink {
        /// The link, a secret.
        link: &'a str,
        /// Where the request came from.
        ip: &'a str,
    },
    /// Another address was asked for; written to the one before.
    EmailChangeAsked {
        /// The other one.
        new: &'a str,
        /// Where the request came from.
        ip: &'a str,
    },
    /// The address is another one; written to both.
    EmailChanged {
        /// Before.
        old: &'a str,
        /// Now.
        new: &'a str,
        /// Where the change came from.
        ip: &'a str,
    },
    /// One-time codes are on.
    TotpEnabled,
    /// One-time codes are off.
    TotpDisabled {
        /// By which way.
        how: &'a str,
    },
    /// A recovery code was used up.
    RecoveryCodeUsed {
        /// How many are left.
        left: i64,
    },
    /// The account has another passkey.
    PasskeyAdded {
        /// Its name.
        passkey: &'a str,
    },
    /// The account has a passkey less.
    PasskeyRemoved {
        /// Its name.
        passkey: &'a str,
    },
    /// All passkeys of the account are gone.
    PasskeysRemoved {
        /// How many.
        count: u64,
        /// By which way.
        how: &'a str,
    },
    /// Somebody whom an identity provider knows signs in to the account.
    IdentityLinked {
        /// What the provider is called.
        provider: &'a str,
        /// Who they are there.
        identity: &'a str,
    },
    /// Somebody whom an identity provider knows does not any more.
    IdentityUnlinked {
        /// What the provider is called.
        provider: &'a str,
        /// Who they are there.
        identity: &'a str,
    },
    /// Somebody signed in from where nobody did before.
    NewSignIn {
        /// Where from.
        ip: &'a str,
        /// With which program.
        agent: &'a str,
    },
    /// A key acts for the person.
    ApiKeyMade {
        /// Its name.
        key: &'a str,
        /// Where.
        workspace: &'a str,
        /// Where the request came from.
        ip: &'a str,
    },
    /// A webhook that the person made is not called any more.
    WebhookDisabled {
        /// Its name.
        webhook: &'a str,
        /// Where.
        workspace: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// Nothing: to see whether mail works.
    Test,
}

/// Fewer recovery codes than this are few.
const FEW: i64 = 3;

impl<'a> Notice<'a> {
    /// What it is called in lists, and its file.
    pub(super) const fn template(&self) -> (&'static str, &'static str) {
        macro_rules! file {
            ($name:literal) => {
                ($name, include_str!(concat!("templates/", $name, ".txt")))
            };
        }
        match self {
            Self::PasswordReset { .. } => file!("password_reset"),
            Self::Invitation { .. } => file!("invitation"),
            Self::PasswordChanged { .. } => file!("password_changed"),
            Self::EmailChangeLink { .. } => file!("email_change_link"),
            Self::EmailChangeAsked { .. } => file!("email_change_asked"),
            Self::EmailChanged { .. } => file!("email_changed"),
            Self::TotpEnabled => file!("totp_enabled"),
            Self::TotpDisabled { .. } => file!("totp_disabled"),
            Self::RecoveryCodeUsed { .. } => file!("recovery_code_used"),
            Self::PasskeyAdded { .. } => file!("passkey_added"),
            Self::PasskeyRemoved { .. } => file!("passkey_removed"),
            Self::PasskeysRemoved { .. } => file!("passkeys_removed"),
            Self::IdentityLinked { .. } => file!("identity_linked"),
            Self::IdentityUnlinked { .. } => file!("identity_unlinked"),
            Self::NewSignIn { .. } => file!("new_sign_in"),
            Self::ApiKeyMade { .. } => file!("api_key_made"),
            Self::WebhookDisabled { .. } => file!("webhook_disabled"),
            Self::Test => file!("test"),
        }
    }

    /// Whether it counts among the letters that somebody gets in a day. What has a limit of its own does not: letters that
    /// anybody can cause must not use up those that warn.
    pub(super) const fn is_counted(&self) -> bool {
        !matches!(self, Self::PasswordReset { .. })
    }

    /// What stands for the words in braces, besides `name`, `hub` and `at`.
    pub(super) fn values(&self) -> Vec<(&'static str, String)> {
        let text = |name: &'static str, value: &'a str| (name, value.to_owned());
        match *self {
            Self::PasswordReset { link, ip } | Self::EmailChangeLink { link, ip } => {
                vec![text("link", link), text("ip", ip)]
            }
            Self::Invitation { workspace, inviter, link, expires } => vec![
                text("workspace", workspace),
                text("inviter", inviter),
                text("link", link),
                ("expires", moment(expires)),
            ],
            Self::PasswordChanged { how } | Self::TotpDisabled { how } => vec![text("how", how)],
            Self::EmailChangeAsked { new, ip } => vec![text("new", new), text("ip", ip)],
            Self::EmailChanged { old, new, ip } => vec![text("old", old), text("new", new), text("ip", ip)],
            Self::TotpEnabled | Self::Test => Vec::new(),
            Self::RecoveryCodeUsed { left } => {
                let advice = if left <= FEW { "Make new ones soon, under Account." } else { "" };
                vec![("left", left.to_string()), text("advice", advice)]
            }
            Self::PasskeyAdded { passkey } | Self::PasskeyRemoved { passkey } => vec![text("passkey", passkey)],
            Self::PasskeysRemoved { count, how } => vec![("count", count.to_string()), text("how", how)],
            Self::IdentityLinked { provider, identity } | Self::IdentityUnlinked { provider, identity } => {
                vec![text("provider", provider), text("identity", identity)]
            }
            Self::NewSignIn { ip, agent } => {
                vec![text("ip", ip), text("agent", if agent.is_empty() { "an unknown program" } else { agent })]
            }
            Self::ApiKeyMade { key, workspace, ip } => {
                vec![text("key", key), text("workspace", workspace), text("ip", ip)]
            }
            Self::WebhookDisabled { webhook, workspace, reason } => {
                vec![text("webhook", webhook), text("workspace", workspace), text("reason", reason)]
            }
        }
    }
}

/// A moment for people: to the minute, in UTC.
pub(super) fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(time)) => format!("{day} {time} UTC"),
        _ => text,
    }
}

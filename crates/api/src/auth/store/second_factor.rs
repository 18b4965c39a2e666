//! Whether somebody has the second factor that a workspace requires is asked in two places: where rights are read
//! (`access/store.rs`), and where somebody without rights is told why. They must never disagree.

use protocol::{UserId, WorkspaceId};
use uuid::Uuid;

use super::{must_enroll, provider_asks_both};
use crate::access;
use crate::db::testing::both;
use crate::db::{Conn, Db};

/// A way that somebody may have come by, and proofs that they may have.
#[derive(Debug, Clone, Copy)]
struct Account {
    password: bool,
    /// `Some(false)`: begun and not confirmed.
    totp: Option<bool>,
    passkey: bool,
    identity_of_both: bool,
    identity_of_one: bool,
}

impl Account {
    fn all() -> Vec<Self> {
        let bits = 0..16_u32;
        let bit = |bits: u32, place: u32| bits & (1 << place) != 0;
        bits.flat_map(|bits| {
            [None, Some(false), Some(true)].map(|totp| Self {
                password: bit(bits, 0),
                totp,
                passkey: bit(bits, 1),
                identity_of_both: bit(bits, 2),
                identity_of_one: bit(bits, 3),
            })
        })
        .collect()
    }

    /// By hand, as the documentation says it.
    const fn is_enough(self) -> bool {
        let own = matches!(self.totp, Some(true)) || self.passkey;
        own || (self.identity_of_both && !self.identity_of_one && !self.password)
    }

    fn rows(self, user: &str) -> Vec<String> {
        let hash = if self.password { "hash" } else { "" };
        let mut rows = vec![format!(
            "insert into users (id, email, email_key, name, password_hash, created_at)
             values ('{user}', '{user}', '{user}', 'Ann', '{hash}', 0)"
        )];
        for workspace in [REQUIRING, OTHER] {
            rows.push(format!(
                "insert into members (workspace_id, user_id, created_at) values ('{workspace}', '{user}', 0)"
            ));
            rows.push(format!(
                "insert into grants (id, workspace_id, user_id, role, created_at)
                 values ('{workspace}{user}', '{workspace}', '{user}', 'viewer', 0)"
            ));
        }
        if let Some(confirmed) = self.totp {
            let at = if confirmed { "1" } else { "null" };
            rows.push(format!(
                "insert into totp (user_id, sealed_secret, enabled_at, last_step) values ('{user}', 's', {at}, 0)"
            ));
        }
        if self.passkey {
            rows.push(format!(
                "insert into passkeys (id, user_id, credential_id, name, record, sign_count, backup_eligible, backed_up,
                                       created_at)
                 values ('{user}', '{user}', '{user}', 'key', '{{}}', 0, false, false, 0)"
            ));
        }
        for (is_there, both) in [(self.identity_of_both, true), (self.identity_of_one, false)] {
            if is_there {
                rows.push(format!(
                    "insert into identities (id, user_id, provider, issuer, subject, hint, both_factors, created_at,
                                             last_used_at)
                     values ('{user}{both}', '{user}', 'company', '{both}', '{user}', '', {both}, 0, 0)"
                ));
            }
        }
        rows
    }
}

const REQUIRING: &str = "00000000-0000-0000-0000-000000000001";
const OTHER: &str = "00000000-0000-0000-0000-000000000002";

async fn write(db: &Db, rows: Vec<String>) {
    let mut tx = db.write().await.unwrap();
    for row in rows {
        tx.conn().query_built(row).execute().await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn lacks_one(conn: &mut Conn<'_>, workspace: &str, user: UserId) -> (bool, bool) {
    let workspace: WorkspaceId = workspace.parse().unwrap();
    let rights = access::rights_of(conn, workspace, user).await.unwrap();
    let told = must_enroll(conn, workspace, user).await.unwrap() && !provider_asks_both(conn, user).await.unwrap();
    (rights.held().is_empty(), told)
}

#[tokio::test]
async fn who_holds_nothing_for_want_of_a_second_factor_is_told_so_and_nobody_else() {
    for database in both().await {
        let workspaces = [(REQUIRING, true), (OTHER, false)].map(|(id, requires)| {
            format!("insert into workspaces (id, name, created_at, require_totp) values ('{id}', 'w', 0, {requires})")
        });
        write(&database.main, workspaces.to_vec()).await;
        for (number, account) in (1..).zip(Account::all()) {
            let user = UserId::new(Uuid::from_u128(number));
            write(&database.main, account.rows(&user.to_string())).await;
            let mut session = database.main.read().await.unwrap();
            let lacks = !account.is_enough();
            assert_eq!(lacks_one(&mut session.conn(), REQUIRING, user).await, (lacks, lacks), "{account:?}");
            assert_eq!(lacks_one(&mut session.conn(), OTHER, user).await, (false, false), "{account:?}");
        }
    }
}

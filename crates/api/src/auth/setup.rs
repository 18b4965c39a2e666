//! The first owner: whoever can read the hub's log or its command line.

use std::fmt;

use serde_json::json;

use super::model::{Email, NewPassword, PersonName, User};
use super::sign_in::{SignedIn, open_session};
use super::{attempts, store, typed};
use crate::access::{Actor, Principal, RequestOrigin, Rights};
use crate::audit::{Outcome, Subject};
use crate::db::DbError;
use crate::error::{Error, Result};
use crate::hub::{Hub, Unit};
use crate::installation::{self, Fact};
use crate::workspaces::{self, Workspace, WorkspaceName};

/// 12 digits of 5 bits.
const CODE_DIGITS: usize = 12;
/// Under which name attempts at the code are counted; no e-mail address looks like it.
const THROTTLE_ACCOUNT: &str = "set-up";

/// Proves that its reader can see the hub's log: `XXXX-XXXX-XXXX`. Only its digest is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct SetupCode(String);

impl SetupCode {
    fn new(random: [u8; CODE_DIGITS]) -> Self {
        Self(typed::of_bytes(random))
    }

    fn parse(text: &str) -> Option<Self> {
        typed::read(text, CODE_DIGITS).map(Self)
    }

    fn digest(&self) -> String {
        protocol::hex::encode(crate::secret::sha256(self.0.as_bytes()).as_bytes())
    }

    /// The code for people to read.
    #[must_use]
    pub fn reveal(&self) -> String {
        typed::grouped(&self.0)
    }
}

impl fmt::Debug for SetupCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetupCode(…)")
    }
}

/// An owner to be.
#[derive(Debug)]
pub struct NewOwner {
    /// Signs in with.
    pub email: Email,
    /// Is called.
    pub name: PersonName,
    /// Signs in with.
    pub password: NewPassword,
    /// Owns.
    pub workspace: WorkspaceName,
}

/// Whether nobody owns this hub yet.
pub(super) async fn needs_setup(hub: &Hub) -> Result<bool> {
    let mut database = hub.db.read().await?;
    Ok(installation::get(&mut database.conn(), Fact::Owned).await?.is_none())
}

/// Makes a new set-up code, valid until the next one; `None` when somebody owns this hub. To be shown in log and
/// terminal.
///
/// # Errors
/// When the database cannot be used.
pub async fn prepare_setup(hub: &Hub) -> Result<Option<SetupCode>> {
    if !needs_setup(hub).await? {
        return Ok(None);
    }
    let code = SetupCode::new(hub.random.bytes());
    let mut unit = hub.begin().await?;
    installation::put(&mut unit.conn(), Fact::SetupCode, code.digest()).await?;
    unit.commit().await?;
    Ok(Some(code))
}

/// Creates the first owner, who is signed in at once.
pub(super) async fn set_up(
    hub: &Hub,
    origin: RequestOrigin,
    code: &str,
    owner: NewOwner,
) -> Result<(SignedIn, Workspace)> {
    if !needs_setup(hub).await? {
        return Err(owned_already());
    }
    let attempt = attempts::admit(hub, &origin, THROTTLE_ACCOUNT).await?;
    let expected = {
        let mut database = hub.db.read().await?;
        installation::get(&mut database.conn(), Fact::SetupCode).await?
    };
    let given = SetupCode::parse(code).map(|code| code.digest());
    if given.is_none() || given != expected {
        tracing::warn!(client = origin.ip, "set-up was tried with a wrong code");
        return Err(Error::invalid_field(
            "code",
            "is not the one that the hub printed when it started; look in its log",
        ));
    }
    owner.email.require_plain().map_err(|problem| Error::invalid_field("email", problem))?;
    let hash = hub.auth.hashing.hash(hub.random.as_ref(), owner.password.password()).await?;
    let mut unit = hub.begin().await?;
    if !installation::claim(&mut unit.conn(), Fact::Owned, hub.now().to_string()).await? {
        return Err(owned_already());
    }
    let (user, workspace) = insert_owner(hub, &mut unit, owner, hash).await?;
    let (session, token) = open_session(hub, &mut unit.conn(), &user, &origin, hub.now()).await?;
    let principal = Principal::User {
        id: user.id,
        name: user.name.clone(),
        session_id: session.id,
        verified_at: session.verified_at,
    };
    let actor = Actor { principal, workspace_id: workspace.id, rights: Rights::everything(), origin };
    unit.audit(&actor, "setup.complete", subject(&user), Outcome::Ok, json!({ "workspace": workspace.name })).await?;
    unit.commit().await?;
    attempt.forgive(hub);
    let workspaces = vec![workspace.clone()];
    let workspace_id = workspace.id;
    let signed_in =
        SignedIn { token, user, workspaces, workspace_id, rights: Rights::everything(), must_enroll: false };
    Ok((signed_in, workspace))
}

/// Creates an owner with a workspace of their own: for the command line, whose user can read the database anyway.
///
/// # Errors
/// 409 when there is an account with this e-mail.
pub async fn create_owner(hub: &Hub, owner: NewOwner) -> Result<(User, Workspace)> {
    let hash = hub.auth.hashing.hash(hub.random.as_ref(), owner.password.password()).await?;
    let mut unit = hub.begin().await?;
    installation::claim(&mut unit.conn(), Fact::Owned, hub.now().to_string()).await?;
    let (user, workspace) = insert_owner(hub, &mut unit, owner, hash).await?;
    let actor = Actor::system(workspace.id);
    let details = json!({ "workspace": workspace.name, "by": "command line" });
    unit.audit(&actor, "owner.create", subject(&user), Outcome::Ok, details).await?;
    unit.commit().await?;
    Ok((user, workspace))
}

async fn insert_owner(hub: &Hub, unit: &mut Unit<'_>, owner: NewOwner, hash: String) -> Result<(User, Workspace)> {
    let NewOwner { email, name, workspace, .. } = owner;
    let user = User { id: hub.ids.user(), email: email.as_str().to_owned(), name: name.as_str().to_owned() };
    store::insert_user(&mut unit.conn(), &user, email.key(), hash, hub.now()).await.map_err(|error| match error {
        DbError::UniqueViolation(_) => Error::conflict("there is an account with this e-mail already"),
        other => other.into(),
    })?;
    let workspace = workspaces::create(hub, &mut unit.conn(), workspace, user.id).await?;
    installation::remove(&mut unit.conn(), Fact::SetupCode).await?;
    Ok((user, workspace))
}

fn owned_already() -> Error {
    Error::conflict("this hub has an owner already; sign in instead")
}

fn subject(user: &User) -> Subject {
    Subject::new("user", &user.id, user.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_people_type_them() {
        let code = SetupCode::new([0, 1, 2, 3, 30, 31, 32, 33, 255, 254, 20, 17]);
        let text = code.reveal();
        assert_eq!(text.len(), 14);
        for typed in [text.clone(), text.to_lowercase(), text.replace('-', ""), format!(" {} ", text.replace('-', " "))]
        {
            assert_eq!(SetupCode::parse(&typed), Some(code.clone()), "{typed}");
        }
        assert_eq!(SetupCode::parse(&text.replace('0', "o").replace('1', "l")), Some(code.clone()));
        for bad in ["", "0123-4567-89A", "0123-4567-89AB-C", "UUUU-UUUU-UUUU", "é"] {
            assert_eq!(SetupCode::parse(bad), None, "{bad}");
        }
        assert!(!format!("{code:?}").contains(&text[..4]));
    }
}

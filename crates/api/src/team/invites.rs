//! Invitations: single use, expiring, bound to an address.

use std::time::Duration;

use protocol::enroll::Token;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::model::{Grant, Invite, InviteView, NewInvite, Wanted};
use super::{grants, members, store};
use crate::access::verbs::{MembersManage, MembersRead};
use crate::access::{self, Actor, Authorized, Node, RequestOrigin, Workspace};
use crate::audit::{self, Outcome, Subject};
use crate::auth::{self, Email};
use crate::db::DbError;
use crate::error::{Error, ErrorCode, Result};
use crate::http::page::{Page, PageQuery, cut};
use crate::hub::Hub;
use crate::ids::InviteId;
use crate::mail::{self, Notice, Recipient};
use crate::plans::{self, Quota};
use crate::secret::{TokenDigest, new_token};
use crate::workspaces;

const TOKEN_PREFIX: &str = "rsv_";
const DEFAULT_TTL_S: u32 = 7 * 86_400;
const MIN_TTL_S: u32 = 60;
const MAX_TTL_S: u32 = 30 * 86_400;
/// Invitations of one workspace that stand at the same time.
const MAX: i64 = 500;

/// An invitation with its token, which is shown once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InviteCreated)]
pub(super) struct Made {
    #[serde(flatten)]
    pub(super) invite: InviteView,
    /// To be handed to whoever is invited.
    token: String,
    /// The same as a link to this hub's dashboard.
    url: String,
    /// Whether the hub mails it to the address; otherwise whoever invites hands it over.
    mailed: bool,
}

pub(super) async fn create(hub: &Hub, workspace: Authorized<Workspace, MembersManage>, new: NewInvite) -> Result<Made> {
    let Authorized { actor, resource: workspace, .. } = workspace;
    let made = make(hub, &actor, workspace, new).await;
    audit::noting_refusal(hub, &actor, Subject::new("invite", &"", ""), made).await
}

async fn make(hub: &Hub, actor: &Actor, workspace: Workspace, new: NewInvite) -> Result<Made> {
    let Some(invited_by) = actor.user_id() else {
        return Err(Error::conflict("only a person can invite somebody"));
    };
    let ttl_s = new.ttl_s.unwrap_or(DEFAULT_TTL_S);
    if !(MIN_TTL_S..=MAX_TTL_S).contains(&ttl_s) {
        return Err(Error::invalid_field("ttl_s", format!("must be from {MIN_TTL_S} to {MAX_TTL_S}")));
    }
    new.email.require_plain().map_err(|problem| Error::invalid_field("email", problem))?;
    let mut unit = hub.begin().await?;
    store::hold(&mut unit.conn(), workspace.id).await?;
    let wanted = vec![Wanted { granted: new.granted, scope: new.scope }];
    for grant in grants::prepare(hub, &mut unit.conn(), workspace.id, wanted).await? {
        grants::demand_held(&mut unit.conn(), actor, grant.granted, grant.scope).await?;
    }
    store::forget_expired_invites(&mut unit.conn(), hub.now()).await?;
    if store::count_invites(&mut unit.conn(), workspace.id).await? >= MAX {
        return Err(Error::conflict(format!("{MAX} invitations stand already; withdraw some first")));
    }
    plans::demand_room(&mut unit.conn(), workspace.id, Quota::Members).await?;
    if store::is_member(&mut unit.conn(), workspace.id, new.email.key()).await? {
        return Err(Error::conflict("somebody with this address is a member already; change their grants instead"));
    }
    let secret = new_token(TOKEN_PREFIX, hub.random.as_ref());
    let row = store::NewInvite {
        id: hub.ids.invite(),
        workspace_id: workspace.id,
        email: &new.email,
        token: TokenDigest::of(secret.reveal()),
        granted: new.granted,
        scope: new.scope,
        invited_by,
        created_at: hub.now(),
        expires_at: hub.now().plus(Duration::from_secs(ttl_s.into())),
    };
    let id = row.id;
    store::insert_invite(&mut unit.conn(), row).await.map_err(|error| match error {
        DbError::UniqueViolation(_) => {
            Error::conflict("this address is invited already; withdraw that invitation to make another")
        }
        other => other.into(),
    })?;
    let details = json!({ "email": new.email.as_str(), "granted": new.granted, "scope": new.scope, "ttl_s": ttl_s });
    unit.audit(actor, "invite.create", subject(id), Outcome::Ok, details).await?;
    let invite = store::invite(&mut unit.conn(), id).await?.ok_or_else(|| Error::not_found("invitation"))?;
    let url = format!("{}/invite#{}", hub.config.public_url, secret.reveal());
    let name = workspaces::name(&mut unit.conn(), workspace.id).await?;
    let notice =
        Notice::Invitation { workspace: name.as_str(), inviter: actor.name(), link: &url, expires: invite.expires_at };
    let to = Recipient { email: new.email.as_str(), name: "" };
    let mailed = mail::write_for(hub, &mut unit, workspace.id, &to, &notice).await?;
    unit.commit().await?;
    Ok(Made { invite: view(hub, invite)?, token: secret.reveal().to_owned(), url, mailed })
}

pub(super) async fn list(
    hub: &Hub,
    workspace: Authorized<Workspace, MembersRead>,
    page: PageQuery,
) -> Result<Page<InviteView>> {
    let before = page.cursor.as_ref().map(|cursor| cursor.key::<String>()).transpose()?;
    let mut session = hub.db.read().await?;
    let rows = store::invites(&mut session.conn(), workspace.resource.id, before, page.limit.with_next()).await?;
    let (rows, next_cursor) = cut(rows, page.limit, |invite| invite.id.to_string())?;
    let data = rows.into_iter().map(|invite| view(hub, invite)).collect::<Result<_>>()?;
    Ok(Page { data, next_cursor })
}

pub(super) async fn withdraw(hub: &Hub, invite: Authorized<Invite, MembersManage>) -> Result<()> {
    let Authorized { actor, resource: invite, .. } = invite;
    let mut unit = hub.begin().await?;
    if !store::delete_invite(&mut unit.conn(), invite.id).await? {
        return Err(Error::not_found("invitation"));
    }
    let details = json!({ "email": invite.email });
    unit.audit(&actor, "invite.delete", subject(invite.id), Outcome::Ok, details).await?;
    unit.commit().await
}

/// What an invitation's holder may know before accepting it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InviteOffer)]
pub(super) struct Offer {
    /// The workspace's name.
    workspace: String,
    /// The address that it is bound to.
    email: String,
    /// Whether an account with that address is there: it accepts with its own password.
    has_account: bool,
}

pub(super) async fn look_up(hub: &Hub, origin: &RequestOrigin, token: &str) -> Result<Offer> {
    let invite = find(hub, origin, token).await?;
    let mut session = hub.db.read().await?;
    let workspace = workspaces::name(&mut session.conn(), invite.workspace_id).await?;
    let key = Email::key_of(&invite.email);
    let has_account = auth::has_account(&mut session.conn(), key).await?;
    Ok(Offer { workspace: workspace.as_str().to_owned(), email: invite.email, has_account })
}

/// How somebody accepts.
#[derive(Debug)]
pub(super) struct Acceptance {
    pub(super) token: String,
    pub(super) proof: auth::Proof,
}

/// Makes the invited a member and signs them in. Of many at once, one gets the invitation.
pub(super) async fn accept(hub: &Hub, origin: RequestOrigin, acceptance: Acceptance) -> Result<auth::SignedIn> {
    let invite = find(hub, &origin, &acceptance.token).await?;
    let email = Email::try_from(invite.email.clone()).map_err(Error::internal)?;
    let (granted, scope) = invite.columns.clone().read().ok_or_else(gone)?;
    let invited = auth::prove(hub, &origin, &email, acceptance.proof).await?;
    let mut unit = hub.begin().await?;
    // The rights are the inviter's: who lost them meanwhile invites nobody.
    let inviter = access::rights_of(&mut unit.conn(), invite.workspace_id, invite.invited_by).await?;
    let place = grants::place(&mut unit.conn(), invite.workspace_id, scope).await?;
    let nodes = grants::nodes(&mut unit.conn(), invite.workspace_id, granted).await?;
    if !inviter.allow(Node::MembersManage, access::Place::WORKSPACE) || grants::demand(&inviter, nodes, place).is_err()
    {
        return Err(Error::new(
            ErrorCode::Gone,
            "whoever invited you may not do that any more; ask somebody of the workspace for another invitation",
        ));
    }
    if !store::delete_invite(&mut unit.conn(), invite.id).await? {
        return Err(gone());
    }
    let user = auth::settle(hub, &mut unit, invited).await?;
    let actor = Actor::anonymous(invite.workspace_id, origin.clone());
    let grant = Grant { id: hub.ids.grant(), granted, scope };
    members::join(hub, &mut unit, &actor, (user.id, &user.name), grant).await?;
    let signed_in = auth::admit_to(hub, &mut unit, origin, user, invite.workspace_id).await?;
    unit.commit().await?;
    hub.http.recheck_streams();
    Ok(signed_in)
}

async fn find(hub: &Hub, origin: &RequestOrigin, token: &str) -> Result<Invite> {
    auth::throttle_address(hub, origin).await?;
    let token = Token::parse(TOKEN_PREFIX, token).ok_or_else(gone)?;
    let mut session = hub.db.read().await?;
    let invite = store::invite_by_token(&mut session.conn(), TokenDigest::of(token.reveal())).await?;
    invite.filter(|invite| invite.expires_at > hub.now()).ok_or_else(gone)
}

fn gone() -> Error {
    Error::new(ErrorCode::Gone, "this invitation was used, withdrawn or has expired; ask for another one")
}

fn view(hub: &Hub, invite: Invite) -> Result<InviteView> {
    let read = invite.columns.read();
    let (granted, scope) = read.ok_or_else(|| Error::internal("an invitation whose grant cannot be read"))?;
    let Invite { id, email, invited_by, created_at, expires_at, .. } = invite;
    Ok(InviteView { id, email, granted, scope, invited_by, created_at, expires_at, expired: expires_at <= hub.now() })
}

fn subject(id: InviteId) -> Subject {
    Subject::new("invite", &id, "")
}

//! What arrives from agents: they connect, they leave, they report.

use protocol::event::{CLOCK_SKEW, Event, Severity};
use protocol::job::Ack;
use protocol::session::{ErrorCode, Hello};
use protocol::{EventId, MessageId, ServerId};
use serde_json::{Value, json};

use super::facts::{self, Facts};
use super::{restrictions, store, view};
use crate::access::Actor;
use crate::audit::{Outcome, Subject};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::events::{Change, ChangeSubject};
use crate::gateway::AgentLink;
use crate::hub::{App, Hub, Unit};
use crate::secret::TokenDigest;

/// Longest kind of an event, characters.
const MAX_KIND: usize = 64;
/// Longest data of an event, bytes.
const MAX_DATA: usize = 2048;
/// Events kept of one server.
const KEEP_EVENTS: i64 = 1000;
/// Two agents with one token.
const CLONED_CREDENTIAL: &str = "security.cloned_credential";

/// A connection came up: writes down what its hello says. `false` when the token was revoked or replaced meanwhile.
///
/// # Errors
/// When the database cannot be written.
pub async fn connected(
    hub: &Hub,
    link: &AgentLink,
    token: TokenDigest,
    hello: &Hello,
    clock_offset_ms: i64,
) -> Result<bool> {
    let facts = Facts::from(hello);
    let now = hub.now();
    let mut unit = hub.begin().await?;
    let Some(before) = store::by_id(&mut unit.conn(), link.server_id).await? else {
        return Ok(false);
    };
    let row = store::Connected { id: link.server_id, token, facts: facts.clone(), clock_offset_ms, at: now };
    if store::connect(&mut unit.conn(), row).await? == 0 {
        return Ok(false);
    }
    if (before.facts().as_ref() != Some(&facts) || before.next_token_at.is_some())
        && let Some(after) = store::by_id(&mut unit.conn(), link.server_id).await?
    {
        if before.next_token_at.is_some() && after.next_token_at.is_none() {
            let subject = Subject::server(link.server_id, &*link.server_name);
            unit.audit(&link.actor(), "server.token_rotated", subject, Outcome::Ok, json!({})).await?;
        }
        unit.announce(view::change(hub, "server.updated", &after)?);
    }
    unit.commit().await?;
    hub.servers.presence().connected(link.server_id, link.workspace_id, now);
    hub.servers.wake.wake();
    Ok(true)
}

/// The agent has its welcome: whoever looks at its server wants to see it live, and it may have missed a restriction.
pub fn ready(hub: &App, link: &AgentLink) {
    restrictions::tell(hub, link.clone());
    let watch = hub.servers.watches().tell(link.server_id, hub.now());
    if let Some(watch) = watch {
        // A link that closed already is nothing to watch.
        let _ = link.send(watch.into(), None);
    }
}

/// The connection is gone and no newer one took its place.
pub fn disconnected(hub: &Hub, link: &AgentLink) {
    hub.servers.presence().disconnected(link.server_id, Some(link.heard_at()));
    hub.servers.watches().untell(link.server_id);
    hub.servers.wake.wake();
}

/// Two agents keep replacing each other: somebody copied a token.
///
/// # Errors
/// When it cannot be stored.
pub async fn cloned(hub: &Hub, link: &AgentLink, replacements: usize, other_ip: &str) -> Result<()> {
    let now = hub.now();
    let data = json!({ "replacements": replacements, "addresses": [link.origin().ip, other_ip] });
    tracing::warn!(server.id = %link.server_id, replacements, "two agents use one token");
    let mut unit = hub.begin().await?;
    let report = Report {
        server_id: link.server_id,
        event_id: hub.ids.event(),
        kind: CLONED_CREDENTIAL.to_owned(),
        severity: Severity::Critical,
        subject: None,
        at: now,
        data,
    };
    let actor = Actor::system(link.workspace_id);
    store_report(hub, &mut unit, &actor, &link.server_name, report).await?;
    unit.commit().await
}

/// An agent reports something on its own. It is stored once, however often it comes, and acknowledged after that.
///
/// # Errors
/// When it cannot be stored.
pub async fn event(hub: &Hub, link: &AgentLink, event: Event, id: MessageId) -> Result<()> {
    let event_id = event.event_id;
    let report = match Report::parse(link.server_id, event) {
        Ok(report) => report,
        Err(problem) => {
            link.refuse(ErrorCode::BadPayload, problem.to_owned(), Some(id));
            return Ok(());
        }
    };
    let mut unit = hub.begin().await?;
    store_report(hub, &mut unit, &link.actor(), &link.server_name, report).await?;
    unit.commit().await?;
    // A link that closed: the agent sends it again and gets its acknowledgement then.
    let _ = link.send(Ack::Event { event_id }.into(), Some(id));
    Ok(())
}

/// An event that was looked at.
struct Report {
    server_id: ServerId,
    event_id: EventId,
    kind: String,
    severity: Severity,
    subject: Option<String>,
    at: Timestamp,
    data: Value,
}

impl Report {
    fn parse(server_id: ServerId, event: Event) -> std::result::Result<Self, &'static str> {
        let Event { event_id, kind, severity, subject, at_ms, data } = event;
        let dotted = |character: char| character.is_ascii_lowercase() || matches!(character, '.' | '_');
        if kind.is_empty() || kind.len() > MAX_KIND || !kind.chars().all(dotted) {
            return Err("the kind of an event is a dotted name of at most 64 lower-case letters");
        }
        if data.to_string().len() > MAX_DATA {
            return Err("the data of an event has at most 2048 bytes");
        }
        let subject = subject.as_deref().map(facts::short);
        Ok(Self { server_id, event_id, kind, severity, subject, at: Timestamp::from_ms(at_ms), data })
    }

    /// Whether people should hear of it at once.
    fn concerns_security(&self) -> bool {
        self.kind.starts_with("security.") || self.kind == CLOCK_SKEW
    }
}

async fn store_report(hub: &Hub, unit: &mut Unit<'_>, actor: &Actor, server_name: &str, report: Report) -> Result<()> {
    let now = hub.now();
    let row = store::EventRow {
        server_id: report.server_id,
        id: report.event_id,
        kind: report.kind.clone(),
        severity: severity_name(report.severity),
        subject: report.subject.clone(),
        at: report.at,
        received_at: now,
        data: report.data.to_string(),
    };
    if store::insert_event(&mut unit.conn(), row).await? == 0 {
        return Ok(());
    }
    store::trim_events(&mut unit.conn(), report.server_id, KEEP_EVENTS).await?;
    // A hostile agent may fill its own events, not everybody's audit log.
    if !report.concerns_security() || !hub.servers.may_be_loud(report.server_id, now) {
        return Ok(());
    }
    let details = json!({
        "event_id": report.event_id,
        "kind": report.kind,
        "severity": severity_name(report.severity),
        "subject": report.subject,
        "at": report.at,
        "data": report.data,
    });
    let subject = Subject::server(report.server_id, server_name);
    unit.audit(actor, "security.event", subject, Outcome::Ok, details.clone()).await?;
    unit.announce(Change {
        workspace_id: actor.workspace_id,
        kind: "security.event",
        subject: ChangeSubject::server(report.server_id),
        data: details,
    });
    Ok(())
}

const fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

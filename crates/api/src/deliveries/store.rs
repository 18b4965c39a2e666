//! SQL of deliveries.

use protocol::{UserId, WorkspaceId};

use super::model::{Attempt, Channel, DeliveryState, Due, Row};
use crate::clock::Timestamp;
use crate::db::{Conn, DbError, JsonText};
use crate::ids::{DeliveryId, WebhookId};
use crate::sql;

/// What [`insert`] writes.
pub(super) struct NewRow {
    pub(super) id: DeliveryId,
    pub(super) workspace_id: Option<WorkspaceId>,
    pub(super) person: Option<UserId>,
    pub(super) channel: Channel,
    pub(super) destination: String,
    pub(super) webhook_id: Option<WebhookId>,
    pub(super) recipient: String,
    pub(super) event: String,
    pub(super) subject: String,
    pub(super) payload: String,
    pub(super) now: Timestamp,
}

pub(super) async fn insert(conn: &mut Conn<'_>, row: NewRow) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into deliveries (id, workspace_id, channel, destination, webhook_id, recipient, event, subject, payload,
                                 state, attempts, attempts_made, next_attempt_at, created_at, waiting_since, person)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'waiting', 0, '[]', $10, $10, $10, $11)"
    ))
    .bind(row.id.to_string())
    .bind(row.workspace_id.map(|id| id.to_string()))
    .bind(row.channel)
    .bind(row.destination)
    .bind(row.webhook_id.map(|id| id.to_string()))
    .bind(row.recipient)
    .bind(row.event)
    .bind(row.subject)
    .bind(row.payload)
    .bind(row.now)
    .bind(row.person.map(|id| id.to_string()))
    .execute()
    .await?;
    Ok(())
}

/// Those that may be tried now and go to none of `busy`, longest due first.
pub(super) async fn due(
    conn: &mut Conn<'_>,
    now: Timestamp,
    busy: Vec<String>,
    limit: i64,
) -> Result<Vec<Due>, DbError> {
    let text = sql!(
        "select id, channel, destination, webhook_id, event, payload, attempts, attempts_made, waiting_since
         from deliveries
         where state = 'waiting' and next_attempt_at <= $1 and (leased_until is null or leased_until <= $1)
               and destination not in ({in})
         order by next_attempt_at, id limit $2"
    );
    conn.query_in(text, 3, busy.len()).bind(now).bind(limit).bind_all(busy).fetch_all().await
}

/// Takes one for an attempt; false when somebody else has.
pub(super) async fn lease(
    conn: &mut Conn<'_>,
    id: DeliveryId,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, DbError> {
    let taken = conn
        .query(sql!(
            "update deliveries set leased_until = $1
             where id = $2 and state = 'waiting' and (leased_until is null or leased_until <= $3)"
        ))
        .bind(until)
        .bind(id.to_string())
        .bind(now)
        .execute()
        .await?;
    Ok(taken == 1)
}

/// Gives one back that was not tried after all.
pub(super) async fn release(conn: &mut Conn<'_>, id: DeliveryId) -> Result<(), DbError> {
    conn.query(sql!("update deliveries set leased_until = null where id = $1 and state = 'waiting'"))
        .bind(id.to_string())
        .execute()
        .await?;
    Ok(())
}

/// What an attempt made of a delivery.
pub(super) struct Settled {
    pub(super) state: DeliveryState,
    pub(super) attempts: i64,
    pub(super) attempts_made: Vec<Attempt>,
    pub(super) next_attempt_at: Option<Timestamp>,
    pub(super) finished_at: Option<Timestamp>,
    pub(super) forget_payload: bool,
}

/// Writes down an attempt; false when the delivery has moved on meanwhile.
pub(super) async fn settle(conn: &mut Conn<'_>, due: &Due, settled: Settled) -> Result<bool, DbError> {
    let changed = conn
        .query(sql!(
            "update deliveries set state = $1, attempts = $2, attempts_made = $3, next_attempt_at = $4, finished_at = $5,
                                   payload = case when $6 then null else payload end, leased_until = null
             where id = $7 and state = 'waiting' and attempts = $8 and waiting_since = $9"
        ))
        .bind(settled.state)
        .bind(settled.attempts)
        .bind(JsonText(settled.attempts_made))
        .bind(settled.next_attempt_at)
        .bind(settled.finished_at)
        .bind(settled.forget_payload)
        .bind(due.id.to_string())
        .bind(due.attempts)
        .bind(due.waiting_since)
        .execute()
        .await?;
    Ok(changed == 1)
}

pub(super) async fn by_id(conn: &mut Conn<'_>, id: DeliveryId) -> Result<Option<Row>, DbError> {
    conn.query(sql!(
        "select d.id, d.workspace_id, d.channel, d.webhook_id, w.name as webhook_name, w.created_by as webhook_maker, w.allow_private,
                d.recipient, d.event, d.subject, d.payload, d.state, d.attempts, d.attempts_made, d.next_attempt_at,
                d.created_at, d.finished_at
         from deliveries d left join outgoing_webhooks w on w.id = d.webhook_id where d.id = $1"
    ))
    .bind(id.to_string())
    .fetch_optional()
    .await
}

/// What a list shows.
pub(super) struct Filter {
    pub(super) workspace_id: WorkspaceId,
    /// Mail that belongs to no workspace as well.
    pub(super) of_nobody: bool,
    pub(super) channel: Option<Channel>,
    pub(super) state: Option<DeliveryState>,
    pub(super) webhook_id: Option<WebhookId>,
    pub(super) before: Option<String>,
    pub(super) limit: i64,
}

/// Newest first.
pub(super) async fn list(conn: &mut Conn<'_>, filter: Filter) -> Result<Vec<Row>, DbError> {
    conn.query(sql!(
        "select d.id, d.workspace_id, d.channel, d.webhook_id, w.name as webhook_name, w.created_by as webhook_maker, w.allow_private,
                d.recipient, d.event, d.subject, cast(null as text) as payload, d.state, d.attempts, d.attempts_made,
                d.next_attempt_at, d.created_at, d.finished_at
         from deliveries d left join outgoing_webhooks w on w.id = d.webhook_id
         where (d.workspace_id = $1 or ($2 and d.workspace_id is null))
               and (cast($3 as text) is null or d.channel = $3) and (cast($4 as text) is null or d.state = $4)
               and (cast($5 as text) is null or d.webhook_id = $5) and (cast($6 as text) is null or d.id < $6)
         order by d.id desc limit $7"
    ))
    .bind(filter.workspace_id.to_string())
    .bind(filter.of_nobody)
    .bind(filter.channel)
    .bind(filter.state)
    .bind(filter.webhook_id.map(|id| id.to_string()))
    .bind(filter.before)
    .bind(filter.limit)
    .fetch_all()
    .await
}

/// Puts one into the queue again, whatever became of it; false when there is nothing left to send.
pub(super) async fn requeue(conn: &mut Conn<'_>, id: DeliveryId, now: Timestamp) -> Result<bool, DbError> {
    let changed = conn
        .query(sql!(
            "update deliveries set state = 'waiting', attempts = 0, next_attempt_at = $1, waiting_since = $1,
                                   finished_at = null
             where id = $2 and payload is not null"
        ))
        .bind(now)
        .bind(id.to_string())
        .execute()
        .await?;
    Ok(changed == 1)
}

/// How many of a webhook wait, counted up to `limit`.
pub(super) async fn count_waiting(conn: &mut Conn<'_>, webhook: WebhookId, limit: i64) -> Result<i64, DbError> {
    let (count,) = conn
        .query(sql!(
            "select count(*) from (select 1 as one from deliveries where webhook_id = $1 and state = 'waiting' limit $2) w"
        ))
        .bind(webhook.to_string())
        .bind(limit)
        .fetch_one()
        .await?;
    Ok(count)
}

/// How much mail of a workspace was made since then, counted up to `limit`.
pub(super) async fn count_mail(
    conn: &mut Conn<'_>,
    workspace: WorkspaceId,
    since_id: String,
    limit: i64,
) -> Result<i64, DbError> {
    let (count,) = conn
        .query(sql!(
            "select count(*) from (select 1 as one from deliveries
                                   where workspace_id = $1 and id > $2 and channel = 'mail' limit $3) m"
        ))
        .bind(workspace.to_string())
        .bind(since_id)
        .bind(limit)
        .fetch_one()
        .await?;
    Ok(count)
}

/// How many letters about somebody's account were made since then, counted up to `limit`.
pub(super) async fn count_notices(
    conn: &mut Conn<'_>,
    person: UserId,
    since_id: String,
    limit: i64,
) -> Result<i64, DbError> {
    let (count,) = conn
        .query(sql!("select count(*) from (select 1 as one from deliveries where person = $1 and id > $2 limit $3) m"))
        .bind(person.to_string())
        .bind(since_id)
        .bind(limit)
        .fetch_one()
        .await?;
    Ok(count)
}

/// Gives up everything of a webhook that waits.
pub(super) async fn end_waiting(conn: &mut Conn<'_>, webhook: WebhookId, now: Timestamp) -> Result<u64, DbError> {
    conn.query(sql!(
        "update deliveries set state = 'failed', next_attempt_at = null, leased_until = null, finished_at = $1
         where webhook_id = $2 and state = 'waiting'"
    ))
    .bind(now)
    .bind(webhook.to_string())
    .execute()
    .await
}

/// Forgets what ended before then.
pub(super) async fn delete_finished(conn: &mut Conn<'_>, before: Timestamp) -> Result<u64, DbError> {
    conn.query(sql!("delete from deliveries where finished_at < $1")).bind(before).execute().await
}

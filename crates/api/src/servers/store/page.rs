//! Lists of servers: one text per order, the same filter in each.

use super::super::list::{Filter, MAX_LABELS, PageRequest, Sort, Totals};
use super::super::model::{Server, Status};
use crate::access::{Columns, Reach};
use crate::db::{Conn, DbError, Stmt};
use crate::sql;
use protocol::WorkspaceId;

/// A server with what lists sort by.
#[derive(Debug, sqlx::FromRow)]
pub(in crate::servers) struct Listed {
    #[sqlx(flatten)]
    pub(in crate::servers) server: Server,
    pub(in crate::servers) name_key: String,
    pub(in crate::servers) rank: i64,
}

/// `$1` workspace, `$2`–`$6` statuses, `$7` text, `$8` number of labels, `$9`–`$16` labels, `$17` whether a page went
/// before, `$18`–`$20` where it ended, `$21` rows, `$22` the project; what
/// may be seen comes last. Where a value is not wanted, it is bound all the same and compared with
/// nothing, so that each order is one fixed text.
macro_rules! page {
    ($rank:literal, $after:literal, $order:literal) => {
        sql!(
            "select id, workspace_id, project_id, name, labels, status, registered_at, last_seen_at, revoked_at, host, agent,
                    policy, clock_offset_ms, restrictions, restrictions_seq, token_issued_at, next_token_at, version, name_key, ",
            $rank,
            " as rank
             from servers s
             where workspace_id = $1 and status in ($2, $3, $4, $5, $6)
               and ($7 = '' or replace(search_key, $7, '') <> search_key)
               and ($8 = 0 or (select count(*) from server_labels l where l.server_id = s.id
                               and l.label in ($9, $10, $11, $12, $13, $14, $15, $16)) = $8)
               and ($22 = '' or project_id = $22) and {within} and ($17 = 0 or ",
            $after,
            ") order by ",
            $order,
            " limit $21"
        )
    };
}

pub(in crate::servers) async fn page(conn: &mut Conn<'_>, request: PageRequest<'_>) -> Result<Vec<Listed>, DbError> {
    let text = match request.sort {
        Sort::Name => {
            page!("cast(0 as bigint)", "(cast(0 as bigint), name_key, id) > ($18, $19, $20)", "name_key, id")
        }
        Sort::NameDescending => {
            page!("cast(0 as bigint)", "(cast(0 as bigint), name_key, id) < ($18, $19, $20)", "name_key desc, id desc")
        }
        Sort::Status => page!(
            "cast(case status when 'online' then 0 when 'suspect' then 1 when 'offline' then 2 when 'pending' then 3
                  else 4 end as bigint)",
            "(cast(case status when 'online' then 0 when 'suspect' then 1 when 'offline' then 2 when 'pending' then 3
                   else 4 end as bigint), name_key, id) > ($18, $19, $20)",
            "rank, name_key, id"
        ),
        Sort::LastSeen => page!(
            "coalesce(last_seen_at, 0)",
            "(coalesce(last_seen_at, 0), name_key, id) > ($18, $19, $20)",
            "rank, name_key, id"
        ),
        Sort::LastSeenDescending => page!(
            "coalesce(last_seen_at, 0)",
            "(coalesce(last_seen_at, 0), name_key, id) < ($18, $19, $20)",
            "rank desc, name_key desc, id desc"
        ),
    };
    let statuses = request.filter.statuses.clone();
    let stmt = request.reach.query(conn, text, COLUMNS, 23).bind(request.workspace_id.to_string());
    let stmt = bind_filter(bind_statuses(stmt, statuses), request.filter);
    let has_after = i64::from(request.after.is_some());
    let after = request.after.unwrap_or_default();
    let stmt = stmt.bind(has_after).bind(after.rank).bind(after.name_key).bind(after.id);
    let stmt = stmt.bind(request.rows).bind(request.filter.project());
    stmt.bind_all(request.reach.ids()).fetch_all().await
}

/// Where a server lies.
const COLUMNS: Columns = Columns { project: "s.project_id", server: "s.id" };

/// No status means any.
fn bind_statuses(stmt: Stmt<'_>, mut statuses: Vec<Status>) -> Stmt<'_> {
    if statuses.is_empty() {
        statuses = Status::ALL.to_vec();
    }
    let last = statuses.last().copied().unwrap_or(Status::Online);
    statuses.resize(Status::ALL.len(), last);
    stmt.bind_all(statuses)
}

fn bind_filter<'c>(stmt: Stmt<'c>, filter: &Filter) -> Stmt<'c> {
    let mut labels = filter.labels.clone();
    let count = i64::try_from(labels.len()).unwrap_or(i64::MAX);
    labels.resize(MAX_LABELS, String::new());
    stmt.bind(filter.text.clone()).bind(count).bind_all(labels)
}

#[derive(sqlx::FromRow)]
struct Count {
    status: Status,
    number: i64,
}

/// How many servers pass the filter, by status.
pub(in crate::servers) async fn totals(
    conn: &mut Conn<'_>,
    workspace_id: WorkspaceId,
    filter: &Filter,
    reach: &Reach,
) -> Result<Totals, DbError> {
    let counts: Vec<Count> = if filter.is_open() && reach.is_everything() {
        let text = sql!("select status, count(*) as number from servers where workspace_id = $1 group by status");
        conn.query(text).bind(workspace_id.to_string()).fetch_all().await?
    } else {
        let text = sql!(
            "select status, count(*) as number from servers s
             where workspace_id = $1 and ($2 = '' or replace(search_key, $2, '') <> search_key)
               and ($3 = 0 or (select count(*) from server_labels l where l.server_id = s.id
                               and l.label in ($4, $5, $6, $7, $8, $9, $10, $11)) = $3)
               and ($12 = '' or project_id = $12) and {within}
             group by status"
        );
        let stmt = reach.query(conn, text, COLUMNS, 13).bind(workspace_id.to_string());
        bind_filter(stmt, filter).bind(filter.project()).bind_all(reach.ids()).fetch_all().await?
    };
    let mut totals = Totals::default();
    for count in counts {
        totals.add(count.status, count.number);
    }
    Ok(totals)
}

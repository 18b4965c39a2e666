//! `/v1/servers`.
#![expect(unused_qualifications, reason = "the path macro names argument types by their path")]

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use protocol::policy::Rules;
use serde::{Deserialize, Deserializer};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Patch;
use super::facts::PolicyRules;
use super::list::{Filter, Sort};
use super::model::{Labels, Name, Server, Status};
use super::pages::{self, ServerList};
use super::view::{ServerDetail, ServerView};
use crate::access::verbs::{ServersManage, ServersRead};
use crate::access::{Authorized, Fresh, Visible};
use crate::error::{Error, Result};
use crate::http::etag::{self, IfMatch};
use crate::http::extract::{CommaList, Json, JsonText, Query};
use crate::http::page::{Cursor, Limit};
use crate::hub::App;
use crate::ids::ProjectId;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get, update, delete))
        .routes(routes!(revoke))
        .routes(routes!(watch))
        .routes(routes!(rotate_token))
        .routes(routes!(restrict))
}

/// Which servers to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// With one of these statuses only, separated by commas.
    #[serde(default)]
    #[param(value_type = Option<String>, example = "online,offline")]
    status: CommaList<Status>,
    /// With this label only, as `key:value`; repeat it for servers with all of them.
    #[serde(default)]
    #[param(required = false)]
    label: Vec<String>,
    /// With this text in the name or the host name only.
    q: Option<String>,
    /// In this project only.
    #[param(value_type = Option<uuid::Uuid>)]
    project_id: Option<ProjectId>,
    /// In which order.
    #[serde(default)]
    #[param(inline, required = false)]
    sort: Sort,
    /// `spark` adds the last half hour to each server.
    #[serde(default)]
    #[param(value_type = Option<String>, example = "spark")]
    include: CommaList<Include>,
    /// How many servers at most, 1 to 200.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: Limit,
    /// Where to go on: `next_cursor` of the page before.
    cursor: Option<Cursor>,
}

/// What can be added to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Include {
    Spark,
}

impl FromStr for Include {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, &'static str> {
        if name == "spark" { Ok(Self::Spark) } else { Err("must be spark") }
    }
}

impl FromStr for Status {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|status| status.as_str() == name);
        known.ok_or_else(|| format!("must be one of {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

/// List servers.
#[utoipa::path(
    get,
    path = "/v1/servers",
    operation_id = "servers_list",
    tag = "servers",
    params(ListQuery),
    responses((status = 200, description = "A page of servers", body = ServerList)),
)]
async fn list(
    State(hub): State<App>,
    visible: Visible<ServersRead>,
    Query(query): Query<ListQuery>,
) -> Result<JsonText> {
    let filter = Filter::parse(query.status.0, query.label, query.q.as_deref())?.in_project(query.project_id);
    let page = pages::list(&hub, visible, filter, query.sort, query.cursor, query.limit).await?;
    let with_spark = query.include.0.contains(&Include::Spark);
    Ok(JsonText(if with_spark { page.json_with_spark(&hub)? } else { page.json(&hub)? }))
}

/// One server, with its newest sample in full.
#[utoipa::path(
    get,
    path = "/v1/servers/{id}",
    operation_id = "servers_get",
    tag = "servers",
    params(("id" = String, Path, description = "The server")),
    responses((status = 200, description = "The server", body = ServerDetail)),
)]
async fn get(
    State(hub): State<App>,
    server: Authorized<Server, ServersRead>,
) -> Result<(HeaderMap, Json<ServerDetail>)> {
    let server = server.resource;
    Ok((tagged(server.version)?, Json(ServerDetail::new(&hub, &server))))
}

/// A change of a server.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ServerPatch)]
struct PatchBody {
    /// Another name.
    name: Option<String>,
    /// Other labels, instead of all it has.
    labels: Option<BTreeMap<String, String>>,
    /// Another project; null for none. Needs `projects.manage` where it is and where it goes.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<uuid::Uuid>)]
    project_id: Option<Option<ProjectId>>,
}

/// Tells a null from a field that is not there.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Change name, labels or project.
#[utoipa::path(
    patch,
    path = "/v1/servers/{id}",
    operation_id = "servers_update",
    tag = "servers",
    params(
        ("id" = String, Path, description = "The server"),
        ("If-Match" = Option<String>, Header, description = "The version that was read, in quotes"),
    ),
    request_body = PatchBody,
    responses((status = 200, description = "The server", body = ServerView)),
)]
async fn update(
    State(hub): State<App>,
    server: Authorized<Server, ServersManage>,
    if_match: IfMatch,
    Json(body): Json<PatchBody>,
) -> Result<(HeaderMap, Json<ServerView>)> {
    let name = body.name.map(|name| Name::parse("name", &name)).transpose()?;
    let labels = body.labels.map(|labels| Labels::parse("labels", labels)).transpose()?;
    let server = super::update(&hub, server, Patch { name, labels, project_id: body.project_id }, if_match).await?;
    Ok((tagged(server.version)?, Json(ServerView::new(&hub, &server))))
}

/// Remove a server.
///
/// Its agent is disconnected and cannot come back, its history is deleted, a job that runs there counts as `lost`. What
/// is installed on the machine stays until somebody uninstalls it there.
#[utoipa::path(
    delete,
    path = "/v1/servers/{id}",
    operation_id = "servers_delete",
    tag = "servers",
    params(("id" = String, Path, description = "The server")),
    responses((status = 204, description = "It is gone")),
)]
async fn delete(State(hub): State<App>, server: Authorized<Server, Fresh<ServersManage>>) -> Result<StatusCode> {
    super::remove(&hub, server).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Revoke a server's agent token.
///
/// The live connection is closed within a second. The server keeps its history and can be enrolled again.
#[utoipa::path(
    post,
    path = "/v1/servers/{id}/revoke",
    operation_id = "servers_revoke",
    tag = "servers",
    params(("id" = String, Path, description = "The server")),
    responses((status = 200, description = "The server", body = ServerView)),
)]
async fn revoke(State(hub): State<App>, server: Authorized<Server, Fresh<ServersManage>>) -> Result<Json<ServerView>> {
    let server = super::revoke(&hub, server).await?;
    Ok(Json(ServerView::new(&hub, &server)))
}

/// Replace a server's agent token.
///
/// The old token stays good until the agent has connected with the new one; then it is dead. This happens by itself every
/// 30 days. 409 `server_offline` when the server is not connected.
#[utoipa::path(
    post,
    path = "/v1/servers/{id}/rotate-token",
    operation_id = "servers_rotate_token",
    tag = "servers",
    params(("id" = String, Path, description = "The server")),
    responses((status = 202, description = "The server; `token.rotation` is null again once the new token is in use", body = ServerView)),
)]
async fn rotate_token(
    State(hub): State<App>,
    server: Authorized<Server, ServersManage>,
) -> Result<(StatusCode, Json<ServerView>)> {
    let server = super::token::rotate(&hub, server).await?;
    Ok((StatusCode::ACCEPTED, Json(ServerView::new(&hub, &server))))
}

/// Set what the hub forbids itself on a server.
///
/// The host writes the rules down and obeys them besides its own policy file, whoever holds the hub's database. Rules can
/// be taken back here by setting others, `{}` for none; what the host's own file forbids stays forbidden. A server that
/// is away is told when it connects: `restrictions.in_force` says whether it has been.
#[utoipa::path(
    put,
    path = "/v1/servers/{id}/restrictions",
    operation_id = "servers_restrict",
    tag = "servers",
    params(("id" = String, Path, description = "The server")),
    request_body = PolicyRules,
    responses((status = 200, description = "The server", body = ServerView)),
)]
async fn restrict(
    State(hub): State<App>,
    server: Authorized<Server, Fresh<ServersManage>>,
    Json(rules): Json<Rules>,
) -> Result<Json<ServerView>> {
    let server = super::restrictions::set(&hub, server, rules).await?;
    Ok(Json(ServerView::new(&hub, &server)))
}

/// How to look at a server.
#[derive(Debug, Deserialize, ToSchema)]
struct WatchRequest {
    /// Milliseconds between samples, 500 to 10000; 1000 unless told.
    interval_ms: Option<u32>,
    /// Seconds until the server goes back to its usual interval, 5 to 120; 30 unless told.
    ttl_s: Option<u32>,
}

impl WatchRequest {
    fn parse(&self) -> Result<(Duration, Duration)> {
        let interval_ms = self.interval_ms.unwrap_or(1000);
        let ttl_s = self.ttl_s.unwrap_or(30);
        if !(500..=10_000).contains(&interval_ms) {
            return Err(Error::invalid_field("interval_ms", "must be 500 to 10000"));
        }
        if !(5..=120).contains(&ttl_s) {
            return Err(Error::invalid_field("ttl_s", "must be 5 to 120"));
        }
        Ok((Duration::from_millis(interval_ms.into()), Duration::from_secs(ttl_s.into())))
    }
}

/// Look at a server live.
///
/// Until `ttl_s` has passed, its samples come as `server.live` events at this interval. Ask again before that to go on.
#[utoipa::path(
    post,
    path = "/v1/servers/{id}/watch",
    operation_id = "servers_watch",
    tag = "servers",
    params(("id" = String, Path, description = "The server")),
    request_body = WatchRequest,
    responses((status = 204, description = "The agent is told, now or when it connects")),
)]
async fn watch(
    State(hub): State<App>,
    server: Authorized<Server, ServersRead>,
    Json(body): Json<WatchRequest>,
) -> Result<StatusCode> {
    let (interval, ttl) = body.parse()?;
    super::watch(&hub, &server, interval, ttl);
    Ok(StatusCode::NO_CONTENT)
}

/// The object's version as entity tag, for `If-Match`.
fn tagged(version: i64) -> Result<HeaderMap> {
    let tag = etag::of_version(version).parse().map_err(Error::internal)?;
    Ok(HeaderMap::from_iter([(header::ETAG, tag)]))
}

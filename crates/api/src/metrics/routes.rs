//! `GET /v1/servers/{id}/metrics`.
#![expect(unused_qualifications, reason = "the path macro names argument types by their path")]

use std::collections::BTreeMap;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::query::{self, Range};
use super::series::Shown;
use crate::access::Authorized;
use crate::access::verbs::ServersRead;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::http::ErrorBody;
use crate::http::extract::{CommaList, Json, Query};
use crate::hub::App;
use crate::servers::Server;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get))
}

/// What to chart.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ChartQuery {
    /// Where to begin, RFC 3339 or Unix seconds; an hour before `to` unless told.
    from: Option<String>,
    /// Where to end, RFC 3339 or Unix seconds; now unless told.
    to: Option<String>,
    /// Seconds between two points. Without it the hub picks one that gives 600 points at most. Below 60 there are only
    /// the last minutes, and only while somebody looks.
    #[param(minimum = 1)]
    step: Option<u32>,
    /// Names of series, separated by commas; all of them unless told.
    #[serde(default)]
    #[param(value_type = Option<String>, example = "cpu.percent,memory.percent")]
    series: CommaList<String>,
}

impl ChartQuery {
    fn range(&self, now: Timestamp) -> Result<Range> {
        let moment = |field, text: Option<&String>| text.map(|text| query::parse_moment(field, text)).transpose();
        // The second that is running shows as well.
        let to_s = moment("to", self.to.as_ref())?.unwrap_or(now.as_s() + 1);
        let from_s = moment("from", self.from.as_ref())?.unwrap_or(to_s - 3600);
        if self.step == Some(0) {
            return Err(Error::invalid_field("step", "must be at least 1"));
        }
        Ok(Range { from_s, to_s, step_s: self.step.map(i64::from) })
    }

    fn series(&self) -> Result<Vec<Shown>> {
        if self.series.0.is_empty() {
            return Ok(Shown::all().collect());
        }
        let parse = |name: &String| {
            let name: String = name.chars().take(100).collect();
            Shown::parse(&name).ok_or_else(|| Error::invalid_field("series", format!("{name:?} is not known here")))
        };
        self.series.0.iter().map(parse).collect()
    }
}

/// Series ready to draw.
#[derive(Debug, Serialize, ToSchema)]
struct Metrics {
    /// Where they begin.
    from: Timestamp,
    /// Where they end.
    to: Timestamp,
    /// Seconds between two points.
    step_s: i64,
    /// The points' moments, Unix seconds.
    t: Vec<i64>,
    /// One value per point and series; gaps are null.
    series: BTreeMap<&'static str, Vec<Option<f64>>>,
}

/// How a server was doing.
#[utoipa::path(
    get,
    path = "/v1/servers/{id}/metrics",
    operation_id = "servers_metrics",
    tag = "servers",
    params(("id" = String, Path, description = "The server"), ChartQuery),
    responses(
        (status = 200, description = "Series of the same points", body = Metrics),
        (status = 422, description = "The times or the step make no sense", body = ErrorBody),
    ),
)]
async fn get(
    State(hub): State<App>,
    server: Authorized<Server, ServersRead>,
    Query(chart): Query<ChartQuery>,
) -> Result<Json<Metrics>> {
    let now = hub.now();
    let range = chart.range(now)?;
    let shown = chart.series()?;
    let plan = query::plan(range, now.as_s(), &hub.config.retention)?;
    let rows = query::rows(&hub, server.resource.id, &plan).await?;
    let values = |shown: Shown| (shown.name(), rows.iter().map(|row| shown.value(row)).collect());
    Ok(Json(Metrics {
        from: Timestamp::from_ms(range.from_s * 1000),
        to: Timestamp::from_ms(range.to_s * 1000),
        step_s: plan.step_s,
        t: plan.moments().collect(),
        series: shown.into_iter().map(values).collect(),
    }))
}

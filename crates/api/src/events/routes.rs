//! GET /v1/events

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::follow::follow;
use super::model::StreamEvent;
use crate::access::Visible;
use crate::access::verbs::EventsRead;
use crate::error::Result;
use crate::http::sse;
use crate::hub::App;

/// The routes of this slice.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(events_follow))
}

/// Follow what changes
///
/// Server-sent events: every change that the caller may see. `data` is a `StreamEvent`. The first event is `hello`.
/// `Last-Event-ID` resumes: nothing is missed and nothing comes twice. Changes are kept for a day; after an older id
/// comes `reset`, and everything must be read again. `server.live` is never replayed.
#[utoipa::path(
    get,
    path = "/v1/events",
    operation_id = "events_follow",
    tag = "events",
    params(("last-event-id" = Option<String>, Header, description = "Resume after this event")),
    responses(
        (status = 200, description = "The stream", content_type = "text/event-stream", body = StreamEvent),
    )
)]
async fn events_follow(State(hub): State<App>, visible: Visible<EventsRead>, headers: HeaderMap) -> Result<Response> {
    let events = follow(App::clone(&hub), &visible.actor, sse::last_event_id(&headers)).await?;
    sse::respond(&hub, &visible.actor, events)
}

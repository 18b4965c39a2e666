//! `/v1/installation`: what whoever runs the hub set, and whether mail works.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::verbs::HubManage;
use crate::access::{Authorized, Installation};
use crate::auth::Email;
use crate::config::OidcProvider;
use crate::db::Engine;
use crate::error::Result;
use crate::http::extract::Json;
use crate::hub::App;
use crate::mail;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get)).routes(routes!(mail_test))
}

/// This hub as it was set up.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Installation)]
struct InstallationView {
    version: &'static str,
    /// How browsers and agents reach it.
    public_url: String,
    /// How it sends mail; null: it does not.
    #[schema(required)]
    mail: Option<MailView>,
    /// Where people can sign in besides.
    providers: Vec<ProviderView>,
    /// Whether people can have passkeys: browsers refuse them where a hub has no name.
    passkeys: bool,
    database: DatabaseView,
}

/// How mail is sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InstallationMail)]
struct MailView {
    host: String,
    port: u16,
    /// `starttls`, `tls` or `none`.
    tls: &'static str,
    from: String,
}

/// A provider of identities.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InstallationProvider)]
struct ProviderView {
    id: String,
    name: String,
    issuer: String,
}

impl ProviderView {
    fn of(provider: &OidcProvider) -> Self {
        let OidcProvider { id, name, issuer, .. } = provider;
        Self { id: id.clone(), name: name.clone(), issuer: issuer.clone() }
    }
}

/// What keeps the rows.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = InstallationDatabase)]
enum DatabaseView {
    Sqlite,
    Postgresql,
}

/// How this hub was set up
///
/// For whoever runs the hub: needs `hub.manage` in its first workspace.
#[utoipa::path(
    get, path = "/v1/installation", operation_id = "installation_get", tag = "installation",
    responses((status = 200, description = "Its settings, without secrets", body = InstallationView))
)]
async fn get(
    State(hub): State<App>,
    _installation: Authorized<Installation, HubManage>,
) -> Result<Json<InstallationView>> {
    let mail = hub.config.mail.as_ref().map(|mail| MailView {
        host: mail.host.clone(),
        port: mail.port,
        tls: mail.tls.as_str(),
        from: mail.from.to_string(),
    });
    Ok(Json(InstallationView {
        version: env!("CARGO_PKG_VERSION"),
        public_url: hub.config.public_url.to_string(),
        mail,
        providers: hub.config.oidc.iter().map(ProviderView::of).collect(),
        passkeys: hub.config.public_url.ip().is_none(),
        database: match hub.db.engine() {
            Engine::Sqlite => DatabaseView::Sqlite,
            Engine::Postgres => DatabaseView::Postgresql,
        },
    }))
}

#[derive(Debug, Deserialize, ToSchema)]
struct MailTestForm {
    /// Where to.
    to: Email,
}

#[derive(Debug, Serialize, ToSchema)]
struct MailTested {
    /// The server took it.
    accepted: bool,
    /// What it said.
    response: String,
}

/// Send a mail now, to see whether mail works
///
/// 422 and 503 hold what the mail server said. Needs `hub.manage` in the hub's first workspace.
#[utoipa::path(
    post, path = "/v1/installation/mail-test", operation_id = "installation_mail_test", tag = "installation",
    request_body = MailTestForm,
    responses((status = 200, description = "The mail server took it", body = MailTested))
)]
async fn mail_test(
    State(hub): State<App>,
    _installation: Authorized<Installation, HubManage>,
    Json(form): Json<MailTestForm>,
) -> Result<Json<MailTested>> {
    let response = mail::test(&hub, form.to.as_str()).await?;
    Ok(Json(MailTested { accepted: true, response }))
}

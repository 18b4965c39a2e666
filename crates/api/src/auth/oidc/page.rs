//! Answers to browsers that come back from a provider: pages without a script that go on by themselves.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::super::totp::escaped;
use super::flow::{Flow, Purpose};
use crate::error::{Error, Result};

/// Why somebody is not in, as the dashboard is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The provider, or the person there, said no.
    Denied,
    /// Something does not fit, or the provider cannot be asked; the log says what.
    Failed,
    /// Nobody here, and no group of theirs gives them anything.
    UnknownAccount,
    /// It took too long, or it was not begun in this browser.
    Expired,
    /// There is an account with this address: its owner must link the provider.
    AddressTaken,
    /// Another account is linked with this person of the provider.
    IdentityTaken,
    /// A second factor of ours is needed as well.
    SecondFactor,
}

impl Refusal {
    const fn code(self) -> &'static str {
        match self {
            Self::Denied => "oidc_denied",
            Self::Failed => "oidc_failed",
            Self::UnknownAccount => "oidc_unknown_account",
            Self::Expired => "oidc_expired",
            Self::AddressTaken => "oidc_address_taken",
            Self::IdentityTaken => "oidc_identity_taken",
            Self::SecondFactor => "oidc_second_factor",
        }
    }
}

/// Sends the browser to the provider.
pub(super) fn redirect(url: &str, cookie: HeaderValue) -> Result<Response> {
    let location = HeaderValue::from_str(url).map_err(Error::internal)?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location), (header::SET_COOKIE, cookie)]).into_response())
}

/// Goes on to a path of the dashboard, which [`super::flow::local`] let through.
pub(super) fn forward(path: &str, cookies: Vec<HeaderValue>) -> Response {
    let path = path.replace('&', "&amp;");
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Roadstead</title>\
         <meta http-equiv=\"refresh\" content=\"0; url={path}\"><p><a href=\"{path}\">Go on</a></p></html>"
    );
    let content_type = HeaderValue::from_static("text/html; charset=utf-8");
    let mut response = ([(header::CONTENT_TYPE, content_type)], page).into_response();
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Says on the dashboard why not: on the sign-in page, or where somebody came from who is signed in.
pub(super) fn refusal(flow: &Flow, refusal: Refusal, cookies: Vec<HeaderValue>) -> Response {
    let code = refusal.code();
    let path = match flow.purpose {
        Purpose::SignIn => format!("/sign-in#error={code}&return_to={}", escaped(&flow.return_to)),
        Purpose::Link(..) | Purpose::StepUp(..) => format!("{}#error={code}", flow.return_to),
    };
    forward(&path, cookies)
}

/// Nobody knows where this browser came from.
pub(super) fn lost(cookie: HeaderValue) -> Response {
    forward(&format!("/sign-in#error={}", Refusal::Expired.code()), vec![cookie])
}

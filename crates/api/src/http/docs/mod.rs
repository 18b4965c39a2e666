//! The user guide and the reference of the API, as plain pages.

mod markdown;
mod reference;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::extract::Path;
use crate::error::{Error, Result};
use crate::hub::App;

include!(concat!(env!("OUT_DIR"), "/guide.rs"));

const STYLE: &str = include_str!("style.css");
const START: &str = "index";

/// Rendered once: they never change while the hub runs.
static RENDERED: LazyLock<BTreeMap<&'static str, String>> = LazyLock::new(|| {
    let pages = PAGES.iter().map(|(name, text)| {
        let (title, body) = markdown::render(text);
        (*name, page(&title, name, &body))
    });
    pages.collect()
});
static REFERENCE: LazyLock<Result<String>> =
    LazyLock::new(|| Ok(page("API reference", "api", &reference::render(&super::openapi())?)));

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/docs", get(start))
        .route("/docs/api", get(api))
        .route("/docs/style.css", get(style))
        .route("/docs/{page}", get(guide))
}

async fn start() -> Result<Response> {
    find(START)
}

async fn guide(Path(name): Path<String>) -> Result<Response> {
    find(&name)
}

async fn api(_request: Request) -> Response {
    match &*REFERENCE {
        Ok(html) => html_response(html),
        Err(error) => Error::internal(error.to_string()).into_response(),
    }
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")], STYLE).into_response()
}

fn find(name: &str) -> Result<Response> {
    let html = RENDERED.get(name).ok_or_else(|| Error::not_found("page of the user guide"))?;
    Ok(html_response(html))
}

fn html_response(html: &'static str) -> Response {
    let mut response = html.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn page(title: &str, name: &str, body: &str) -> String {
    let mut links = String::new();
    let entries = PAGES.iter().map(|(page, text)| (*page, markdown::title(text)));
    let entries = entries.filter(|(page, _)| *page != START).chain([("api", "API reference".to_owned())]);
    for (page, label) in std::iter::once((START, "User guide".to_owned())).chain(entries) {
        let here = if page == name { " aria-current=\"page\"" } else { "" };
        let path = if page == START { "/docs".to_owned() } else { format!("/docs/{page}") };
        links.push_str(&format!("<li><a href=\"{path}\"{here}>{}</a></li>\n", markdown::escape(&label)));
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} · Roadstead</title>\n\
         <link rel=\"stylesheet\" href=\"/docs/style.css\">\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#content\">Skip to the content</a>\n\
         <nav aria-label=\"User guide\">\n<a class=\"home\" href=\"/\">Roadstead</a>\n<ul>\n{links}</ul>\n</nav>\n\
         <main id=\"content\">\n{body}</main>\n</body>\n</html>\n",
        title = markdown::escape(title),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_the_guide_lead_somewhere() {
        let names: Vec<_> = PAGES.iter().map(|(name, _)| *name).collect();
        assert!(names.contains(&START));
        for (name, html) in RENDERED.iter() {
            for target in html.split("href=\"/docs/").skip(1).filter_map(|rest| rest.split(['"', '#']).next()) {
                let known = names.contains(&target) || matches!(target, "api" | "style.css");
                assert!(known, "{name}: no page {target}");
            }
        }
    }

    #[test]
    fn pages_need_nothing_that_the_policy_forbids() {
        let reference = REFERENCE.as_ref().unwrap();
        for html in RENDERED.values().chain([reference]) {
            for forbidden in ["<script", "<style", " style=\"", "javascript:", " onclick"] {
                assert!(!html.contains(forbidden), "{forbidden}");
            }
        }
        assert!(reference.contains("install_tokens_create"));
    }

    #[test]
    fn the_error_list_is_the_one_in_the_code() {
        let Some((_, text)) = PAGES.iter().find(|(name, _)| *name == "errors") else {
            panic!("docs/errors.md is missing");
        };
        let mut listed = Vec::new();
        for line in text.lines().filter(|line| line.starts_with("| `")) {
            listed.push(line.to_owned());
        }
        let expected: Vec<_> = crate::error::ErrorCode::ALL
            .iter()
            .map(|code| format!("| `{}` | {} | {} |", code.as_str(), code.status().as_u16(), code.meaning()))
            .collect();
        assert_eq!(listed, expected, "docs/errors.md must list:\n{}", expected.join("\n"));
    }
}

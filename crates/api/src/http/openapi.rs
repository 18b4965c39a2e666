//! The OpenAPI document: what the slices' routes say, completed with what holds for all of them.

mod examples;

use std::sync::LazyLock;

use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ContentBuilder, Info, License, OpenApi, Ref, RefOr, ResponseBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};

use examples::Examples;

use super::extract::Json;
use super::page::Limit;
use super::router;
use crate::enrollment::Target;

const ERROR_RESPONSE: &str = "Error";
const ERROR_SCHEMA: &str = "ErrorBody";
const DESCRIPTION: &str = "Everything that the dashboard does goes through this API. Callers sign in with \
`POST /v1/auth/login` and send the cookie. Errors have one shape, `{\"error\":{\"code\",\"message\",\"details\"}}`, and \
every answer carries `x-request-id`. Lists are paged by `limit` and `cursor`; unknown parameters and fields are rejected.";

/// The document of this version of the hub.
#[must_use]
pub fn openapi() -> OpenApi {
    finish(router::api().into_openapi())
}

/// GET /v1/openapi.json
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    operation_id = "openapi_get",
    tag = "meta",
    security(()),
    responses((status = 200, description = "This document", body = Object))
)]
pub(super) async fn openapi_get() -> Response {
    // Made once: it does not change while the hub runs.
    static DOCUMENT: LazyLock<OpenApi> = LazyLock::new(openapi);
    Json(&*DOCUMENT).into_response()
}

/// Every error of the API.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
struct ErrorDetail {
    /// For programs: one of the codes of the error list.
    code: String,
    /// For people.
    message: String,
    /// For programs: `fields` with `validation_failed`, `id` where a resource is meant.
    #[schema(value_type = Option<Object>)]
    details: Option<serde_json::Value>,
}

fn finish(mut document: OpenApi) -> OpenApi {
    let mut info = Info::new("Roadstead", env!("CARGO_PKG_VERSION"));
    info.description = Some(DESCRIPTION.to_owned());
    let mut licence = License::new("Apache-2.0");
    licence.identifier = Some("Apache-2.0".to_owned());
    info.license = Some(licence);
    document.info = info;
    document.servers = Some(vec![utoipa::openapi::Server::new("/")]);
    document.security = Some(vec![
        SecurityRequirement::new("session", [] as [&str; 0]),
        SecurityRequirement::new("api_key", [] as [&str; 0]),
    ]);

    let components = document.components.get_or_insert_default();
    let cookie = ApiKeyValue::with_description("__Host-roadstead_session", "Set by `POST /v1/auth/login`.");
    components.security_schemes.insert("session".to_owned(), SecurityScheme::ApiKey(ApiKey::Cookie(cookie)).into());
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An API key, `rsk_…`.")).build();
    components.security_schemes.insert("api_key".to_owned(), SecurityScheme::Http(bearer).into());
    let mut schemas: Vec<(String, RefOr<Schema>)> = vec![
        (ERROR_SCHEMA.to_owned(), ErrorBody::schema()),
        // utoipa collects what bodies refer to, but not what parameters refer to.
        (Limit::name().into_owned(), Limit::schema()),
        (Target::name().into_owned(), Target::schema()),
    ];
    ErrorBody::schemas(&mut schemas);
    components.schemas.extend(schemas);
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ERROR_SCHEMA))).build();
    let error =
        ResponseBuilder::new().description("An error; `error.code` says which").content("application/json", content);
    components.responses.insert(ERROR_RESPONSE.to_owned(), error.build().into());

    let schemas = serde_json::to_value(&components.schemas).unwrap_or_default();
    let mut examples = Examples::new(&schemas);
    for (path, item) in &mut document.paths.paths {
        for (changes, operation) in operations_mut(item) {
            examples.add_to(operation);
            for status in refusals(path, changes, operation) {
                let error = RefOr::Ref(Ref::from_response_name(ERROR_RESPONSE));
                operation.responses.responses.entry(status.to_owned()).or_insert(error);
            }
        }
    }
    document
}

/// Statuses that a kind of operation can be refused with; what only one route has stands at that route.
fn refusals(path: &str, changes: bool, operation: &Operation) -> Vec<&'static str> {
    let mut statuses = vec!["400", "421", "429", "500", "503"];
    let is_open = operation.security.as_ref().is_some_and(|security| *security == [SecurityRequirement::default()]);
    if !is_open {
        statuses.extend(["401", "403"]);
    }
    if path.contains('{') {
        statuses.push("404");
    }
    if operation.request_body.is_some() {
        statuses.extend(["413", "415", "422"]);
    }
    if changes {
        // A session of another site; the state of the thing; an idempotency key that came with another body.
        statuses.extend(["403", "409"]);
    }
    if takes_if_match(operation) {
        statuses.push("412");
    }
    statuses
}

fn takes_if_match(operation: &Operation) -> bool {
    let mut parameters = operation.parameters.iter().flatten();
    parameters.any(|parameter| matches!(parameter, RefOr::T(it) if it.name.eq_ignore_ascii_case("if-match")))
}

/// Each operation, and whether it changes something.
fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = (bool, &mut Operation)> {
    let changing = [&mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten();
    item.get.iter_mut().map(|operation| (false, operation)).chain(changing.map(|operation| (true, operation)))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;

    #[test]
    fn operation_ids_are_given_and_unique() {
        let mut seen = BTreeMap::new();
        for (path, mut item) in openapi().paths.paths {
            for (_, operation) in operations_mut(&mut item) {
                let id = operation.operation_id.clone().unwrap_or_default();
                assert!(id.contains('_'), "{path}: operation id {id:?} must be <slice>_<verb>");
                assert!(operation.tags.as_ref().is_some_and(|tags| tags.len() == 1), "{path}: one tag");
                if let Some(other) = seen.insert(id.clone(), path.clone()) {
                    panic!("{id} names both {other} and {path}");
                }
            }
        }
    }

    /// Names of the schemas that an answer can hold.
    fn answered(document: &Value) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let mut open: Vec<&Value> = Vec::new();
        for item in document["paths"].as_object().unwrap().values() {
            open.extend(item.as_object().unwrap().values().map(|operation| &operation["responses"]));
        }
        while let Some(value) = open.pop() {
            match value {
                Value::Object(fields) => {
                    open.extend(fields.values());
                    let name = fields.get("$ref").and_then(Value::as_str).and_then(|name| name.rsplit('/').next());
                    if let Some(name) = name.filter(|name| names.insert((*name).to_owned())) {
                        open.push(&document["components"]["schemas"][name]);
                    }
                }
                Value::Array(items) => open.extend(items),
                _ => {}
            }
        }
        names
    }

    #[test]
    fn what_may_be_null_is_always_there() {
        let document = serde_json::to_value(openapi()).unwrap();
        let mut missing = Vec::new();
        for name in answered(&document) {
            let schema = &document["components"]["schemas"][&name];
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            for (field, property) in schema["properties"].as_object().into_iter().flatten() {
                let null = |kind: &Value| kind == "null" || kind["type"] == "null";
                let parts = [&property["type"], &property["oneOf"]].into_iter().filter_map(Value::as_array);
                if parts.flatten().any(null) && !required.iter().any(|one| one == field.as_str()) {
                    missing.push(format!("{name}.{field}"));
                }
            }
        }
        // Left out where they do not apply, as their documentation says.
        let optional = ["ErrorDetail.details", "LogChunk.gap_bytes", "Server.spark"];
        // Answered as they were given: what a caller left out stays out.
        let given = ["ExecArgs.", "JobBatchSelector.", "JobLimits.", "PolicyRules."];
        missing.retain(|field| {
            !optional.contains(&field.as_str()) && !given.iter().any(|schema| field.starts_with(schema))
        });
        assert!(missing.is_empty(), "mark these with #[schema(required)]: {missing:?}");
    }

    #[test]
    fn the_document_is_complete() {
        let document = serde_json::to_value(openapi()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["info"]["license"]["identifier"], "Apache-2.0");
        let errors = "#/components/responses/Error";
        assert_eq!(document["paths"]["/v1/openapi.json"]["get"]["responses"]["503"]["$ref"], errors);
        assert_eq!(document["paths"]["/v1/servers/{id}"]["patch"]["responses"]["412"]["$ref"], errors);
        assert!(document["components"]["schemas"]["ErrorDetail"].is_object());
    }

    #[test]
    fn everything_that_is_referred_to_is_there() {
        fn references(value: &serde_json::Value, found: &mut Vec<String>) {
            match value {
                serde_json::Value::Object(fields) => {
                    found.extend(fields.get("$ref").and_then(|it| it.as_str()).map(str::to_owned));
                    fields.values().for_each(|field| references(field, found));
                }
                serde_json::Value::Array(items) => items.iter().for_each(|item| references(item, found)),
                _ => {}
            }
        }
        let document = serde_json::to_value(openapi()).unwrap();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference} leads nowhere");
        }
    }
}

//! Examples of what is sent and answered, made from the schemas and a list of what such fields usually hold.
//!
//! Nobody has to remember to write one for a new route, and none can name a field that is not there any more. What a
//! field's name does not tell stands in [`FIELDS`]; a test fails on a text that is in no list.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use utoipa::openapi::path::Operation;
use utoipa::openapi::{Content, RefOr};

/// Schemas refer to each other at most this deep.
const MAX_DEPTH: usize = 32;
const ID: &str = "019a8c1e-5b7a-7c40-9f3d-2a6e8b1c4d5f";
const DIGEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl ann@laptop";
const SIGNATURE: &str = "-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQ…\n-----END SSH SIGNATURE-----";

/// By the name of a schema, `Schema.field`, or a field anywhere: the first that fits.
static FIELDS: LazyLock<Vec<(&str, Value)>> = LazyLock::new(|| {
    vec![
        ("Timestamp", json!("2026-11-21T12:00:00.000Z")),
        ("Email", json!("ann@example.com")),
        ("Password", json!("correct horse battery staple")),
        ("NewPassword", json!("correct horse battery staple")),
        ("OneTimeCode", json!("492039")),
        ("Cursor", json!("MDE5YThjMWU")),
        ("PersonName", json!("Ann")),
        ("ProjectName", json!("Shop")),
        ("RoleName", json!("Deployer")),
        ("KeyName", json!("nightly report")),
        ("PlanName", json!("Team")),
        ("WorkspaceName", json!("Example Ltd")),
        ("NodeSet", json!(["servers.read", "jobs.read"])),
        // What one of several exclusive things says.
        ("ExecArgs", json!({ "command": "uptime" })),
        ("JobBatchSelector", json!({ "labels": { "role": "web" } })),
        ("JobSigning.op_body", json!("{\"job_id\":\"…\",\"kind\":\"exec\",…}")),
        ("Interface.name", json!("eth0")),
        ("Filesystem.fs", json!("ext4")),
        ("ErrorDetail.code", json!("not_found")),
        ("ErrorDetail.details", Value::Null),
        ("JobError.code", json!("worker_killed")),
        ("SetupForm.code", json!("4F7K-92QD")),
        ("AuditParty.type", json!("user")),
        ("JobCreator.type", json!("user")),
        ("StreamEvent.type", json!("server.status")),
        ("AuditRecord.server_id", Value::Null),
        ("AgentInfo.version", json!("0.1.0")),
        ("Health.version", json!("0.1.0")),
        ("RegisterRequest.token", json!("rsi_7Q…")),
        ("MintedToken.command", json!("curl -fsS https://hub.example.com/install.sh | RS_TOKEN=rsi_7Q… sh")),
        ("MintedToken.token", json!("rsi_7Q…")),
        ("ApiKeyCreated.token", json!("rsk_5d…")),
        ("InviteCreated.url", json!("https://hub.example.com/invite#rsv_3k…")),
        ("InviteCreated.token", json!("rsv_3k…")),
        ("EmailPending.pending", json!("ann@example.net")),
        ("EmailChangeCompletion.token", json!("rsec_9d…")),
        ("Events", json!(["member.*", "server.delete"])),
        ("WebhookName", json!("chat")),
        ("Installation.version", json!("0.1.0")),
        ("Features", json!(["white_label"])),
        ("AgentInfo.capabilities", json!(["exec"])),
        ("Policy.denied_kinds", json!([])),
        ("PolicyRules.kinds", json!(["exec"])),
        ("PolicyRules.paths", json!(["/srv"])),
        ("PolicyRules.users", json!(["deploy"])),
        // By the field alone.
        ("next_cursor", Value::Null),
        ("halt", Value::Null),
        ("problem", Value::Null),
        ("rotation", Value::Null),
        ("retry_of", Value::Null),
        ("batch_id", Value::Null),
        ("signal", Value::Null),
        ("error", Value::Null),
        ("disabled_reason", Value::Null),
        ("from", json!("Roadstead <hub@example.com>")),
        ("action", json!("server.update")),
        ("agent_token", json!("rsa_8h…")),
        ("agent_version", json!("0.1.0")),
        ("arch", json!("x86_64")),
        ("boot_id", json!("2f1c0d0e-7c0f-4a34-8d0b-8f6a1f6b1a52")),
        ("command", json!("uptime")),
        ("comment", json!("ann@laptop")),
        ("cwd", json!("/srv/shop")),
        ("code", json!("492039")),
        ("email", json!("ann@example.com")),
        ("env", json!({ "LANG": "C.UTF-8" })),
        ("event", json!("member.join")),
        ("fingerprint", json!("SHA256:uNiVztksCsDhcc0u9e8BrrJXVGDHZ5cUbC4w0TnVu4k")),
        ("hash", json!(DIGEST)),
        ("host", json!("mail.example.com")),
        ("hostname", json!("web-1")),
        ("hub_fingerprint", json!(DIGEST)),
        ("hub_key", json!("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")),
        ("hub_key_id", json!("9f86d081884c7d65")),
        ("id", json!(ID)),
        ("ip", json!("203.0.113.7")),
        ("issuer", json!("https://login.example.com")),
        ("kernel", json!("6.1.0-18-amd64")),
        ("key_name", json!("laptop")),
        ("kind", json!("exec")),
        ("labels", json!({ "role": "web" })),
        ("last_used_ip", json!("203.0.113.7")),
        ("location", json!("https://login.example.com/authorize?client_id=roadstead&…")),
        ("machine_id_hash", json!(DIGEST)),
        ("meaning", json!("See servers, their metrics and facts.")),
        ("message", json!("there is no such server")),
        ("mount", json!("/")),
        ("name", json!("web-1")),
        ("namespace", json!("roadstead-job")),
        ("networks", json!(["203.0.113.0/24"])),
        ("nonce", json!(DIGEST)),
        ("os", json!("linux")),
        ("os_version", json!("12")),
        ("otpauth_url", json!("otpauth://totp/Roadstead:ann@example.com?secret=JBSWY3DPEHPK3PXP&issuer=Roadstead")),
        ("prev_hash", json!(DIGEST)),
        ("public_url", json!("https://hub.example.com")),
        ("public_key", json!(KEY)),
        ("reason", json!("asked for by the person")),
        ("recovery_codes", json!(["k3v9-x7qd-m2hs", "p8rw-4tzn-c6fy"])),
        ("request_id", json!(ID)),
        ("response", json!("250 2.0.0 Ok: queued")),
        ("response_excerpt", json!("ok")),
        ("role_name", json!("Deployer")),
        ("scope_name", json!("Shop")),
        ("secret", json!("JBSWY3DPEHPK3PXP")),
        ("secret_env", json!({ "TOKEN": "not-printed" })),
        ("server_id", json!(ID)),
        ("server_ids", json!([ID])),
        ("server_name", json!("web-1")),
        ("sha256", json!(DIGEST)),
        ("signature", json!(SIGNATURE)),
        ("source", Value::Null),
        ("status", json!("ok")),
        ("stdin", json!("")),
        ("subject", json!("Ann")),
        ("subject_hint", json!("ann@example.com")),
        ("target", json!("x86_64")),
        ("text", json!("Listening on port 8080\n")),
        ("tls", json!("starttls")),
        ("to", json!("hooks.example.com")),
        ("token", json!("rsv_3k…")),
        ("url", json!("https://hooks.example.com/roadstead")),
        ("user", json!("root")),
        ("user_agent", json!("Mozilla/5.0 (X11; Linux x86_64) Firefox/133.0")),
        ("user_name", json!("Ann")),
        ("workspace", json!("Example Ltd")),
        ("ws_url", json!("wss://hub.example.com/v1/agent")),
    ]
});

/// Makes examples for the document's schemas.
pub(super) struct Examples<'d> {
    schemas: &'d Value,
    /// Texts that no list knows, as `Schema.field`.
    unknown: Vec<String>,
}

impl<'d> Examples<'d> {
    /// `schemas`: the document's `components.schemas`.
    pub(super) const fn new(schemas: &'d Value) -> Self {
        Self { schemas, unknown: Vec::new() }
    }

    /// Gives an operation examples of its body and of what it answers when all went well.
    pub(super) fn add_to(&mut self, operation: &mut Operation) {
        for (asks, content) in contents(operation) {
            let Some(schema) = content.schema.as_ref().filter(|_| content.example.is_none()) else { continue };
            let Ok(schema) = serde_json::to_value(schema) else { continue };
            content.example = Some(self.of(&schema, "", "", asks, 0));
        }
    }

    fn of(&mut self, schema: &Value, owner: &str, field: &str, asks: Asks, depth: usize) -> Value {
        if depth > MAX_DEPTH {
            return Value::Null;
        }
        if let Some(known) = known(&format!("{owner}.{field}")) {
            return known;
        }
        if let Some(name) = schema["$ref"].as_str().and_then(|target| target.rsplit('/').next()) {
            let schemas = self.schemas;
            return known(name).unwrap_or_else(|| self.of(&schemas[name], name, "", asks, depth + 1));
        }
        for stated in ["const", "example"] {
            if let Some(value) = schema.get(stated) {
                return value.clone();
            }
        }
        if let Some(values) = schema["enum"].as_array() {
            return values.first().cloned().unwrap_or_default();
        }
        for alternatives in ["oneOf", "anyOf"] {
            if let Some(schemas) = schema[alternatives].as_array() {
                let first = schemas.iter().find(|schema| schema["type"] != "null");
                return first.map(|first| self.of(first, owner, field, asks, depth + 1)).unwrap_or_default();
            }
        }
        if let Some(parts) = schema["allOf"].as_array() {
            let mut whole = Map::new();
            for part in parts {
                if let Value::Object(fields) = self.of(part, owner, field, asks, depth + 1) {
                    whole.extend(fields);
                }
            }
            return Value::Object(whole);
        }
        let kinds: Vec<&str> = match &schema["type"] {
            Value::String(kind) => vec![kind],
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if let Some(usual) = known(field).filter(|usual| kinds.contains(&kind_of(usual))) {
            return usual;
        }
        match kinds.into_iter().find(|kind| *kind != "null") {
            Some("object") => self.object(schema, owner, asks, depth),
            Some("array") => Value::Array(vec![self.of(&schema["items"], owner, field, asks, depth + 1)]),
            Some("string") => self.text(schema, owner, field),
            Some("integer") => number(schema, field),
            Some("number") => json!(12.5),
            Some("boolean") => json!(is_usually_true(field)),
            _ => Value::Null,
        }
    }

    fn object(&mut self, schema: &Value, owner: &str, asks: Asks, depth: usize) -> Value {
        let required =
            |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|one| one == name));
        let properties = schema["properties"].as_object();
        let mut fields = Map::new();
        for (name, property) in properties.into_iter().flatten() {
            // What may be left out of a body may also exclude what is not.
            let is_shown = match asks {
                Asks::Answer => true,
                Asks::Body => required(name) || !requires_something(schema),
            };
            if is_shown {
                fields.insert(name.clone(), self.of(property, owner, name, asks, depth + 1));
            }
        }
        if properties.is_none() && schema["additionalProperties"].is_object() {
            fields.insert("name".to_owned(), self.of(&schema["additionalProperties"], owner, "", asks, depth + 1));
        }
        Value::Object(fields)
    }

    fn text(&mut self, schema: &Value, owner: &str, field: &str) -> Value {
        match schema["format"].as_str() {
            Some("uuid") => json!(ID),
            Some("date-time") => json!("2026-11-21T12:00:00.000Z"),
            Some("password") => json!("correct horse battery staple"),
            _ => {
                self.unknown.push(format!("{owner}.{field}"));
                json!("…")
            }
        }
    }
}

/// Whether something is asked for or answered.
#[derive(Debug, Clone, Copy)]
enum Asks {
    Body,
    Answer,
}

/// The JSON that an operation takes, and that it answers when all went well.
fn contents(operation: &mut Operation) -> impl Iterator<Item = (Asks, &mut Content)> {
    const JSON: &str = "application/json";
    let body = operation.request_body.as_mut().and_then(stated).and_then(|body| body.content.get_mut(JSON));
    let answers = operation.responses.responses.iter_mut().filter(|(status, _)| status.starts_with('2'));
    let answers = answers.filter_map(|(_, answer)| stated(answer)?.content.get_mut(JSON));
    let all = body.into_iter().map(|body| (Asks::Body, body)).chain(answers.map(|answer| (Asks::Answer, answer)));
    all.filter_map(|(asks, content)| Some((asks, stated(content)?)))
}

/// What stands there itself.
const fn stated<T>(part: &mut RefOr<T>) -> Option<&mut T> {
    match part {
        RefOr::T(part) => Some(part),
        RefOr::Ref(_) => None,
    }
}

fn requires_something(schema: &Value) -> bool {
    schema["required"].as_array().is_some_and(|names| !names.is_empty())
}

fn known(name: &str) -> Option<Value> {
    FIELDS.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
}

/// The type of a value, as schemas name it.
const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A number that fits the unit in its name and the schema's bounds.
fn number(schema: &Value, field: &str) -> Value {
    let usual = match field {
        name if name.ends_with("_bytes") || name == "bytes" => 1_073_741_824,
        name if name.ends_with("_ms") => 1250,
        name if name.ends_with("_s") => 3600,
        name if name.ends_with("_days") => 30,
        "version" => 3,
        "exit_code" => 0,
        _ => 1,
    };
    let bound = |name: &str| schema[name].as_i64();
    json!(usual.max(bound("minimum").unwrap_or(usual)).min(bound("maximum").unwrap_or(i64::MAX)))
}

fn is_usually_true(field: &str) -> bool {
    field.starts_with("is_") || matches!(field, "enabled" | "ok" | "complete" | "valid" | "current")
}

#[cfg(test)]
mod tests {
    use super::super::{openapi, operations_mut};
    use super::*;

    #[test]
    fn every_body_and_answer_has_an_example_and_every_text_in_it_is_one() {
        let mut document = openapi();
        let schemas = serde_json::to_value(&document.components.as_ref().unwrap().schemas).unwrap();
        let mut examples = Examples::new(&schemas);
        let mut without = Vec::new();
        for (path, item) in &mut document.paths.paths {
            for (_, operation) in operations_mut(item) {
                for (_, content) in contents(operation) {
                    if content.example.take().is_none() {
                        without.push(path.clone());
                    }
                }
                examples.add_to(operation);
            }
        }
        assert!(without.is_empty(), "{without:#?}");
        assert!(examples.unknown.is_empty(), "add these to FIELDS: {:#?}", examples.unknown);
    }

    #[test]
    fn what_is_known_is_used() {
        let schemas = openapi().components.unwrap().schemas;
        let document = serde_json::to_value(&schemas).unwrap().to_string();
        for (name, _) in &*FIELDS {
            let field = name.rsplit('.').next().unwrap();
            assert!(document.contains(&format!("\"{field}\"")), "{name} is in no schema");
        }
    }
}

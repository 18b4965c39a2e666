//! The OpenAPI document as a page that people can read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};
use utoipa::openapi::OpenApi;

use super::markdown::{self, escape};
use crate::error::{Error, Result};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// One operation with its place.
struct Operation<'d> {
    method: &'static str,
    path: &'d str,
    content: &'d Map<String, Value>,
}

pub(super) fn render(document: &OpenApi) -> Result<String> {
    let document = serde_json::to_value(document).map_err(Error::internal)?;
    let mut html = String::from("<h1>API reference</h1>\n");
    html.push_str(&text_of(field(&document, "/info/description")));
    html.push_str("<p>The same for programs: <a href=\"/v1/openapi.json\">/v1/openapi.json</a>.</p>\n");
    let by_tag = operations(&document);
    html.push_str("<ul class=\"index\">\n");
    for (tag, operations) in &by_tag {
        let _ = writeln!(html, "<li><a href=\"#{0}\">{0}</a> <small>{1}</small></li>", escape(tag), operations.len());
    }
    html.push_str("<li><a href=\"#schemas\">schemas</a></li>\n</ul>\n");
    for (tag, operations) in &by_tag {
        let _ = writeln!(html, "<h2 id=\"{0}\">{0}</h2>", escape(tag));
        for operation in operations {
            write_operation(&mut html, operation);
        }
    }
    html.push_str("<h2 id=\"schemas\">Schemas</h2>\n");
    for (name, schema) in entries(field(&document, "/components/schemas")) {
        let _ = writeln!(html, "<section>\n<h3 id=\"schema-{0}\">{0}</h3>", escape(name));
        html.push_str(&text_of(&schema["description"]));
        write_schema(&mut html, schema);
        html.push_str("</section>\n");
    }
    Ok(html)
}

fn operations(document: &Value) -> BTreeMap<&str, Vec<Operation<'_>>> {
    let mut by_tag: BTreeMap<&str, Vec<Operation<'_>>> = BTreeMap::new();
    for (path, item) in entries(&document["paths"]) {
        for method in METHODS {
            let Some(content) = item[method].as_object() else { continue };
            let tag = content.get("tags").and_then(|tags| tags[0].as_str()).unwrap_or("other");
            by_tag.entry(tag).or_default().push(Operation { method, path, content });
        }
    }
    by_tag
}

fn write_operation(html: &mut String, operation: &Operation<'_>) {
    let part = |name: &str| operation.content.get(name).unwrap_or(&Value::Null);
    let id = part("operationId").as_str().unwrap_or_default();
    let _ = writeln!(
        html,
        "<section>\n<h3 id=\"{id}\"><code class=\"{method}\">{method}</code> <code>{path}</code></h3>",
        id = escape(id),
        method = operation.method,
        path = escape(operation.path),
    );
    if let Some(summary) = part("summary").as_str() {
        let _ = writeln!(html, "<p><strong>{}</strong></p>", escape(summary));
    }
    html.push_str(&text_of(part("description")));
    write_parameters(html, part("parameters"));
    for (kind, content) in entries(&part("requestBody")["content"]) {
        let _ = writeln!(html, "<p>Body, <code>{}</code>: {}</p>", escape(kind), type_of(&content["schema"]));
        write_example(html, content);
    }
    html.push_str("<ul>\n");
    for (status, response) in entries(part("responses")) {
        let shown = if status == "default" { "otherwise" } else { status };
        let what = response["description"].as_str().unwrap_or("an error");
        let _ = write!(html, "<li><code>{}</code> {}", escape(shown), escape(what));
        if status == "default" {
            html.push_str(": <a href=\"#schema-ErrorBody\">ErrorBody</a>");
        }
        for (kind, content) in entries(&response["content"]) {
            let _ = write!(html, ", <code>{}</code>: {}", escape(kind), type_of(&content["schema"]));
        }
        entries(&response["content"]).for_each(|(_, content)| write_example(html, content));
        html.push_str("</li>\n");
    }
    html.push_str("</ul>\n</section>\n");
}

/// What it may look like, folded: the fields stand in the schema.
fn write_example(html: &mut String, content: &Value) {
    if let Some(example) = content.get("example") {
        let _ = writeln!(
            html,
            "<details><summary>Example</summary><pre><code>{}</code></pre></details>",
            escape(&format!("{example:#}"))
        );
    }
}

fn write_parameters(html: &mut String, parameters: &Value) {
    let rows: Vec<_> = parameters.as_array().into_iter().flatten().collect();
    if rows.is_empty() {
        return;
    }
    html.push_str("<div class=\"wide\" tabindex=\"0\"><table>\n<thead><tr><th>Parameter</th><th>In</th><th>Type</th><th>What</th></tr></thead>\n<tbody>\n");
    for row in rows {
        let required = if row["required"] == true { " <small>required</small>" } else { "" };
        let _ = writeln!(
            html,
            "<tr><td><code>{}</code>{required}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(row["name"].as_str().unwrap_or_default()),
            escape(row["in"].as_str().unwrap_or_default()),
            type_of(&row["schema"]),
            escape(row["description"].as_str().unwrap_or_default()),
        );
    }
    html.push_str("</tbody></table></div>\n");
}

fn write_schema(html: &mut String, schema: &Value) {
    let mut properties = entries(&schema["properties"]).peekable();
    if properties.peek().is_none() {
        let _ = writeln!(html, "<p>{}</p>", type_of(schema));
        return;
    }
    let required = |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|one| one == name));
    html.push_str("<div class=\"wide\" tabindex=\"0\"><table>\n<thead><tr><th>Field</th><th>Type</th><th>What</th></tr></thead>\n<tbody>\n");
    for (name, property) in properties {
        let mark = if required(name) { "" } else { " <small>optional</small>" };
        let _ = writeln!(
            html,
            "<tr><td><code>{}</code>{mark}</td><td>{}</td><td>{}</td></tr>",
            escape(name),
            type_of(property),
            escape(property["description"].as_str().unwrap_or_default()),
        );
    }
    html.push_str("</tbody></table></div>\n");
}

/// A type in words, as HTML.
fn type_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|target| target.rsplit('/').next()) {
        return format!("<a href=\"#schema-{0}\">{0}</a>", escape(name));
    }
    for (key, joint) in [("oneOf", " or "), ("anyOf", " or "), ("allOf", " and ")] {
        if let Some(parts) = schema[key].as_array() {
            return parts.iter().map(type_of).collect::<Vec<_>>().join(joint);
        }
    }
    if let Some(values) = schema["enum"].as_array() {
        let values = values.iter().map(|value| format!("<code>{}</code>", escape(value.as_str().unwrap_or("null"))));
        return values.collect::<Vec<_>>().join(", ");
    }
    let names: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => vec!["any"],
    };
    let words = names.into_iter().map(|name| match name {
        "array" => format!("list of {}", type_of(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => {
            format!("map to {}", type_of(&schema["additionalProperties"]))
        }
        other => match schema["format"].as_str() {
            Some(format) if other != "null" => format!("{} <small>{}</small>", escape(other), escape(format)),
            _ => escape(other),
        },
    });
    words.collect::<Vec<_>>().join(" or ")
}

/// The value at a JSON pointer; null when there is none.
fn field<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

fn text_of(description: &Value) -> String {
    description.as_str().map(|text| markdown::render(text).1).unwrap_or_default()
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

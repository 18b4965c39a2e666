//! Turns serde's messages into the rest of a sentence about one field.

use std::fmt::Display;

/// At most this many unknown names are listed.
pub(super) const MAX_LISTED: usize = 20;
const MAX_NAME: usize = 100;

/// Field and problem of a value that does not fit its type. Serde quotes the offending value; the caller knows it, and
/// it may be a password, so it is left out.
pub(super) fn of_value(path: &serde_path_to_error::Path, message: &str) -> (String, String) {
    let message = message.split(" at line ").next().unwrap_or(message);
    let path = shorten(path.to_string());
    let quoted = |prefix: &str| message.strip_prefix(prefix)?.split('`').next().map(|name| within(&path, name));
    if let Some(field) = quoted("missing field `") {
        return (field, "is required".to_owned());
    }
    if let Some(field) = quoted("duplicate field `") {
        return (field, "is given twice".to_owned());
    }
    if let Some(field) = quoted("unknown field `") {
        return (field, unknown());
    }
    let known = if message.starts_with("unknown variant") { "must be " } else { "must be given as " };
    let problem = message
        .split_once(", expected ")
        .map_or_else(|| message.to_owned(), |(_, wanted)| format!("{known}{}", in_words(wanted)));
    (if path == "." { "body".to_owned() } else { path }, problem)
}

/// What serde expects, without the names of our types.
fn in_words(wanted: &str) -> &str {
    match wanted {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a map" => "an object",
        "a sequence" => "a list",
        other if other.starts_with("struct ") || other.contains(" struct ") => "an object",
        other => other,
    }
}

/// Problem of a field that no type knows.
pub(super) fn unknown() -> String {
    "is not known here".to_owned()
}

/// A name from outside, short enough to be shown.
pub(super) fn shorten(name: impl Display) -> String {
    // Optional values and newtypes are steps of serde's paths that callers do not see.
    let mut name = name.to_string().replace("?.", "");
    if let Some((end, _)) = name.char_indices().nth(MAX_NAME) {
        name.truncate(end);
        name.push('…');
    }
    name
}

fn within(path: &str, field: &str) -> String {
    // The path of a struct with a missing field is the struct's, or ends with the field already.
    if path == "." || path == field || path.ends_with(&format!(".{field}")) {
        if path == "." { field.to_owned() } else { path.to_owned() }
    } else {
        format!("{path}.{field}")
    }
}

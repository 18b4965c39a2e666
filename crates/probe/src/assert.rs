//! Whether an answer is what somebody expects.

use memchr::memmem;
use protocol::probe::{Failure, FailureCode, HttpExpect, JsonCheck, JsonOp, StatusRange};
use serde_json::Value;

use crate::json_path::JsonPath;
use crate::watch::{fail, short};

/// Longest piece of a foreign value in a sentence, characters.
const SHOWN: usize = 50;

/// The status first, then the body. Latency is judged by whoever has the watch.
pub(crate) fn judge(expect: &HttpExpect, status: u16, body: &[u8]) -> Result<(), Failure> {
    let fine = if expect.status.is_empty() {
        StatusRange::SUCCESS.holds(status)
    } else {
        expect.status.iter().any(|range| range.holds(status))
    };
    if !fine {
        let ranges: Vec<_> = expect.status.iter().map(ToString::to_string).collect();
        let expected = if ranges.is_empty() { StatusRange::SUCCESS.to_string() } else { ranges.join(", ") };
        return Err(fail(FailureCode::Status, format!("the answer has status {status} instead of {expected}")));
    }
    let holds = |needle: &String| memmem::find(body, needle.as_bytes()).is_some();
    if let Some(needle) = expect.contains.as_ref().filter(|needle| !holds(needle)) {
        let text = format!("the answer (status {status}) does not contain {:?}", short(needle, SHOWN));
        return Err(fail(FailureCode::Keyword, text));
    }
    if let Some(needle) = expect.lacks.as_ref().filter(|needle| holds(needle)) {
        let text = format!("the answer (status {status}) contains {:?}, which it should not", short(needle, SHOWN));
        return Err(fail(FailureCode::Keyword, text));
    }
    if expect.json.is_empty() {
        return Ok(());
    }
    let value = serde_json::from_slice::<Value>(body)
        .map_err(|error| fail(FailureCode::JsonPath, format!("the answer (status {status}) is not JSON: {error}")))?;
    expect.json.iter().try_for_each(|check| judge_json(check, &value))
}

fn judge_json(check: &JsonCheck, value: &Value) -> Result<(), Failure> {
    let JsonCheck { path, op, value: expected } = check;
    let found = JsonPath::parse(path)
        .map_err(|error| fail(FailureCode::Unsupported, format!("{} is no JSON path: {error}", short(path, SHOWN))))?
        .get(value);
    let compare = |is: fn(f64, f64) -> bool| {
        found.and_then(Value::as_f64).zip(expected.as_f64()).is_some_and(|(found, expected)| is(found, expected))
    };
    let fine = match op {
        JsonOp::Eq => found.is_some_and(|found| equal(found, expected)),
        JsonOp::Ne => !found.is_some_and(|found| equal(found, expected)),
        JsonOp::Lt => compare(|found, expected| found < expected),
        JsonOp::Gt => compare(|found, expected| found > expected),
        JsonOp::Exists => found.is_some() == expected.as_bool().unwrap_or(true),
    };
    if fine {
        return Ok(());
    }
    let wanted = match op {
        JsonOp::Eq => format!("instead of {}", shown(expected)),
        JsonOp::Ne => "which it should not be".to_owned(),
        JsonOp::Lt => format!("not less than {expected}"),
        JsonOp::Gt => format!("not greater than {expected}"),
        JsonOp::Exists if found.is_some() => "and should not be there".to_owned(),
        JsonOp::Exists => "but should be there".to_owned(),
    };
    let is = found.map_or("not there".to_owned(), shown);
    Err(fail(FailureCode::JsonPath, format!("{} is {is}, {wanted}", short(path, SHOWN))))
}

/// A number is equal by value, 1 is 1.0; within arrays and objects as it is written.
fn equal(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Number(found), Value::Number(expected)) => {
            found == expected
                || found.as_f64().zip(expected.as_f64()).is_some_and(|(found, expected)| {
                    // Whole numbers beyond 2⁵³ are compared as they are written, above.
                    found.total_cmp(&expected).is_eq() && found.abs() < 9_007_199_254_740_992.0
                })
        }
        _ => found == expected,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(fields) => format!("an object of {}", fields.len()),
        other => short(&other.to_string(), SHOWN),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn code(expect: &Value, status: u16, body: &str) -> Option<FailureCode> {
        let expect: HttpExpect = serde_json::from_value(expect.clone()).unwrap();
        judge(&expect, status, body.as_bytes()).err().map(|failure| failure.code)
    }

    #[test]
    fn statuses_are_judged_by_ranges() {
        for (expect, status, fine) in [
            (json!({}), 200, true),
            (json!({}), 299, true),
            (json!({}), 301, false),
            (json!({}), 500, false),
            (json!({ "status": ["401"] }), 401, true),
            (json!({ "status": ["401"] }), 200, false),
            (json!({ "status": ["200-204", "300-399"] }), 304, true),
        ] {
            assert_eq!(code(&expect, status, "").is_none(), fine, "{expect} {status}");
        }
    }

    #[test]
    fn texts_are_there_or_not() {
        assert_eq!(code(&json!({ "contains": "ok" }), 200, "all ok"), None);
        assert_eq!(code(&json!({ "contains": "OK" }), 200, "all ok"), Some(FailureCode::Keyword));
        assert_eq!(code(&json!({ "lacks": "error" }), 200, "all ok"), None);
        assert_eq!(code(&json!({ "lacks": "all" }), 200, "all ok"), Some(FailureCode::Keyword));
        assert_eq!(code(&json!({ "contains": "ok" }), 500, "all ok"), Some(FailureCode::Status), "the status first");
    }

    #[test]
    fn values_are_compared_by_every_operator() {
        let body = json!({ "n": 3, "s": "x", "z": null, "big": 9_007_199_254_740_993_u64 }).to_string();
        for (path, op, value, fine) in [
            ("$.n", "eq", json!(3.0), true),
            ("$.n", "eq", json!("3"), false),
            ("$.n", "ne", json!(4), true),
            ("$.n", "ne", json!(3), false),
            ("$.missing", "ne", json!(3), true),
            ("$.missing", "eq", json!(null), false),
            ("$.z", "eq", json!(null), true),
            ("$.n", "lt", json!(4), true),
            ("$.n", "lt", json!(3), false),
            ("$.n", "gt", json!(2.5), true),
            ("$.s", "gt", json!(2), false),
            ("$.missing", "lt", json!(2), false),
            ("$.z", "exists", json!(null), true),
            ("$.missing", "exists", json!(true), false),
            ("$.missing", "exists", json!(false), true),
            ("$.n", "exists", json!(false), false),
            ("$.big", "eq", json!(9_007_199_254_740_992_u64), false),
        ] {
            let expect = json!({ "json": [{ "path": path, "op": op, "value": value }] });
            let expected = (!fine).then_some(FailureCode::JsonPath);
            assert_eq!(code(&expect, 200, &body), expected, "{path} {op} {value}");
        }
        let expect = json!({ "json": [{ "path": "$.a", "op": "exists" }] });
        assert_eq!(code(&expect, 200, "<html>"), Some(FailureCode::JsonPath));
        assert_eq!(code(&expect, 200, &"[".repeat(100_000)), Some(FailureCode::JsonPath), "deep nesting is refused");
    }

    #[test]
    fn the_text_says_what_was_there_and_what_should_be() {
        let expect = json!({ "json": [{ "path": "$.state", "op": "eq", "value": "ready" }] });
        let expect: HttpExpect = serde_json::from_value(expect).unwrap();
        let failure = judge(&expect, 200, br#"{"state":"starting"}"#).unwrap_err();
        assert_eq!(failure.text, r#"$.state is "starting", instead of "ready""#);
    }
}

//! A small part of JSON paths: one way down to one value, `$.a.b[0]["c"]`. No wildcards, no filters, no searching: what
//! they would find is not one value to compare with.

use std::fmt;

use serde_json::Value;

use crate::limits;

/// The way to one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// Why a text is no path, as the end of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathError(&'static str);

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for PathError {}

impl JsonPath {
    /// Reads a path.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut rest = text.strip_prefix('$').ok_or(PathError("it must begin with $"))?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if steps.len() == limits::PATH_STEPS {
                return Err(PathError("it has more than 32 steps"));
            }
            let (step, after) = match rest.strip_prefix('.') {
                Some(name) => key(name)?,
                None => bracket(rest.strip_prefix('[').ok_or(PathError("after a step comes . or ["))?)?,
            };
            steps.push(step);
            rest = after;
        }
        Ok(Self(steps))
    }

    /// What is there; none where the way ends before.
    #[must_use]
    pub fn get<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(value, |value, step| match step {
            Step::Key(key) => value.as_object()?.get(key),
            Step::Index(index) => value.as_array()?.get(*index),
        })
    }
}

fn key(text: &str) -> Result<(Step, &str), PathError> {
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (name, after) = text.split_at_checked(end).ok_or(PathError("a name cannot be read"))?;
    let strange = |character: char| {
        character.is_control() || character.is_whitespace() || matches!(character, ']' | '"' | '\'' | '*' | '$' | '@')
    };
    if name.is_empty() {
        return Err(PathError("after . comes a name"));
    }
    if name.contains(strange) {
        return Err(PathError("a name with other characters than letters, digits, - and _ is written [\"like this\"]"));
    }
    Ok((Step::Key(name.to_owned()), after))
}

/// What stands behind `[`.
fn bracket(text: &str) -> Result<(Step, &str), PathError> {
    let quote = text.chars().next().filter(|first| matches!(first, '"' | '\''));
    let (step, after) = match quote {
        Some(quote) => quoted(text, quote)?,
        None => {
            let (digits, _) = text.split_once(']').ok_or(PathError("[ is not closed"))?;
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let index = if plain { digits.parse().ok() } else { None };
            let index = index.ok_or(PathError("in [ ] stands a number from 0 on, or a name in quotes"))?;
            (Step::Index(index), text.strip_prefix(digits).unwrap_or_default())
        }
    };
    Ok((step, after.strip_prefix(']').ok_or(PathError("[ is not closed"))?))
}

/// A name in quotes, with the escapes of JSON.
fn quoted(text: &str, quote: char) -> Result<(Step, &str), PathError> {
    const OPEN: PathError = PathError("a quote is not closed");
    const ESCAPE: PathError = PathError("a \\ in quotes is followed by what JSON allows there");
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, character)| {
        let ends = *character == quote && !escaped;
        escaped = *character == '\\' && !escaped;
        ends
    });
    let (end, _) = end.ok_or(OPEN)?;
    let inside = text.get(1..end).ok_or(OPEN)?;
    let after = text.get(end + 1..).ok_or(OPEN)?;
    let json = match quote {
        '"' => format!("\"{inside}\""),
        _ => format!("\"{}\"", inside.replace("\\'", "'").replace('"', "\\\"")),
    };
    let name = serde_json::from_str(&json).map_err(|_| ESCAPE)?;
    Ok((Step::Key(name), after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_where_they_say() {
        let value = json!({ "a": { "b": [{ "c d": 1 }, 2], "é": null, "it's": 3, "q\"": 4, "0": 5 } });
        for (path, expected) in [
            ("$", Some(&value)),
            ("$.a.b[1]", Some(&json!(2))),
            ("$.a.b[0][\"c d\"]", Some(&json!(1))),
            ("$['a']['b'][0]['c d']", Some(&json!(1))),
            ("$.a.é", Some(&json!(null))),
            ("$.a['it\\'s']", Some(&json!(3))),
            ("$.a[\"it's\"]", Some(&json!(3))),
            ("$.a[\"q\\\"\"]", Some(&json!(4))),
            ("$.a['q\"']", Some(&json!(4))),
            ("$.a.0", Some(&json!(5))),
            ("$.a[0]", None),
            ("$.a.b[2]", None),
            ("$.a.b.c", None),
            ("$.x.y.z", None),
        ] {
            assert_eq!(JsonPath::parse(path).unwrap().get(&value), expected, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let long = format!("${}", ".a".repeat(33));
        for text in [
            "",
            "a",
            ".a",
            "$a",
            "$.",
            "$..a",
            "$.a.",
            "$[",
            "$[]",
            "$[-1]",
            "$[1",
            "$[*]",
            "$.*",
            "$[\"a]",
            "$[\"a\"",
            "$['a]",
            "$[\"\\x\"]",
            "$[99999999999999999999999]",
            "$[0]a",
            "$.a b",
            "$.[0]",
            &long,
        ] {
            assert!(JsonPath::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_path_or_refused(text in "\\PC{0,80}") {
            let _ = JsonPath::parse(&text);
        }

        #[test]
        fn anything_that_looks_like_a_path_is_one_or_refused(text in "\\$([.a-b\\[\\]\"'\\\\0-9é]{0,40})") {
            if let Ok(path) = JsonPath::parse(&text) {
                prop_assert!(path.0.len() <= limits::PATH_STEPS);
                let _ = path.get(&json!({ "a": [{ "b": {} }], "b": "a" }));
            }
        }

        #[test]
        fn every_key_can_be_named(key in "\\PC{0,20}") {
            let quoted = serde_json::to_string(&key).unwrap();
            let path = JsonPath::parse(&format!("$[{quoted}]")).unwrap();
            let value = json!({ key: 7 });
            prop_assert_eq!(path.get(&value), Some(&json!(7)));
        }
    }
}

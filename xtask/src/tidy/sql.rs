//! SQL stands in `store.rs` files and in `db/`, and uses only what means the same on SQLite and PostgreSQL.

use super::source::word_positions;
use super::{Findings, Source};

/// What one of the two engines does not know, or takes for something else.
const BANNED: [(&str, &str); 8] = [
    ("now(", "pass the time as a parameter"),
    ("ilike ", "compare lower(…) with like"),
    ("::", "write cast(… as …)"),
    ("datetime(", "times are BIGINT milliseconds"),
    ("greatest(", "write case when"),
    ("insert or ignore", "write on conflict do nothing"),
    ("replace into", "write on conflict … do update"),
    ("insert or replace", "write on conflict … do update"),
];

pub(super) fn check(sources: &[Source], findings: &mut Findings) {
    for source in sources.iter().filter(|source| source.is_rust() && source.path.starts_with("crates/api/src/")) {
        for (at, text) in statements(source.product_text()) {
            let place = source.place(at);
            let allowed = source.path.starts_with("crates/api/src/db/")
                || source.path.ends_with("/store.rs")
                || source.path.contains("/store/");
            if !allowed {
                findings.broken(&place, "SQL belongs in the slice's store.rs");
            }
            for problem in problems(&text) {
                findings.broken(&place, &problem);
            }
        }
    }
}

fn problems(text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    let mut problems: Vec<_> = BANNED
        .iter()
        .filter(|(banned, _)| word_positions(&text, banned).next().is_some())
        .map(|(banned, instead)| format!("`{}` is not portable: {instead}", banned.trim()))
        .collect();
    let bare_sum = word_positions(&text, "sum(").any(|at| !is_inside_cast(text.get(..at).unwrap_or_default()));
    if bare_sum {
        problems.push("a bare `sum(…)` is a decimal on PostgreSQL: write cast(sum(…) as bigint)".into());
    }
    problems
}

/// Whether one of the parentheses that are open at the end of `before` belongs to a cast.
fn is_inside_cast(before: &str) -> bool {
    let mut closed = 0_u32;
    before.char_indices().rev().any(|(at, character)| match character {
        ')' => {
            closed += 1;
            false
        }
        '(' if closed > 0 => {
            closed -= 1;
            false
        }
        '(' => before.get(..at).unwrap_or_default().ends_with("cast"),
        _ => false,
    })
}

/// The text of every `sql!("…", "…")`, its literals joined, and where it stands.
fn statements(text: &str) -> Vec<(usize, String)> {
    let arguments = |at: usize| text.get(at + "sql!(".len()..).unwrap_or_default();
    word_positions(text, "sql!(").map(|at| (at, literals(arguments(at)))).filter(|(_, sql)| !sql.is_empty()).collect()
}

/// The string literals at the start of `text`, plain or raw, joined.
fn literals(text: &str) -> String {
    let mut joined = String::new();
    let mut rest = text;
    while let Some((content, after)) = literal(rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',')) {
        joined.push_str(&content);
        rest = after;
    }
    joined
}

/// The string literal at the start of `text`, and what comes after it.
fn literal(text: &str) -> Option<(String, &str)> {
    if let Some(raw) = text.strip_prefix('r') {
        let hashes: String = raw.chars().take_while(|character| *character == '#').collect();
        let (content, after) = raw.get(hashes.len()..)?.strip_prefix('"')?.split_once(&format!("\"{hashes}"))?;
        return Some((content.to_owned(), after));
    }
    let mut content = String::new();
    let mut characters = text.strip_prefix('"')?.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return Some((content, characters.as_str())),
            '\\' => content.extend(characters.next()),
            other => content.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_found() {
        let found = |text: &str| statements(text).into_iter().map(|(_, sql)| sql).collect::<Vec<_>>();
        assert_eq!(found("conn.query(sql!(\"select 1\"))"), ["select 1"]);
        assert_eq!(found("sql!(\n    \"select \\\"a\\\"\"\n)"), ["select \"a\""]);
        assert_eq!(found("sql!(r#\"select \"a\"\"#)"), ["select \"a\""]);
        assert_eq!(found("sql!(\"select 1 \",\n \"from t\")"), ["select 1 from t"]);
        assert!(found("a macro named sql! is nice").is_empty());
    }

    #[test]
    fn unportable_words_are_found() {
        for bad in [
            "select now()",
            "select a::text",
            "where a ILIKE $1",
            "INSERT OR IGNORE into t",
            "select sum(a) from t",
            "select cast(a as text), sum(a) from t",
            "select greatest(a, b)",
        ] {
            assert_eq!(problems(bad).len(), 1, "{bad}");
        }
        for good in [
            "select known(1)",
            "select cast(sum(a) as bigint)",
            "select cast(coalesce(sum(a), 0) as bigint)",
            "select checksum(a)",
            "select a from t",
        ] {
            assert!(problems(good).is_empty(), "{good}");
        }
    }
}

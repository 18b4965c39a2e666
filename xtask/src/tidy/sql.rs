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
    let bare_sum =
        word_positions(&text, "sum(").any(|at| !text.get(..at).unwrap_or_default().trim_end().ends_with("cast("));
    if bare_sum {
        problems.push("a bare `sum(…)` is a decimal on PostgreSQL: write cast(sum(…) as bigint)".into());
    }
    problems
}

/// The text of every `sql!("…")`, and where it stands.
fn statements(text: &str) -> Vec<(usize, String)> {
    word_positions(text, "sql!(").filter_map(|at| Some((at, literal(text.get(at + "sql!(".len()..)?)?))).collect()
}

/// The string literal at the start of `text`, plain or raw.
fn literal(text: &str) -> Option<String> {
    let text = text.trim_start();
    if let Some(raw) = text.strip_prefix('r') {
        let hashes: String = raw.chars().take_while(|character| *character == '#').collect();
        let body = raw.get(hashes.len()..)?.strip_prefix('"')?;
        return Some(body.split(&format!("\"{hashes}")).next()?.to_owned());
    }
    let mut content = String::new();
    let mut characters = text.strip_prefix('"')?.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return Some(content),
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
            "select greatest(a, b)",
        ] {
            assert_eq!(problems(bad).len(), 1, "{bad}");
        }
        for good in ["select known(1)", "select cast(sum(a) as bigint)", "select checksum(a)", "select a from t"] {
            assert!(problems(good).is_empty(), "{good}");
        }
    }
}

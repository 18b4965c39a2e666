//! The project's own text files, as the rules see them.

use anyhow::{Context as _, Result};

use crate::{digest, paths};

/// One file.
pub(super) struct Source {
    /// Its path from the root of the repository.
    pub(super) path: String,
    /// What is in it.
    pub(super) text: String,
}

/// Every Rust, TypeScript, JavaScript, CSS and shell file that somebody writes by hand.
pub(super) fn all() -> Result<Vec<Source>> {
    const FOLDERS: [&str; 4] = ["crates", "tests", "xtask", "deploy"];
    const KINDS: [&str; 8] = ["rs", "ts", "tsx", "js", "mjs", "css", "sh", "html"];
    let mut sources = Vec::new();
    for folder in FOLDERS {
        let dir = paths::root().join(folder);
        if !dir.is_dir() {
            continue;
        }
        for (name, path) in digest::files(&dir, &["node_modules", "dist", "artefacts", "target", ".roadstead"])? {
            let kind = name.rsplit_once('.').map_or("", |(_, kind)| kind);
            if !KINDS.contains(&kind) || name.ends_with(".d.ts") {
                continue;
            }
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            sources.push(Source { path: format!("{folder}/{name}"), text });
        }
    }
    Ok(sources)
}

impl Source {
    /// Whether it is Rust.
    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether all of it is there for tests.
    pub(super) fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.contains("/testing/")
            || name == "tests.rs"
            || name.contains(".test.")
            || name.ends_with("_tests.rs")
    }

    /// A Rust file without its test module, which stands at the end.
    pub(super) fn product_text(&self) -> &str {
        if self.is_test() {
            return "";
        }
        self.text.split_once("#[cfg(test)]\nmod ").map_or(self.text.as_str(), |(product, _)| product)
    }

    /// The part of the file that is there for tests.
    pub(super) fn test_text(&self) -> &str {
        self.text.get(self.product_text().len()..).unwrap_or_default()
    }

    /// Where byte `at` of the text is, for people.
    pub(super) fn place(&self, at: usize) -> String {
        let line = self.text.get(..at).unwrap_or(&self.text).matches('\n').count() + 1;
        format!("{}:{line}", self.path)
    }
}

/// Where `word` stands in `text` as a word of its own.
pub(super) fn word_positions<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part_of_name = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = text.get(..*at).and_then(|before| before.chars().next_back());
        !(before.is_some_and(part_of_name) && word.starts_with(part_of_name))
    })
}

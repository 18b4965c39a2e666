//! The project's own text files, as the rules see them.

use anyhow::{Context as _, Result};

use crate::{digest, paths};

/// One file.
pub(super) struct Source {
    /// Its path from the root of the repository.
    pub(super) path: String,
    /// What is in it.
    pub(super) text: String,
    /// Whether it is compiled for tests only.
    pub(super) for_tests: bool,
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
            sources.push(Source::new(&format!("{folder}/{name}"), &text));
        }
    }
    let test_modules: Vec<String> = sources.iter().flat_map(Source::test_modules).collect();
    for source in &mut sources {
        source.for_tests |= test_modules.iter().any(|module| {
            let rest = source.path.strip_prefix(module.as_str());
            rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        });
    }
    Ok(sources)
}

impl Source {
    /// Whether it is Rust.
    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// A file that stands by itself.
    pub(super) fn new(path: &str, text: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or_default();
        let for_tests = path.starts_with("tests/") || path.contains("/tests/") || name.contains(".test.");
        Self { path: path.to_owned(), text: text.to_owned(), for_tests }
    }

    /// The modules that this file declares for tests only, as paths without `.rs`.
    fn test_modules(&self) -> Vec<String> {
        let (folder, name) = self.path.rsplit_once('/').unwrap_or_default();
        let below = match name {
            "mod.rs" | "lib.rs" | "main.rs" => folder.to_owned(),
            _ => format!("{folder}/{}", name.trim_end_matches(".rs")),
        };
        let declared = self.text.split("#[cfg(test)]\n").skip(1).filter_map(|after| {
            let line = after.trim_start().lines().next()?.strip_suffix(';')?;
            let (visibility, module) = line.split_once("mod ")?;
            (visibility.is_empty() || visibility.starts_with("pub")).then(|| format!("{below}/{module}"))
        });
        declared.collect()
    }

    /// A Rust file without its test module, which stands at the end.
    pub(super) fn product_text(&self) -> &str {
        if self.for_tests {
            return "";
        }
        let inline_module = self.text.match_indices("#[cfg(test)]\nmod ").find(|(at, _)| {
            let declaration = self.text.get(*at..).and_then(|text| text.lines().nth(1));
            declaration.is_some_and(|line| line.contains('{'))
        });
        inline_module.and_then(|(at, _)| self.text.get(..at)).unwrap_or(&self.text)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_tests_is_told_from_the_product() {
        let text = "#[cfg(test)]\nmod scripted;\nmod real;\nfn f() {}\n#[cfg(test)]\nmod tests { fn g() {} }\n";
        let source = Source::new("crates/api/src/jobs/mod.rs", text);
        assert_eq!(source.test_modules(), ["crates/api/src/jobs/scripted"]);
        assert!(source.product_text().ends_with("fn f() {}\n"));
        assert!(source.test_text().ends_with("mod tests { fn g() {} }\n"));

        let source = Source::new("crates/api/src/db.rs", "#[cfg(test)]\npub(crate) mod testing;\n");
        assert_eq!(source.test_modules(), ["crates/api/src/db/testing"]);
        assert_eq!(Source::new("tests/it/main.rs", "fn f() {}").product_text(), "");
    }
}

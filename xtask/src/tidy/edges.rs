//! Which folders of the hub may know which. The list is checked in: a new edge is a decision, visible in a review.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::{Findings, Source};
use crate::paths;

const LIST: &str = "xtask/tidy/edges.txt";
const HUB: &str = "crates/api/src/";
/// The kernel: everybody may use it, and it may use no slice unless the list says so.
const KERNEL: [&str; 6] = ["db", "http", "bus", "background", "outbound", "config"];
/// Where everything comes together: the list of routes, their document and the command line.
const COMPOSITION: [&str; 3] =
    ["crates/api/src/http/router.rs", "crates/api/src/http/openapi.rs", "crates/api/src/cli/"];

pub(super) fn check(sources: &[Source], findings: &mut Findings) -> Result<()> {
    let allowed: BTreeSet<String> = std::fs::read_to_string(paths::root().join(LIST))?
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.is_empty())
        .collect();
    let used = edges(sources);
    for (edge, place) in &used {
        if !allowed.contains(edge) {
            findings.broken(place, &format!("new edge {edge}; avoid it, or add it to {LIST} with a reason"));
        }
    }
    for edge in allowed.iter().filter(|edge| !used.contains_key(*edge)) {
        findings.broken(LIST, &format!("edge {edge} is not used any more; remove the line"));
    }
    Ok(())
}

/// Each edge and the first place that uses it.
fn edges(sources: &[Source]) -> BTreeMap<String, String> {
    let inside = |source: &&Source| source.path.starts_with(HUB) && source.is_rust();
    let folder_of = |source: &Source| Some(source.path.strip_prefix(HUB)?.split_once('/')?.0.to_owned());
    let folders: BTreeSet<String> = sources.iter().filter(inside).filter_map(folder_of).collect();
    let mut edges = BTreeMap::new();
    for source in sources.iter().filter(inside) {
        let Some(from) = folder_of(source) else { continue };
        if COMPOSITION.iter().any(|place| source.path.starts_with(place)) {
            continue;
        }
        for (at, to) in modules_used(source.product_text()) {
            if to != from && folders.contains(&to) && !KERNEL.contains(&to.as_str()) {
                edges.entry(format!("{from} -> {to}")).or_insert_with(|| source.place(at));
            }
        }
    }
    edges
}

/// The first segment of every `crate::…` path, those in braces too.
fn modules_used(text: &str) -> Vec<(usize, String)> {
    let mut used = Vec::new();
    for (at, prefix) in text.match_indices("crate::") {
        let line = text.get(..at).and_then(|before| before.lines().next_back()).unwrap_or_default();
        if line.trim_start().starts_with("//") {
            continue;
        }
        let rest = text.get(at + prefix.len()..).unwrap_or_default();
        if let Some(group) = rest.strip_prefix('{') {
            used.extend(first_segments(group).into_iter().map(|name| (at, name)));
        } else {
            used.push((at, leading_name(rest)));
        }
    }
    used.retain(|(_, name)| !name.is_empty());
    used
}

/// The first segment of each item of a `{…}` group whose opening brace is gone already.
fn first_segments(group: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 1;
    let mut at_start = true;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => at_start = true,
            _ if at_start && !character.is_whitespace() => {
                names.push(leading_name(group.get(at..).unwrap_or_default()));
                at_start = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

fn leading_name(text: &str) -> String {
    text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        modules_used(text).into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn paths_and_groups_are_seen() {
        assert_eq!(names("use crate::jobs::Job; crate::servers::get()"), ["jobs", "servers"]);
        assert_eq!(
            names("use crate::{audit, jobs::{Job, model::State},\n    servers::Server};"),
            ["audit", "jobs", "servers"]
        );
        assert!(names("pub(crate) fn f() {}\n    /// [`crate::jobs`]").is_empty());
    }

    #[test]
    fn a_new_edge_is_found_and_the_kernel_is_free() {
        let source = |path: &str, text: &str| Source::new(&format!("{HUB}{path}"), text);
        let sources = [
            source("jobs/mod.rs", "use crate::servers::Server;\nuse crate::db::Conn;\nuse crate::jobs::model;"),
            source("servers/mod.rs", "#[cfg(test)]\nmod tests { use crate::jobs::Job; }"),
            source("db/mod.rs", "use crate::servers::Server;"),
            source("http/router.rs", "use crate::servers::routes;"),
            source("hub.rs", "use crate::servers::Server;"),
        ];
        let found: Vec<_> = edges(&sources).into_keys().collect();
        assert_eq!(found, ["db -> servers", "jobs -> servers"]);
    }
}

//! Generated files: the hub's OpenAPI document, and the dashboard's client made from it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::{digest, install, paths, proc, web};

/// Writes both.
pub(crate) fn write() -> Result<()> {
    install::require(&[install::NODE])?;
    build_hub()?;
    let document = document_path();
    std::fs::write(&document, hubs_document()?).with_context(|| format!("cannot write {}", document.display()))?;
    generate_client()
}

/// Fails when one of them is not what `write` would write; the files stay as they are.
pub(crate) fn check() -> Result<()> {
    install::require(&[install::NODE])?;
    build_hub()?;
    compare()
}

/// The same with the hub that was built last.
pub(crate) fn compare() -> Result<()> {
    let document = document_path();
    if std::fs::read_to_string(&document).unwrap_or_default() != hubs_document()? {
        bail!("{} is out of date; run `cargo xtask codegen`", shown(&document));
    }
    let before = client_files()?;
    let generated = generate_client();
    let after = client_files()?;
    for (path, content) in &before {
        if after.get(path) != Some(content) {
            std::fs::write(path, content).with_context(|| format!("cannot restore {}", path.display()))?;
        }
    }
    generated?;
    let stale: Vec<_> = after.iter().filter(|(path, content)| before.get(*path) != Some(content)).collect();
    if let Some((path, _)) = stale.first() {
        bail!("{} is out of date; run `cargo xtask codegen`", shown(path));
    }
    Ok(())
}

fn document_path() -> PathBuf {
    paths::root().join("crates/api/openapi.json")
}

fn build_hub() -> Result<()> {
    proc::run(proc::cargo().args(["build", "--quiet", "--workspace", "--bins"]))
}

fn hubs_document() -> Result<String> {
    proc::capture(proc::command(paths::dev_binary("roadstead")).arg("openapi"))
}

fn generate_client() -> Result<()> {
    let app = paths::app();
    web::install_packages(&app.join("codegen"))?;
    let mut node = proc::command("node");
    node.current_dir(&app).arg("scripts/codegen.mjs");
    proc::capture(&mut node).map(drop)
}

fn client_files() -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let files = digest::files(&paths::app().join("src/api"), &[])?;
    files.into_values().map(|path| Ok((path.clone(), std::fs::read(&path)?))).collect()
}

fn shown(path: &std::path::Path) -> String {
    path.strip_prefix(paths::root()).unwrap_or(path).display().to_string()
}

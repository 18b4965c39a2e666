//! Checksums of files and trees.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use ring::digest::{Context, SHA256};

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of bytes, hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(ring::digest::digest(&SHA256, bytes).as_ref())
}

/// SHA-256 of a file, hex, and its size.
pub(crate) fn sha256_of_file(path: &Path) -> Result<(String, u64)> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 64 * 1024];
    let mut size_bytes = 0;
    loop {
        let count = file.read(&mut buffer).with_context(|| format!("cannot read {}", path.display()))?;
        if count == 0 {
            return Ok((hex(context.finish().as_ref()), size_bytes));
        }
        context.update(buffer.get(..count).unwrap_or_default());
        size_bytes += count as u64;
    }
}

/// One checksum over names and contents below `dir`; folders named in `without` are left out.
pub(crate) fn sha256_of_tree(dir: &Path, without: &[&str]) -> Result<String> {
    let mut context = Context::new(&SHA256);
    for (name, path) in files(dir, without)? {
        context.update(format!("{name}\0{}\n", sha256_of_file(&path)?.0).as_bytes());
    }
    Ok(hex(context.finish().as_ref()))
}

/// All files below `dir` by their relative name; folders named in `without` are left out.
pub(crate) fn files(dir: &Path, without: &[&str]) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            let name = entry.file_name();
            if kind.is_dir() && !without.iter().any(|other| name.to_str() == Some(other)) {
                folders.push(entry.path());
            } else if kind.is_file() {
                let path = entry.path();
                let relative = path.strip_prefix(dir).unwrap_or(&path).to_string_lossy().into_owned();
                found.insert(relative, path);
            }
        }
    }
    Ok(found)
}

//! Lists the pages of the user guide, so that a new file in `docs/` is served without being named anywhere.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs, io};

#[expect(clippy::disallowed_methods, reason = "a build script has no data directory")]
fn main() -> io::Result<()> {
    let docs = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?).join("docs");
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=docs");

    let mut pages = Vec::new();
    for entry in fs::read_dir(&docs)? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("md")) {
            pages.push(path);
        }
    }
    pages.sort();
    let mut table = String::from("/// Name and text of every page.\nstatic PAGES: &[(&str, &str)] = &[\n");
    for path in pages {
        let name = path.file_stem().and_then(OsStr::to_str).ok_or(io::ErrorKind::InvalidData)?;
        // Writing to a String cannot fail.
        let _ = writeln!(table, "    ({name:?}, include_str!({path:?})),");
    }
    table.push_str("];\n");
    fs::write(out_dir.join("guide.rs"), table)
}

//! Turns `app/dist`, if it was built, into a fixed table of embedded files; the build script of the web app has put
//! `.br` and `.gz` forms beside them. Without a build the table is empty and the crate serves a placeholder.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let manifest_dir = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?);
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let dist = manifest_dir.join("app/dist");
    println!("cargo::rerun-if-changed=build.rs");
    // The folder above is watched too, so that the first web build is noticed.
    println!("cargo::rerun-if-changed={}", if dist.is_dir() { dist.display() } else { manifest_dir.display() });

    let mut files = Vec::new();
    if dist.join("index.html").is_file() {
        collect(&dist, &dist, &mut files)?;
    }
    files.sort();
    write_file(&out_dir.join("assets.rs"), &table(&dist, &files)?)
}

/// Paths below `root` with forward slashes; hidden entries (the bundler's manifest) and encoded forms are left out.
fn collect(root: &Path, folder: &Path, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if !matches!(path.extension().and_then(|extension| extension.to_str()), Some("br" | "gz"))
            && let Ok(relative) = path.strip_prefix(root)
        {
            files.push(relative.to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(())
}

fn table(dist: &Path, files: &[String]) -> io::Result<String> {
    let mut code =
        format!("/// Whether the web app was not built.\npub const PLACEHOLDER: bool = {};\n\n", files.is_empty());
    code.push_str("static ASSETS: &[Asset] = &[\n");
    for file in files {
        let path = dist.join(file);
        let encoded = |suffix: &str| {
            let path = dist.join(format!("{file}.{suffix}"));
            if path.is_file() { format!("Some(include_bytes!({path:?}))") } else { "None".to_owned() }
        };
        let _ = writeln!(
            code,
            "    Asset {{ path: {file:?}, content_type: {:?}, immutable: {}, fingerprint: {:?}, identity: include_bytes!({path:?}), brotli: {}, gzip: {} }},",
            content_type(file),
            is_hashed(file),
            fingerprint(&read_file(&path)?),
            encoded("br"),
            encoded("gz"),
        );
    }
    code.push_str("];\n");
    Ok(code)
}

/// The bundler puts the content's hash into the name of everything below `assets/`.
fn is_hashed(file: &str) -> bool {
    file.starts_with("assets/")
}

fn content_type(file: &str) -> &'static str {
    match file.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("json" | "webmanifest") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// FNV-1a, 64 bits: tells builds of one file apart, and is not meant to withstand anybody.
fn fingerprint(bytes: &[u8]) -> String {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

#[expect(clippy::disallowed_methods, reason = "a build script runs on the developer's machine and has no other door")]
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path)
}

#[expect(clippy::disallowed_methods, reason = "a build script runs on the developer's machine and has no other door")]
fn write_file(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text)
}

//! Digests of files, whatever their size.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use protocol::Hex;
use ring::digest::{Context, SHA256};

/// SHA-256 of a file, read piece by piece.
///
/// # Errors
/// When it cannot be read.
pub fn sha256_of_file(path: &Path) -> io::Result<Hex<32>> {
    #[expect(clippy::disallowed_methods, reason = "host::files reads whole files; this one may have any size")]
    let mut file = File::open(path)?;
    let mut context = Context::new(&SHA256);
    let mut piece = [0; 8192];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            count => context.update(piece.get(..count).unwrap_or_default()),
        }
    }
    context.finish().as_ref().try_into().map(Hex).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_several_pieces() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let content = vec![7; 20_000];
        crate::host::files::write_atomic(&path, &content, 0o600).unwrap();
        assert_eq!(sha256_of_file(&path).unwrap(), crate::identity::sha256(&content));
        assert!(sha256_of_file(directory.path().join("missing").as_path()).is_err());
    }
}

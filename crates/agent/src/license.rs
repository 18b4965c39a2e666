//! The licence that every welcome carries: checked, kept, never a reason to stop anything.

use std::io;

use protocol::license::LicenseBody;
use protocol::{Signed, signing};

use crate::host::files;
use crate::paths::Paths;
use crate::trust::Trust;

const MAX_FILE: usize = 64 << 10;

/// Why a licence was not kept. The one before it stays.
#[derive(Debug, thiserror::Error)]
pub enum LicenseError {
    /// Not the pinned hub's word for this server.
    #[error("{0}")]
    Forged(&'static str),
    /// The state directory cannot be written.
    #[error("the licence cannot be stored: {0}")]
    Store(#[from] io::Error),
}

/// Keeps the licence when it is the hub's and for this server.
///
/// # Errors
/// [`LicenseError`].
pub fn keep(paths: &Paths, trust: &Trust, license: &Signed) -> Result<LicenseBody, LicenseError> {
    trust
        .verify(signing::LICENSE, license)
        .map_err(|_| LicenseError::Forged("the licence is not signed by the pinned hub"))?;
    let body: LicenseBody =
        serde_json::from_str(&license.body).map_err(|_| LicenseError::Forged("the licence is not readable"))?;
    if body.server_id != trust.server_id() {
        return Err(LicenseError::Forged("the licence is for another server"));
    }
    let bytes = serde_json::to_vec(license).map_err(io::Error::from)?;
    // It comes with every connection and changes once a day: a flapping link must not wear out the disk.
    if files::read(&paths.license_file(), MAX_FILE).ok().as_ref() != Some(&bytes) {
        files::write_atomic(&paths.license_file(), &bytes, 0o600)?;
    }
    Ok(body)
}

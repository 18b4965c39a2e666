//! The agent builds in the agents directory: `manifest.json` and `roadstead-agent-<target>` beside it.
//!
//! A build is handed out only when the file's SHA-256 is the one of the manifest. Files are hashed again only when their
//! size or time of change differ.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use protocol::Hex;
use ring::digest;
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

const MANIFEST: &str = "manifest.json";
const MAX_MANIFEST_BYTES: u64 = 64 << 10;
const CHUNK: usize = 128 << 10;

/// A machine that agents are built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, utoipa::ToSchema)]
pub enum Target {
    /// 64-bit Intel and AMD.
    #[serde(rename = "x86_64-linux")]
    X86_64Linux,
    /// 64-bit ARM.
    #[serde(rename = "aarch64-linux")]
    Aarch64Linux,
}

impl Target {
    const ALL: [Self; 2] = [Self::X86_64Linux, Self::Aarch64Linux];

    /// The name in paths and manifests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X86_64Linux => "x86_64-linux",
            Self::Aarch64Linux => "aarch64-linux",
        }
    }
}

/// One agent build, checked against the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentBuild {
    /// SHA-256 of the file.
    pub sha256: Hex<32>,
    /// Its size.
    pub size_bytes: u64,
    /// The release key's signature, as the manifest has it; the agent checks it when it updates itself.
    pub signature: String,
    /// Which release key.
    pub key_id: String,
    path: PathBuf,
    changed_at: SystemTime,
}

/// What the agents directory holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Builds {
    version: Option<String>,
    agents: BTreeMap<Target, AgentBuild>,
    /// Why builds of the manifest are not handed out.
    problems: Vec<String>,
}

/// The builds that were found last.
#[derive(Debug, Default)]
pub(super) struct Cache(RwLock<Arc<Builds>>);

#[derive(Deserialize)]
struct Manifest {
    version: String,
    agents: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    target: String,
    sha256: Hex<32>,
    size_bytes: u64,
    signature: String,
    key_id: String,
}

impl Builds {
    /// The version of the builds; `None` when there are none.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The build for a machine.
    #[must_use]
    pub fn get(&self, target: Target) -> Option<&AgentBuild> {
        self.agents.get(&target)
    }

    /// Whether there is nothing to hand out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.agents.is_empty()
    }
}

impl AgentBuild {
    /// Opens the file, if it is still the one that was checked.
    pub(super) async fn open(&self) -> io::Result<File> {
        let file = File::open(&self.path).await?;
        let metadata = file.metadata().await?;
        if metadata.len() != self.size_bytes || metadata.modified()? != self.changed_at {
            return Err(io::Error::other("the file changed after it was checked"));
        }
        Ok(file)
    }
}

impl Cache {
    pub(super) fn current(&self) -> Arc<Builds> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the directory again.
    pub(super) async fn refresh(&self, dir: &Path) {
        let before = self.current();
        let found = scan(dir, &before).await;
        if found == *before {
            return;
        }
        for problem in &found.problems {
            tracing::error!(dir = %dir.display(), "agent build not handed out: {problem}");
        }
        let targets: Vec<_> = found.agents.keys().map(|target| target.as_str()).collect();
        tracing::info!(version = found.version(), ?targets, "agent builds");
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(found);
    }
}

async fn scan(dir: &Path, before: &Builds) -> Builds {
    let manifest = match read_manifest(&dir.join(MANIFEST)).await {
        Ok(Some(manifest)) => manifest,
        Ok(None) => return Builds::default(),
        Err(problem) => return Builds { problems: vec![format!("{MANIFEST}: {problem}")], ..Builds::default() },
    };
    let mut found = Builds { version: Some(manifest.version), ..Builds::default() };
    for entry in manifest.agents {
        let Some(target) = Target::ALL.into_iter().find(|target| target.as_str() == entry.target) else {
            found.problems.push(format!("{}: no such target", entry.target));
            continue;
        };
        match check(dir, target, entry, before.get(target)).await {
            Ok(build) => drop(found.agents.insert(target, build)),
            Err(problem) => found.problems.push(format!("{}: {problem}", target.as_str())),
        }
    }
    found
}

/// `None` when there is no agents directory or nothing in it.
async fn read_manifest(path: &Path) -> Result<Option<Manifest>, String> {
    let file = match File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let mut text = Vec::new();
    file.take(MAX_MANIFEST_BYTES + 1).read_to_end(&mut text).await.map_err(|error| error.to_string())?;
    if u64::try_from(text.len()).is_ok_and(|length| length > MAX_MANIFEST_BYTES) {
        return Err(format!("larger than {MAX_MANIFEST_BYTES} bytes"));
    }
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let plain = |text: &str| !text.is_empty() && text.len() <= 512 && text.bytes().all(|byte| byte.is_ascii_graphic());
    let entries = manifest.agents.iter();
    // They become headers and a part of the installer.
    if !is_version(&manifest.version) || !entries.clone().all(|entry| plain(&entry.signature) && plain(&entry.key_id)) {
        return Err("version, signature and key_id must be plain words".to_owned());
    }
    Ok(Some(manifest))
}

fn is_version(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+');
    !text.is_empty() && text.len() <= 64 && text.bytes().all(plain)
}

async fn check(dir: &Path, target: Target, entry: Entry, before: Option<&AgentBuild>) -> Result<AgentBuild, String> {
    let path = dir.join(format!("roadstead-agent-{}", target.as_str()));
    let file = File::open(&path).await.map_err(|error| error.to_string())?;
    let metadata = file.metadata().await.map_err(|error| error.to_string())?;
    let changed_at = metadata.modified().map_err(|error| error.to_string())?;
    if metadata.len() != entry.size_bytes {
        return Err(format!("{} bytes, the manifest says {}", metadata.len(), entry.size_bytes));
    }
    let Entry { sha256, size_bytes, signature, key_id, .. } = entry;
    let build = AgentBuild { sha256, size_bytes, signature, key_id, path, changed_at };
    if before == Some(&build) {
        return Ok(build);
    }
    let actual = sha256_of(file).await.map_err(|error| error.to_string())?;
    if actual != build.sha256 {
        return Err(format!("its SHA-256 is {actual}, the manifest says {}", build.sha256));
    }
    Ok(build)
}

async fn sha256_of(mut file: File) -> io::Result<Hex<32>> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = file.read(&mut chunk).await?;
        let Some(read) = chunk.get(..length).filter(|read| !read.is_empty()) else { break };
        context.update(read);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    Ok(Hex(bytes))
}

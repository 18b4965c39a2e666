//! The host's own policy, `/etc/roadstead/policy.toml`: what the hub may do here, whoever holds the hub.
//!
//! ```toml
//! tiers = ["read", "typed", "root"]          # powers that are allowed; absent: all
//! kinds = ["exec"]                           # kinds that are allowed; absent: all
//! users = ["root", "www-data"]               # users that commands may run as; absent: all
//! paths = ["/srv", "/var/www"]               # where working directories and files may lie; absent: everywhere.
//!                                            # No fence for commands: what runs can go anywhere its user can
//! require_operator_signature = ["root"]      # tiers that need a person's own signature, besides the hub's
//!
//! [limits]                                   # what logs may take while the hub is away
//! job_bytes = 268435456
//! total_bytes = 2147483648
//! free_bytes = 67108864
//! ```
//!
//! No file: everything is allowed. A file that cannot be understood, or that somebody else than root could have written:
//! nothing is. A misspelt key must not open a door.

use std::io;
use std::path::{Component, Path};

use protocol::kinds::JobKind;
use protocol::policy::{PolicySource, PolicySummary, Tier};
use serde::Deserialize;

use crate::host::files;
use crate::spool::Limits;
use crate::trust::check_owner;

/// Longest policy file.
pub(crate) const MAX_FILE: usize = 64 << 10;

/// What the host allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    source: PolicySource,
    rules: Rules,
    /// Why the file is not understood.
    problem: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rules {
    pub(crate) tiers: Option<Vec<Tier>>,
    pub(crate) kinds: Option<Vec<String>>,
    pub(crate) users: Option<Vec<String>>,
    pub(crate) paths: Option<Vec<String>>,
    pub(crate) require_operator_signature: Vec<Tier>,
    pub(crate) limits: Limits,
}

impl Policy {
    /// Reads the policy. There always is one.
    #[must_use]
    pub fn load(path: &Path) -> Self {
        let text = match read(path) {
            Ok(Some(text)) => text,
            Ok(None) => return Self { source: PolicySource::Absent, rules: Rules::default(), problem: None },
            Err(problem) => return Self::unreadable(problem),
        };
        Self::parse(&text)
    }

    pub(crate) fn parse(text: &str) -> Self {
        match toml::from_str::<Rules>(text) {
            Ok(rules) => match rules.check() {
                None => Self { source: PolicySource::File, rules, problem: None },
                Some(problem) => Self::unreadable(problem),
            },
            Err(error) => Self::unreadable(error.to_string()),
        }
    }

    fn unreadable(problem: String) -> Self {
        Self { source: PolicySource::Unreadable, rules: Rules::default(), problem: Some(problem) }
    }

    /// Whether a job may run.
    ///
    /// # Errors
    /// The sentence that says why not, for people.
    pub fn permit(&self, kind: &JobKind) -> Result<(), String> {
        if let Some(problem) = &self.problem {
            return Err(format!("the policy file of this server is not usable, so it allows nothing: {problem}"));
        }
        let (rules, tier, name) = (&self.rules, kind.tier(), kind.name());
        if rules.tiers.as_ref().is_some_and(|tiers| !tiers.contains(&tier)) {
            return Err(format!("the policy of this server does not allow jobs of the tier {}", tier.name()));
        }
        if rules.kinds.as_ref().is_some_and(|kinds| !kinds.iter().any(|allowed| allowed == name)) {
            return Err(format!("the policy of this server does not allow {name}"));
        }
        if rules.require_operator_signature.contains(&tier) {
            return Err(format!(
                "the policy of this server asks for an operator's signature on jobs of the tier {}, and this agent cannot \
                 check one yet",
                tier.name()
            ));
        }
        match kind {
            JobKind::Exec(args) => {
                let user = args.user.as_deref().unwrap_or("root");
                if rules.users.as_ref().is_some_and(|users| !users.iter().any(|allowed| allowed == user)) {
                    return Err(format!("the policy of this server does not allow commands as {user}"));
                }
                args.cwd.as_deref().map_or(Ok(()), |cwd| rules.permit_path(Path::new(cwd)))
            }
        }
    }

    /// Limits of the spool.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.rules.limits
    }

    /// The rules, for those who explain them; only [`Policy::permit`] decides.
    pub(crate) const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What the hub may show of it.
    #[must_use]
    pub fn summary(&self) -> PolicySummary {
        let nothing = self.problem.is_some();
        let kinds = self.rules.kinds.as_ref();
        let is_denied = |name: &&str| kinds.is_some_and(|kinds| !kinds.iter().any(|allowed| allowed == name));
        PolicySummary {
            source: self.source,
            tiers: if nothing { Vec::new() } else { self.rules.tiers.clone().unwrap_or_else(|| Tier::ALL.to_vec()) },
            denied_kinds: JobKind::NAMES.iter().copied().filter(is_denied).map(str::to_owned).collect(),
            require_operator_signature: self.rules.require_operator_signature.clone(),
            problem: self.problem.clone(),
            file: None,
            hub: None,
            hub_seq: 0,
            operators: Vec::new(),
        }
    }
}

impl Rules {
    /// What is wrong although it can be read.
    pub(crate) fn check(&self) -> Option<String> {
        let root = self.paths.iter().flatten().find(|root| !is_plain(Path::new(root)));
        root.map(|root| format!("paths: {root:?} is not an absolute path without \"..\""))
    }

    fn permit_path(&self, path: &Path) -> Result<(), String> {
        let Some(roots) = &self.paths else { return Ok(()) };
        if is_plain(path) && roots.iter().any(|root| path.starts_with(root)) {
            return Ok(());
        }
        Err(format!(
            "the policy of this server does not allow {}: it lies outside of the allowed paths",
            path.display()
        ))
    }
}

fn is_plain(path: &Path) -> bool {
    path.is_absolute() && !path.components().any(|component| component == Component::ParentDir)
}

/// The file's text; `None` when there is no file.
fn read(path: &Path) -> Result<Option<String>, String> {
    let failed = |error: io::Error| format!("{} cannot be read: {error}", path.display());
    let file = match files::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed)?,
    };
    check_owner(path, &file.metadata().map_err(failed)?).map_err(|error| error.to_string())?;
    if let Some(dir) = path.parent() {
        // Whoever can write there can put another file in its place.
        let opened = files::Dir::open(dir).map_err(failed)?;
        check_owner(dir, &opened.metadata().map_err(failed)?).map_err(|error| error.to_string())?;
    }
    let bytes = files::read_file(&file, MAX_FILE).map_err(failed)?;
    String::from_utf8(bytes).map(Some).map_err(|_| format!("{} is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::exec::ExecArgs;
    use std::os::unix::fs::PermissionsExt;

    fn exec(user: Option<&str>, cwd: Option<&str>) -> JobKind {
        let text = |value: &str| value.to_owned();
        JobKind::Exec(ExecArgs {
            command: Some(text("true")),
            user: user.map(text),
            cwd: cwd.map(text),
            ..ExecArgs::default()
        })
    }

    /// Policy, user, working directory, and a part of the refusal or "" for a permission.
    #[test]
    fn rules_decide() {
        for (policy, user, cwd, refusal) in [
            ("", None, None, ""),
            ("tiers = [\"root\"]", None, None, ""),
            ("tiers = [\"read\", \"typed\"]", None, None, "tier root"),
            ("tiers = []", None, None, "tier root"),
            ("kinds = [\"exec\"]", None, None, ""),
            ("kinds = [\"exec\", \"of_a_newer_version\"]", None, None, ""),
            ("kinds = [\"backup\"]", None, None, "allow exec"),
            ("kinds = []", None, None, "allow exec"),
            ("users = [\"root\"]", None, None, ""),
            ("users = [\"root\"]", Some("www-data"), None, "as www-data"),
            ("users = [\"www-data\"]", None, None, "as root"),
            ("users = [\"www-data\"]", Some("www-data"), None, ""),
            ("paths = [\"/srv\"]", None, None, ""),
            ("paths = [\"/srv\"]", None, Some("/srv"), ""),
            ("paths = [\"/srv\"]", None, Some("/srv/site"), ""),
            ("paths = [\"/srv\"]", None, Some("/srvx"), "outside"),
            ("paths = [\"/srv\"]", None, Some("/srv/../etc"), "outside"),
            ("paths = []", None, Some("/srv"), "outside"),
            ("require_operator_signature = [\"root\"]", None, None, "operator's signature"),
            ("require_operator_signature = [\"typed\"]", None, None, ""),
            ("[limits]\njob_bytes = 1", None, None, ""),
            // Nothing that is not understood may allow anything.
            ("paths = [\"srv\"]", None, None, "not usable"),
            ("tier = [\"root\"]", None, None, "not usable"),
            ("tiers = [\"rot\"]", None, None, "not usable"),
            ("tiers = \"root\"", None, None, "not usable"),
            ("[limits]\njob_byte = 1", None, None, "not usable"),
            ("[", None, None, "not usable"),
        ] {
            let answer = Policy::parse(policy).permit(&exec(user, cwd)).err().unwrap_or_default();
            let as_expected = if refusal.is_empty() { answer.is_empty() } else { answer.contains(refusal) };
            assert!(as_expected, "{policy} {user:?} {cwd:?}: {answer}");
        }
    }

    #[test]
    fn the_summary_says_what_is_allowed() {
        let summary =
            Policy::parse("tiers = [\"read\"]\nkinds = []\nrequire_operator_signature = [\"root\"]").summary();
        assert_eq!((summary.source, summary.tiers), (PolicySource::File, vec![Tier::Read]));
        assert_eq!(summary.denied_kinds, JobKind::NAMES);
        assert_eq!(summary.require_operator_signature, [Tier::Root]);
        let summary = Policy::parse("nonsense").summary();
        assert_eq!((summary.source, summary.tiers.len()), (PolicySource::Unreadable, 0));
        assert!(summary.problem.is_some());
    }

    #[test]
    fn only_a_file_of_its_owner_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.toml");
        let source = || Policy::load(&path).summary().source;
        assert_eq!(source(), PolicySource::Absent);
        files::write_atomic(&path, b"tiers = [\"read\"]", 0o644).unwrap();
        assert_eq!(source(), PolicySource::File);
        let set_mode = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        set_mode(&path, 0o664);
        assert_eq!(source(), PolicySource::Unreadable);
        set_mode(&path, 0o644);
        set_mode(dir.path(), 0o777);
        assert_eq!(source(), PolicySource::Unreadable);
        set_mode(dir.path(), 0o755);
        assert_eq!(source(), PolicySource::File);
        files::write_atomic(&path, &[0xff], 0o644).unwrap();
        assert_eq!(source(), PolicySource::Unreadable);
    }
}

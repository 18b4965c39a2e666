//! What the hub may do here: the host's own file `/etc/roadstead/policy.toml`, whoever holds the hub, *and* what the hub
//! has taken from itself ([`restrictions`]).
//!
//! ```toml
//! tiers = ["read", "typed", "root"]          # powers that are allowed; absent: all
//! kinds = ["exec"]                           # kinds that are allowed; absent: all
//! users = ["root", "www-data"]               # users that commands may run as; absent: all
//! paths = ["/srv", "/var/www"]               # where working directories and files may lie; absent: everywhere.
//!                                            # No fence for commands: what runs can go anywhere its user can
//! require_operator_signature = ["root"]      # tiers that need a person's own signature, besides the hub's
//! operators = ["ssh-ed25519 AAAA… ada@laptop"]   # whose signatures those can be, at most 64
//!
//! [limits]                                   # what logs may take while the hub is away
//! job_bytes = 268435456
//! total_bytes = 2147483648
//! free_bytes = 67108864
//! ```
//!
//! No file: everything is allowed. A file that cannot be understood, or that somebody else than root could have written:
//! nothing is. A misspelt key must not open a door. Only the file names operators: a hub that could name one would need
//! none.

mod file;
pub mod restrictions;

use std::fmt;
use std::path::{Component, Path};

use protocol::ServerId;
use protocol::kinds::JobKind;
use protocol::policy::{PolicySource, PolicySummary, Rules, Tier};

use crate::operators::Operator;
use crate::paths::Paths;
use crate::spool::Limits;
use file::FilePolicy;
pub(crate) use file::Keys;
pub use file::{MAX_FILE, MAX_OPERATORS};
use restrictions::Restrictions;

/// What the host allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    source: PolicySource,
    file: Rules,
    operators: Vec<Operator>,
    limits: Limits,
    hub: Option<Restrictions>,
    /// Which of the two is not understood, and why.
    problem: Option<(Origin, String)>,
}

/// Whose rule it is: whoever is refused has to know whom to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The host's own file.
    File,
    /// The hub's restrictions.
    Hub,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "the policy file of this server",
            Self::Hub => "a restriction that the hub has set",
        })
    }
}

impl Policy {
    /// What the file alone says. There always is a policy.
    #[must_use]
    pub fn load(path: &Path) -> Self {
        Self::of_file(file::load(path))
    }

    /// What is in force: the file and the hub's restrictions of this server.
    #[must_use]
    pub fn in_force(paths: &Paths, server_id: ServerId) -> Self {
        let policy = Self::load(paths.policy_file());
        match restrictions::load(paths, server_id) {
            Ok(hub) => Self { hub, ..policy },
            Err(problem) => {
                let problem = policy.problem.clone().unwrap_or((Origin::Hub, problem));
                Self { source: PolicySource::Unreadable, problem: Some(problem), ..policy }
            }
        }
    }

    /// What a file with this text would say.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::of_file(file::parse(text).map(Some))
    }

    /// The rules of the file alone, for those who explain them; only [`Policy::permit`] decides.
    #[must_use]
    pub const fn file_rules(&self) -> &Rules {
        &self.file
    }

    fn of_file(file: Result<Option<FilePolicy>, String>) -> Self {
        let (source, problem, file) = match file {
            Ok(Some(file)) => (PolicySource::File, None, file),
            Ok(None) => (PolicySource::Absent, None, FilePolicy::default()),
            Err(problem) => (PolicySource::Unreadable, Some((Origin::File, problem)), FilePolicy::default()),
        };
        let FilePolicy { rules, operators, limits } = file;
        Self { source, file: rules, operators, limits, hub: None, problem }
    }

    /// Whether a job may run, apart from an operator's signature.
    ///
    /// # Errors
    /// The sentence that says who forbids it and why, for people.
    pub fn permit(&self, kind: &JobKind) -> Result<(), String> {
        if let Some((origin, problem)) = &self.problem {
            return Err(format!("{origin} is not usable, so this server allows nothing: {problem}"));
        }
        self.rules().try_for_each(|(origin, rules)| {
            permit(rules, kind).map_err(|what| format!("{origin} does not allow {what}"))
        })
    }

    /// Who asks for an operator's signature on jobs of `tier`, if anybody does.
    #[must_use]
    pub fn requires_signature(&self, tier: Tier) -> Option<Origin> {
        self.rules().find(|(_, rules)| rules.require_operator_signature.contains(&tier)).map(|(origin, _)| origin)
    }

    /// Whose signatures count.
    #[must_use]
    pub fn operators(&self) -> &[Operator] {
        &self.operators
    }

    /// Limits of the spool.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// What the hub may show of it.
    #[must_use]
    pub fn summary(&self) -> PolicySummary {
        let allows_tier = |tier: &Tier| {
            self.problem.is_none()
                && self.rules().all(|(_, rules)| rules.tiers.as_ref().is_none_or(|tiers| tiers.contains(tier)))
        };
        let denies_kind = |name: &&str| {
            self.rules().any(|(_, rules)| rules.kinds.as_deref().is_some_and(|kinds| !names(kinds, name)))
        };
        PolicySummary {
            source: self.source,
            tiers: Tier::ALL.into_iter().filter(allows_tier).collect(),
            denied_kinds: JobKind::NAMES.iter().copied().filter(denies_kind).map(str::to_owned).collect(),
            require_operator_signature: Tier::ALL
                .into_iter()
                .filter(|tier| self.requires_signature(*tier).is_some())
                .collect(),
            file: (self.source == PolicySource::File).then(|| self.file.clone()),
            hub: self.hub.as_ref().map(|hub| hub.rules.clone()),
            hub_seq: self.hub.as_ref().map_or(0, |hub| hub.seq),
            operators: self.operators.iter().map(Operator::summary).collect(),
            problem: self.problem.as_ref().map(|(_, problem)| problem.clone()),
        }
    }

    fn rules(&self) -> impl Iterator<Item = (Origin, &Rules)> {
        let hub = self.hub.as_ref().map(|hub| (Origin::Hub, &hub.rules));
        std::iter::once((Origin::File, &self.file)).chain(hub)
    }
}

/// What one set of rules does not allow of a job.
fn permit(rules: &Rules, kind: &JobKind) -> Result<(), String> {
    let (tier, name) = (kind.tier(), kind.name());
    if rules.tiers.as_ref().is_some_and(|tiers| !tiers.contains(&tier)) {
        return Err(format!("jobs of the tier {}", tier.name()));
    }
    if rules.kinds.as_ref().is_some_and(|kinds| !names(kinds, name)) {
        return Err(name.to_owned());
    }
    match kind {
        JobKind::Exec(args) => {
            let user = kind.user();
            if rules.users.as_ref().is_some_and(|users| !names(users, user)) {
                return Err(format!("commands as {user}"));
            }
            args.cwd.as_deref().map_or(Ok(()), |cwd| permit_path(rules, Path::new(cwd)))
        }
    }
}

fn permit_path(rules: &Rules, path: &Path) -> Result<(), String> {
    let Some(roots) = &rules.paths else { return Ok(()) };
    if is_plain(path) && roots.iter().any(|root| path.starts_with(root)) {
        return Ok(());
    }
    Err(format!("{}: it lies outside of the allowed paths", path.display()))
}

fn names(list: &[String], name: &str) -> bool {
    list.iter().any(|listed| listed == name)
}

/// What makes rules useless.
fn problem_of(rules: &Rules) -> Option<String> {
    let root = rules.paths.iter().flatten().find(|root| !is_plain(Path::new(root)));
    root.map(|root| format!("paths: {root:?} is not an absolute path without \"..\""))
}

fn is_plain(path: &Path) -> bool {
    path.is_absolute() && !path.components().any(|component| component == Component::ParentDir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::files;
    use protocol::exec::ExecArgs;
    use std::os::unix::fs::PermissionsExt;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ada@laptop";

    fn parse(text: &str) -> Policy {
        Policy::parse(text)
    }

    fn with_hub(text: &str, rules: Rules) -> Policy {
        Policy { hub: Some(Restrictions { seq: 4, rules }), ..parse(text) }
    }

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
            ("require_operator_signature = [\"root\"]", None, None, ""),
            ("[limits]\njob_bytes = 1", None, None, ""),
            // Nothing that is not understood may allow anything.
            ("paths = [\"srv\"]", None, None, "not usable"),
            ("tier = [\"root\"]", None, None, "not usable"),
            ("tiers = [\"rot\"]", None, None, "not usable"),
            ("tiers = \"root\"", None, None, "not usable"),
            ("[limits]\njob_byte = 1", None, None, "not usable"),
            ("[", None, None, "not usable"),
            ("operators = [\"ssh-rsa AAAA\"]", None, None, "entry 1 is no key"),
        ] {
            let answer = parse(policy).permit(&exec(user, cwd)).err().unwrap_or_default();
            let as_expected = if refusal.is_empty() { answer.is_empty() } else { answer.contains(refusal) };
            assert!(as_expected, "{policy} {user:?} {cwd:?}: {answer}");
        }
    }

    #[test]
    fn the_summary_says_what_is_allowed() {
        let summary = parse("tiers = [\"read\"]\nkinds = []\nrequire_operator_signature = [\"root\"]").summary();
        assert_eq!((summary.source, summary.tiers), (PolicySource::File, vec![Tier::Read]));
        assert_eq!(summary.denied_kinds, JobKind::NAMES);
        assert_eq!(summary.require_operator_signature, [Tier::Root]);
        let summary = parse("nonsense").summary();
        assert_eq!((summary.source, summary.tiers.len()), (PolicySource::Unreadable, 0));
        assert!(summary.problem.is_some());
    }

    #[test]
    fn both_the_file_and_the_hub_must_allow_it_and_the_refusal_says_who_does_not() {
        let root_only = Rules { users: Some(vec!["root".to_owned()]), ..Rules::default() };
        let nothing = Rules { tiers: Some(vec![]), ..Rules::default() };
        let nowhere = Rules { paths: Some(vec!["/srv".to_owned()]), ..Rules::default() };
        let (file, hub) = ("the policy file of this server does", "a restriction that the hub has set does");
        for (policy, user, cwd, refusal) in [
            (with_hub("", Rules::default()), None, None, ""),
            (with_hub("", nothing.clone()), None, None, hub),
            (with_hub("tiers = []", Rules::default()), None, None, file),
            (with_hub("tiers = []", nothing), None, None, file),
            (with_hub("users = [\"ada\"]", root_only.clone()), Some("ada"), None, hub),
            (with_hub("users = [\"ada\"]", root_only), None, None, file),
            (with_hub("paths = [\"/srv/a\"]", nowhere.clone()), None, Some("/srv/b"), file),
            (with_hub("paths = [\"/\"]", nowhere.clone()), None, Some("/etc"), hub),
            (with_hub("paths = [\"/srv/a\"]", nowhere), None, Some("/srv/a"), ""),
        ] {
            let answer = policy.permit(&exec(user, cwd)).err().unwrap_or_default();
            let as_expected = if refusal.is_empty() { answer.is_empty() } else { answer.starts_with(refusal) };
            assert!(as_expected, "{policy:?}: {answer}");
        }
    }

    #[test]
    fn signatures_are_asked_for_by_either_and_given_by_keys_of_the_file() {
        let asks = Rules { require_operator_signature: vec![Tier::Root], ..Rules::default() };
        assert_eq!(parse("").requires_signature(Tier::Root), None);
        assert_eq!(with_hub("", asks.clone()).requires_signature(Tier::Root), Some(Origin::Hub));
        let file = format!("require_operator_signature = [\"typed\"]\noperators = [\"{KEY}\"]");
        let policy = with_hub(&file, asks);
        assert_eq!(policy.requires_signature(Tier::Typed), Some(Origin::File));
        assert_eq!(policy.requires_signature(Tier::Read), None);
        let summary = policy.summary();
        assert_eq!(summary.require_operator_signature, [Tier::Typed, Tier::Root]);
        assert_eq!((summary.operators.len(), summary.operators[0].comment.as_str()), (1, "ada@laptop"));
        assert_eq!((summary.hub_seq, summary.hub.is_some(), summary.file.is_some()), (4, true, true));
        let many = format!("operators = [{}]", format!("\"{KEY}\",").repeat(MAX_OPERATORS + 1));
        assert!(parse(&many).permit(&exec(None, None)).unwrap_err().contains("more than 64"));
    }

    #[test]
    fn damaged_restrictions_allow_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path());
        files::make_dir(&paths.trust_dir(), 0o755).unwrap();
        let server_id = ServerId::new(uuid::Uuid::from_u128(1));
        assert_eq!(Policy::in_force(&paths, server_id).permit(&exec(None, None)), Ok(()));
        files::write_atomic(&paths.restrictions_file(), b"x", 0o644).unwrap();
        let policy = Policy::in_force(&paths, server_id);
        assert!(policy.permit(&exec(None, None)).unwrap_err().contains("restrictions.json"));
        let summary = policy.summary();
        assert_eq!((summary.source, summary.tiers.len()), (PolicySource::Unreadable, 0));
        assert!(summary.problem.unwrap().contains("restrictions.json"));
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

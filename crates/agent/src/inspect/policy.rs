//! `policy show` and `policy check`: what the hub may do here, in words, and whether a file would be understood.

use std::path::Path;
use std::process::ExitCode;

use protocol::exec::ExecArgs;
use protocol::kinds::JobKind;
use protocol::policy::{PolicySource, Rules, Tier};

use super::{Problem, say};
use crate::host::files::{self, Dir};
use crate::host::users;
use crate::paths::Paths;
use crate::policy::{Keys, MAX_FILE, Policy};
use crate::spool::limits;
use crate::text;
use crate::trust::{Trust, check_owner};

/// Findings after which nobody reads on.
const MAX_PROBLEMS: usize = 20;

/// Says what is in force. Exit code 1 where the file is not usable.
#[must_use]
pub fn show(paths: &Paths) -> ExitCode {
    let policy = in_force(paths);
    let summary = policy.summary();
    let file = paths.policy_file().display();
    match summary.source {
        PolicySource::Absent => say(format!("{file}: there is no policy file, so the hub may do everything")),
        PolicySource::File => say(format!("{file}: in force")),
        PolicySource::Unreadable => {
            say(format!("{file} and the hub's restrictions: not usable, so the hub may do nothing here"));
            say(indent(summary.problem.as_deref().unwrap_or("unknown problem")));
            return ExitCode::FAILURE;
        }
    }
    for line in in_words(policy.file_rules()) {
        say(format!("  {line}"));
    }
    let limits = policy.limits();
    say(format!(
        "  logs while the hub is away: {} a job, {} together; {} of the disk stay free",
        text::bytes(limits.job_bytes),
        text::bytes(limits.total_bytes),
        text::bytes(limits.free_bytes)
    ));
    for key in &summary.operators {
        say(format!("  operator: {} {}", text::one_line(&key.fingerprint), text::one_line(&key.comment)));
    }
    if let Some(rules) = &summary.hub {
        say(format!("set by the hub, change {}: in force besides the file", summary.hub_seq));
        for line in in_words(rules) {
            say(format!("  {line}"));
        }
    }
    say(verdict(&policy));
    ExitCode::SUCCESS
}

fn in_words(rules: &Rules) -> Vec<String> {
    let some = |names: Option<Vec<String>>, all: &str| match names {
        None => all.to_owned(),
        Some(names) if names.is_empty() => "none".to_owned(),
        Some(names) => names.iter().map(|name| text::one_line(name)).collect::<Vec<_>>().join(", "),
    };
    let tiers = |tiers: &[Tier]| tiers.iter().map(|tier| tier.name().to_owned()).collect::<Vec<_>>();
    let signed = Some(tiers(&rules.require_operator_signature)).filter(|tiers| !tiers.is_empty());
    vec![
        format!("tiers: {}", some(rules.tiers.as_deref().map(tiers), "all (read, typed, root)")),
        format!("kinds of jobs: {}", some(rules.kinds.clone(), &format!("all ({})", JobKind::NAMES.join(", ")))),
        format!("users that commands may run as: {}", some(rules.users.clone(), "all")),
        format!("working directories: {}", some(rules.paths.clone(), "everywhere")),
        format!("an operator's signature besides the hub's: {}", some(signed, "not asked for")),
    ]
}

/// The policy file and what the hub has set; the file alone before a registration.
pub(super) fn in_force(paths: &Paths) -> Policy {
    match Trust::load(paths) {
        Ok(trust) => Policy::in_force(paths, trust.server_id()),
        Err(_) => Policy::load(paths.policy_file()),
    }
}

/// The answer of the code that decides, for the most powerful thing a hub does.
fn verdict(policy: &Policy) -> String {
    match root_command(policy) {
        Ok(()) => "the hub may run commands as root here".to_owned(),
        Err(why) => format!("the hub may not run commands as root here: {why}"),
    }
}

fn root_command(policy: &Policy) -> Result<(), String> {
    let args = ExecArgs { command: Some("true".to_owned()), ..ExecArgs::default() };
    policy.permit(&JobKind::Exec(args))
}

/// Checks a file without installing it: the given one, else the one in force. Exit code 1 where it is not usable.
///
/// # Errors
/// When the given file cannot be read.
pub fn check(paths: &Paths, file: Option<&Path>) -> Result<ExitCode, Problem> {
    let path = file.unwrap_or(paths.policy_file());
    let bytes = match files::read(path, MAX_FILE) {
        Ok(bytes) => bytes,
        Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            say(format!("{}: there is no policy file, so the hub may do everything", path.display()));
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => {
            return Err(Problem::new(format!("{} cannot be read: {error}", path.display()), "Name another file."));
        }
    };
    let is_in_force = path == paths.policy_file();
    let findings = examine(path, &bytes, is_in_force);
    for problem in &findings.problems {
        say(format!("problem: {}", indent(problem).trim_start()));
    }
    for warning in &findings.warnings {
        say(format!("warning: {warning}"));
    }
    if findings.problems.is_empty() {
        say(format!("{}: usable", path.display()));
        return Ok(ExitCode::SUCCESS);
    }
    say(format!("{}: not usable; with it the hub may do nothing here", path.display()));
    Ok(ExitCode::FAILURE)
}

/// What is to be said of a policy file.
#[derive(Debug, Default)]
struct Findings {
    /// Each makes the file unusable.
    problems: Vec<String>,
    /// What may lock somebody out, or in.
    warnings: Vec<String>,
}

fn examine(path: &Path, bytes: &[u8], is_in_force: bool) -> Findings {
    let mut findings = Findings::default();
    for exposed in exposures(path) {
        if is_in_force {
            findings.problems.push(exposed);
        } else {
            findings.warnings.push(format!("{exposed}; installed like this it would not count"));
        }
    }
    match str::from_utf8(bytes) {
        Ok(text) => {
            findings.problems.extend(problems(text));
            findings.warnings.extend(warnings(text));
        }
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
            findings.problems.push(format!("line {line}: not UTF-8"));
        }
    }
    findings
}

/// Who else than root could change the file.
fn exposures(path: &Path) -> Vec<String> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let of_file = files::open(path).and_then(|file| file.metadata());
    let of_dir = Dir::open(dir).and_then(|dir| dir.metadata());
    let checked = [(path, of_file), (dir, of_dir)];
    let exposed = checked.into_iter().filter_map(|(path, metadata)| check_owner(path, &metadata.ok()?).err());
    exposed.map(|error| error.to_string()).collect()
}

/// Everything in the text that is not understood. A parser stops at the first mistake; so what it names is blanked out and
/// the rest read again.
fn problems(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut text = text.to_owned();
    while found.len() < MAX_PROBLEMS {
        let error = match toml::from_str::<Keys>(&text) {
            Ok(keys) => {
                found.extend(keys.problem());
                break;
            }
            Err(error) => error,
        };
        let Some(span) = error.span() else {
            found.push(error.message().to_owned());
            break;
        };
        let before = text.get(..span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        found.push(format!("line {line}: {}", text::one_line(error.message())));
        // After a mistake of the syntax the rest means nothing.
        if toml::from_str::<toml::Table>(&text).is_err() {
            break;
        }
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let end = text.get(span.end..).and_then(|rest| rest.find('\n')).map_or(text.len(), |at| span.end + at);
        let blank: String = text.get(start..end).unwrap_or_default().chars().filter(|&c| c == '\n').collect();
        let blanked =
            [text.get(..start), Some(blank.as_str()), text.get(end..)].map(Option::unwrap_or_default).concat();
        if blanked == text {
            break;
        }
        text = blanked;
    }
    found
}

/// What is understood and may still not be meant.
fn warnings(text: &str) -> Vec<String> {
    let policy = Policy::parse(text);
    if policy.summary().source == PolicySource::Unreadable {
        return Vec::new();
    }
    let rules = policy.file_rules();
    let mut found = Vec::new();
    for (name, is_empty) in [
        ("tiers", rules.tiers.as_ref().is_some_and(Vec::is_empty)),
        ("kinds", rules.kinds.as_ref().is_some_and(Vec::is_empty)),
        ("users", rules.users.as_ref().is_some_and(Vec::is_empty)),
    ] {
        if is_empty {
            found.push(format!("{name} = [] allows nothing: the hub could run no job here"));
        }
    }
    for kind in rules.kinds.iter().flatten().filter(|kind| !JobKind::NAMES.contains(&kind.as_str())) {
        let known = JobKind::NAMES.join(", ");
        found.push(format!("kinds: this agent knows no kind {:?}; it knows {known}", text::bounded(kind, 60)));
    }
    for user in rules.users.iter().flatten().filter(|user| users::find(user).is_none()) {
        found.push(format!("users: this server has no user {:?}", text::bounded(user, 60)));
    }
    for root in rules.paths.iter().flatten().filter(|root| !Path::new(root).is_dir()) {
        found.push(format!("paths: there is no directory {:?}", text::bounded(root, 200)));
    }
    if rules.paths.as_ref().is_some_and(Vec::is_empty) {
        found.push("paths = [] refuses every command that names a working directory".to_owned());
    }
    let limits = policy.limits();
    if limits.job_bytes == 0 || limits.total_bytes == 0 {
        found.push("limits: without room for logs, output is lost whenever the hub is away".to_owned());
    }
    if limits.job_bytes > limits.total_bytes {
        found.push("limits: job_bytes is more than total_bytes, which is reached first".to_owned());
    }
    if let Some(size) = limits::disk_bytes(Path::new("/")).filter(|size| limits.free_bytes >= *size) {
        let size = text::bytes(size);
        found.push(format!("limits: free_bytes is more than the whole disk ({size}): every job would be refused"));
    }
    if let Err(why) = root_command(&policy) {
        found.push(format!("with this file commands as root are refused: {why}"));
    }
    found
}

fn indent(problem: &str) -> String {
    problem.lines().map(|line| format!("  {}", text::one_line(line))).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_mistake_is_named_with_its_line() {
        let text = "tiers = [\"root\",\n  \"rot\",\n]\nkind = []\nusers = \"root\"\n\n[limits]\njob_byte = 1\n";
        let found = problems(text);
        let starts: Vec<&str> = found.iter().filter_map(|problem| problem.split_once(':')).map(|(at, _)| at).collect();
        let mut lines = starts.clone();
        lines.sort_unstable();
        assert_eq!(lines, ["line 2", "line 4", "line 5", "line 8"], "{found:#?}");
        for (part, index) in [("rot", "line 2"), ("kind", "line 4"), ("job_byte", "line 8")] {
            assert!(found.iter().any(|problem| problem.starts_with(index) && problem.contains(part)), "{found:#?}");
        }
        assert_eq!(
            problems("tiers = [\"root\"]\n[[[\nkind = 1").len(),
            1,
            "after a mistake of the syntax nothing counts"
        );
        assert!(problems("paths = [\"srv\"]")[0].contains("absolute"));
        assert!(problems("tiers = [\"root\"]\n[limits]\njob_bytes = 1\n").is_empty());
    }

    #[test]
    fn what_locks_out_is_warned_of() {
        for (text, part) in [
            ("tiers = []", "tiers = [] allows nothing"),
            ("kinds = []", "kinds = [] allows nothing"),
            ("kinds = [\"exce\"]", "no kind \"exce\""),
            ("users = [\"no-such-user-here\"]", "no user \"no-such-user-here\""),
            ("tiers = [\"read\"]", "commands as root are refused"),
            ("paths = [\"/no/such/dir\"]", "no directory"),
            ("[limits]\njob_bytes = 0", "without room"),
            ("[limits]\nfree_bytes = 9000000000000000000", "more than the whole disk"),
        ] {
            let found = warnings(text);
            assert!(found.iter().any(|warning| warning.contains(part)), "{text}: {found:?}");
        }
        for fine in ["", "tiers = [\"root\"]\nusers = [\"root\"]\npaths = [\"/\"]"] {
            assert_eq!(warnings(fine), Vec::<String>::new(), "{fine}");
        }
    }

    #[test]
    fn the_check_and_the_worker_agree() {
        for text in ["", "x", "tiers = 1", "paths = [\"a\"]", "tiers = [\"root\"]", "[limits]\na = 1", "kinds = []"] {
            let is_usable = Policy::parse(text).summary().source != PolicySource::Unreadable;
            assert_eq!(problems(text).is_empty(), is_usable, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_keeps_the_check_busy(text in "([a-z]{1,5} = (1|\\[\\]|\"é\"|\\[\"x\"\\])\n|\\[limits\\]\n|[=\"\n]){0,12}") {
            let found = problems(&text);
            prop_assert!(found.len() <= MAX_PROBLEMS);
            prop_assert_eq!(found.is_empty(), Policy::parse(&text).summary().source != PolicySource::Unreadable);
        }
    }
}

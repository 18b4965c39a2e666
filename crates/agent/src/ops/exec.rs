//! `exec`: a command line for `/bin/sh -c`, or a program with its arguments.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::io;

use nix::unistd::geteuid;
use protocol::JobId;
use protocol::exec::ExecArgs;
use protocol::job::JobError;

use super::{Summary, error};
use crate::host::commands::{Identity, JobProcess, StartError, Step};
use crate::host::users::{self, User};
use crate::supervise::limits::LIMITS_UNAVAILABLE;
use crate::text;

const SHELL: &str = "/bin/sh";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// In every job's environment, whatever it was given: a sweep finds a dead worker's processes by it.
pub const JOB_ID_VARIABLE: &str = "ROADSTEAD_JOB_ID";

/// The process for these arguments.
///
/// # Errors
/// When there is no such user, or this agent cannot become it.
pub fn prepare(args: &ExecArgs, job_id: JobId) -> Result<JobProcess, JobError> {
    let (user, identity) = user_of(args)?;
    let env = environment(args, &user, job_id);
    let (programs, argv) = match (&args.argv, &args.command) {
        (Some(argv), _) => (candidates(argv, env.get("PATH").map_or("", String::as_str))?, strings(argv)?),
        (None, Some(command)) => (strings(&[SHELL])?, strings(&["sh", "-c", command])?),
        (None, None) => {
            return Err(error("bad_arguments", "neither a command nor an argument vector is given".to_owned()));
        }
    };
    Ok(JobProcess {
        programs,
        argv,
        env: strings(&env.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>())?,
        cwd: string(args.cwd.as_deref().unwrap_or(&user.home))?,
        cwd_is_optional: args.cwd.is_none(),
        identity,
        stdin: args.stdin.as_ref().map(|text| text.clone().into_bytes()),
    })
}

/// Why it could not be started.
#[must_use]
pub fn explain(args: &ExecArgs, failed: &StartError) -> JobError {
    let why = &failed.error;
    match failed.step {
        Step::Prepare => error("cannot_start", format!("no process could be made: {why}")),
        Step::Limits => error(LIMITS_UNAVAILABLE, format!("the job's limits cannot be set, nothing was run: {why}")),
        Step::Identity => {
            let user = args.user.as_deref().unwrap_or("root");
            error("cannot_become_user", format!("the agent may not run commands as {user}: {why}"))
        }
        Step::Cwd => {
            let cwd = args.cwd.as_deref().unwrap_or("/");
            error(
                "no_such_directory",
                format!("the working directory {cwd} cannot be entered: {why}; create it or give another"),
            )
        }
        Step::Exec => {
            let program = args.argv.as_ref().and_then(|argv| argv.first()).map_or(SHELL, String::as_str);
            match (why.kind(), why.raw_os_error()) {
                (io::ErrorKind::NotFound, _) => {
                    error("no_such_program", format!("{program} was not found; install it, or give its full path"))
                }
                (io::ErrorKind::PermissionDenied, _) => {
                    error("not_executable", format!("{program} may not be executed by this user: {why}"))
                }
                (_, Some(libc::ENOEXEC)) => error(
                    "not_executable",
                    format!("{program} is neither a program for this machine nor a script with a #! line"),
                ),
                _ => error("cannot_start", format!("{program} could not be executed: {why}")),
            }
        }
    }
}

/// What these arguments do.
#[must_use]
pub fn summary(args: &ExecArgs) -> Summary {
    let words = |argv: &Vec<String>| argv.iter().map(|word| text::shell_word(word)).collect::<Vec<_>>().join(" ");
    Summary {
        command: args.command.clone().or_else(|| args.argv.as_ref().map(words)).unwrap_or_default(),
        user: args.user.clone().unwrap_or_else(own_name),
        cwd: args.cwd.clone(),
    }
}

fn own_name() -> String {
    let uid = geteuid();
    // Nearly always, and known without a look.
    if uid.is_root() {
        return "root".to_owned();
    }
    users::with_uid(uid.as_raw()).map_or_else(|| uid.to_string(), |user| user.name)
}

/// Whose process it is, and what has to be changed for it.
fn user_of(args: &ExecArgs) -> Result<(User, Option<Identity>), JobError> {
    let own_uid = geteuid().as_raw();
    let Some(name) = &args.user else {
        return Ok((users::with_uid(own_uid).unwrap_or_else(|| nameless(own_uid)), None));
    };
    let Some(user) = users::find(name) else {
        let message = format!("there is no user {name} on this server; create it, or give another");
        return Err(error("no_such_user", message));
    };
    if user.uid == own_uid {
        return Ok((user, None));
    }
    if own_uid != 0 {
        let message = format!("this agent does not run as root, so it cannot run commands as {name}");
        return Err(error("cannot_become_user", message));
    }
    let identity = Identity { uid: user.uid, gid: user.gid, groups: users::groups_of(&user) };
    Ok((user, Some(identity)))
}

/// Containers run with ids that no file knows.
fn nameless(uid: u32) -> User {
    let (name, home) = if uid == 0 { ("root".to_owned(), "/root") } else { (uid.to_string(), "/") };
    User { name, uid, gid: nix::unistd::getegid().as_raw(), home: home.to_owned(), shell: SHELL.to_owned() }
}

fn environment(args: &ExecArgs, user: &User, job_id: JobId) -> BTreeMap<String, String> {
    let clean = [
        ("PATH", PATH),
        ("HOME", &user.home),
        ("USER", &user.name),
        ("LOGNAME", &user.name),
        ("SHELL", &user.shell),
        ("LANG", "C.UTF-8"),
        // Output goes to a log: no cursor movement, no pager.
        ("TERM", "dumb"),
    ];
    let mut env: BTreeMap<_, _> = clean.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    env.extend(args.env.clone());
    env.extend(args.secret_env.clone());
    env.insert(JOB_ID_VARIABLE.to_owned(), job_id.to_string());
    env
}

/// Where a program may be, in the order in which a shell would look.
fn candidates(argv: &[String], path: &str) -> Result<Vec<CString>, JobError> {
    let program = argv.first().map_or("", String::as_str);
    if program.contains('/') {
        return strings(&[program]);
    }
    let dirs = path.split(':').map(|dir| if dir.is_empty() { "." } else { dir });
    strings(&dirs.map(|dir| format!("{dir}/{program}")).collect::<Vec<_>>())
}

fn strings(texts: &[impl AsRef<str>]) -> Result<Vec<CString>, JobError> {
    texts.iter().map(|text| string(text.as_ref())).collect()
}

fn string(text: &str) -> Result<CString, JobError> {
    CString::new(text).map_err(|_| error("bad_arguments", "a NUL character cannot be passed to a program".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job_id() -> JobId {
        "019a1f2e-7c55-7d3a-9f10-2b3c4d5e6f70".parse().unwrap()
    }

    fn texts(strings: &[CString]) -> Vec<&str> {
        strings.iter().map(|string| string.to_str().unwrap()).collect()
    }

    #[test]
    fn a_command_line_is_the_shells_and_nobody_elses() {
        let nasty = "echo \"$(id)\"; rm -rf -- '/x' && `y` | z > /dev/null # \\";
        let process = prepare(&ExecArgs { command: Some(nasty.to_owned()), ..ExecArgs::default() }, job_id()).unwrap();
        assert_eq!(texts(&process.programs), ["/bin/sh"]);
        assert_eq!(texts(&process.argv), ["sh", "-c", nasty]);
    }

    #[test]
    fn an_argument_vector_never_meets_a_shell() {
        let argv = vec!["ls".to_owned(), "-l; id".to_owned(), "$HOME".to_owned()];
        let env = [("PATH".to_owned(), "/a::/b".to_owned())].into();
        let process = prepare(&ExecArgs { argv: Some(argv), env, ..ExecArgs::default() }, job_id()).unwrap();
        assert_eq!(texts(&process.programs), ["/a/ls", "./ls", "/b/ls"]);
        assert_eq!(texts(&process.argv), ["ls", "-l; id", "$HOME"]);
        let argv = vec!["./run".to_owned()];
        let process = prepare(&ExecArgs { argv: Some(argv), ..ExecArgs::default() }, job_id()).unwrap();
        assert_eq!(texts(&process.programs), ["./run"]);
    }

    #[test]
    fn the_environment_is_clean_and_extended() {
        let given = [("LANG".to_owned(), "de".to_owned()), (JOB_ID_VARIABLE.to_owned(), "x".to_owned())].into();
        let secret_env = [("TOKEN".to_owned(), "s3cr3t-value".to_owned())].into();
        let args = ExecArgs { command: Some("true".to_owned()), env: given, secret_env, ..ExecArgs::default() };
        let process = prepare(&args, job_id()).unwrap();
        let env = texts(&process.env);
        assert!(env.contains(&"TOKEN=s3cr3t-value"));
        assert!(env.contains(&"LANG=de") && env.contains(&"TERM=dumb"));
        assert!(env.contains(&format!("{JOB_ID_VARIABLE}={}", job_id()).as_str()));
        assert!(!env.iter().any(|variable| variable.starts_with("CARGO")), "nothing is inherited");
    }

    #[test]
    fn a_summary_holds_no_secret() {
        let env = [("TOKEN".to_owned(), "sesame".to_owned())].into();
        let args = ExecArgs {
            argv: Some(vec!["ls".to_owned(), "a b".to_owned()]),
            env,
            stdin: Some("sesame".to_owned()),
            user: Some("www-data".to_owned()),
            cwd: Some("/srv".to_owned()),
            ..ExecArgs::default()
        };
        let summary = summary(&args);
        assert!(!format!("{summary:?}").contains("sesame"));
        assert_eq!((summary.command.as_str(), summary.user.as_str()), ("ls 'a b'", "www-data"));
    }

    #[test]
    fn an_unknown_user_is_named() {
        let args =
            ExecArgs { command: Some("true".to_owned()), user: Some("no-such-user".to_owned()), ..ExecArgs::default() };
        let error = prepare(&args, job_id()).unwrap_err();
        assert_eq!(error.code, "no_such_user");
        assert!(error.message.contains("no-such-user"));
    }
}

//! The commands for somebody who has a shell on the server and nothing else, as the program that people run.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at the machine directly, and fail loudly"
)]

mod support;

use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output, Stdio};

use agent::spool::Phase;
use protocol::JobId;
use protocol::exec::ExecArgs;
use protocol::job::EndState;
use serde_json::Value;
use support::{Host, PROGRAM, command, end_of, exists, is_root, new_id, output, wait_for};

/// A user without any rights.
const NOBODY: u32 = 65_534;

fn program(host: &Host, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).arg("--state-dir").arg(host.paths.state_dir()).env_remove("SUDO_USER");
    command
}

fn run(host: &Host, arguments: &[&str]) -> Output {
    program(host, arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn tail(job_id: JobId) -> String {
    agent::inspect::records::tail(job_id)
}

fn mode(path: &std::path::Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn jobs_are_listed_newest_first_with_who_and_what() {
    let host = Host::new();
    let first = host.sh("exit 7").await;
    let args = ExecArgs {
        argv: Some(vec!["echo".to_owned(), "\u{1b}[2J\u{9b}31m it's".to_owned()]),
        env: support::env(&[("TOKEN", "sesame")]),
        cwd: Some("/tmp".to_owned()),
        ..ExecArgs::default()
    };
    let second = host.run(&args).await;
    let body = host.body(&command("echo ready; sleep 600"));
    let mut running = host.start(&body).await;
    output(&host, &mut running, "ready").await;
    host.ended(first.done.job_id);
    host.ended(second.done.job_id);

    let listed = run(&host, &["jobs"]);
    let text = out(&listed);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), listed.status.code()), (4, Some(0)), "{listed:?}");
    for (line, job_id, state, command) in [
        (lines[1], body.job_id, "  running  ", "echo ready; sleep 600"),
        (lines[2], second.done.job_id, "  succeeded  ", r"echo '\x1b[2J\u{9b}31m it'\''s'"),
        (lines[3], first.done.job_id, "  failed, exit 7  ", "exit 7"),
    ] {
        assert!(line.starts_with(&tail(job_id)) && line.contains(state) && line.ends_with(command), "{line}");
        assert!(line.contains("  Ann (user)  "), "{line}");
    }
    assert!(!listed.stdout.contains(&0x1b) && !text.contains('\u{9b}') && !text.contains("sesame"), "{text}");

    let json = out(&run(&host, &["jobs", "--json"]));
    assert!(!json.contains(['\u{1b}', '\u{9b}']) && !json.contains("sesame"), "{json}");
    let jobs: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(jobs[1]["order"]["command"], "echo '\u{1b}[2J\u{9b}31m it'\\''s'");
    assert_eq!((&jobs[1]["order"]["cwd"], &jobs[1]["order"]["actor"]["name"]), (&"/tmp".into(), &"Ann".into()));
    assert_eq!((&jobs[2]["state"], &jobs[2]["exit_code"]), (&"failed".into(), &7.into()));
    assert_eq!(jobs[2]["hub"]["has_all"], false);

    // What runs is listed whatever was asked for; what the hub has is said.
    host.spool().forget(first.done.job_id).unwrap();
    let jobs: Value = serde_json::from_str(&out(&run(&host, &["jobs", "--json", "-n", "0"]))).unwrap();
    assert_eq!((jobs.as_array().unwrap().len(), &jobs[0]["state"]), (1, &"running".into()));
    let jobs: Value = serde_json::from_str(&out(&run(&host, &["jobs", "--json"]))).unwrap();
    assert_eq!(jobs[2]["hub"]["has_all"], true);
}

#[tokio::test]
async fn without_the_claims_only_what_the_spool_allows_is_shown_and_that_is_said() {
    let host = Host::new();
    let finished = host.sh("echo secret-command").await;
    std::fs::rename(host.paths.claims_dir(), host.dir.path().join("away")).unwrap();
    let listed = run(&host, &["jobs"]);
    assert!(out(&listed).contains(&tail(finished.done.job_id)) && !out(&listed).contains("secret-command"));
    assert!(err(&listed).contains("Run this as root"), "{}", err(&listed));
    std::fs::remove_dir_all(host.paths.spool_dir()).unwrap();
    let listed = run(&host, &["jobs"]);
    assert_eq!(listed.status.code(), Some(1));
    assert!(err(&listed).contains("--state-dir"), "{}", err(&listed));
}

#[tokio::test]
async fn a_log_is_printed_by_stream_and_byte_for_byte() {
    let host = Host::new();
    let finished = host.sh(r"printf 'a\377b\n'; echo oops >&2; exit 3").await;
    host.ended(finished.done.job_id);
    for name in [finished.done.job_id.to_string(), tail(finished.done.job_id).to_uppercase()] {
        let printed = run(&host, &["logs", &name]);
        assert_eq!((printed.stdout.as_slice(), printed.status.code()), (b"a\xffb\n".as_slice(), Some(0)));
        let err = err(&printed);
        assert!(err.starts_with("oops\n[job ") && err.contains("failed, exit code 3"), "{err}");
    }
    let unknown = run(&host, &["logs", &new_id()]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(err(&unknown).contains("knows no job"), "{}", err(&unknown));
    assert_eq!(run(&host, &["logs", "../../etc"]).status.code(), Some(2));
}

#[tokio::test]
async fn an_ambiguous_name_names_the_candidates() {
    let host = Host::new();
    let (mut one, mut two) = (host.body(&command("true")), host.body(&command("true")));
    one.job_id = "019a1f2e-7c55-7d3a-9f10-2b3c4d5e6f70".parse().unwrap();
    two.job_id = "019a1f2e-7c56-7d3a-9f10-2b3c4d5e6f70".parse().unwrap();
    for body in [&one, &two] {
        let mut job = host.start(body).await;
        host.finish(&mut job).await;
    }
    for verb in ["logs", "cancel"] {
        let refused = run(&host, &[verb, "4d5e6f70"]);
        assert_eq!(refused.status.code(), Some(1));
        let err = err(&refused);
        assert!(err.contains(&one.job_id.to_string()) && err.contains(&two.job_id.to_string()), "{err}");
    }
}

#[tokio::test]
async fn following_ends_with_the_job_and_misses_nothing() {
    let host = Host::new();
    let go = host.dir.path().join("go");
    let script = format!("echo one; while ! test -e {}; do sleep 0.05; done; seq 1 20000; exit 9", go.display());
    let body = host.body(&command(&script));
    let mut job = host.start(&body).await;
    output(&host, &mut job, "one").await;
    let now = run(&host, &["logs", &body.job_id.to_string()]);
    assert_eq!(out(&now), "one\n");
    assert!(err(&now).contains("-f follows"), "{}", err(&now));

    let follow = program(&host, &["logs", "-f", &body.job_id.to_string()]);
    let mut follow = { follow }.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 4];
    follow.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"one\n");
    std::fs::write(&go, "").unwrap();
    let followed = follow.wait_with_output().unwrap();
    let expected: String = (1..=20_000).map(|n| format!("{n}\n")).collect();
    assert!(out(&followed) == expected, "{} bytes", followed.stdout.len());
    assert_eq!(followed.status.code(), Some(0), "the command's exit code is the job's, not ours");
    assert!(err(&followed).contains("failed, exit code 9"), "{}", err(&followed));
    end_of(&mut job).await;
}

#[tokio::test]
async fn whoever_stops_reading_is_no_failure() {
    let host = Host::new();
    let finished = host.sh("head -c 3000000 /dev/zero").await;
    let printing = program(&host, &["logs", &tail(finished.done.job_id)]);
    let mut printing = { printing }.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 10];
    printing.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let ended = printing.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), err(&ended).as_str()), (Some(0), ""));
}

#[tokio::test]
async fn what_was_freed_or_dropped_is_said() {
    let host = Host::new();
    host.policy("[limits]\njob_bytes = 6000000");
    let finished = host.sh("head -c 20000000 /dev/zero").await;
    host.ended(finished.done.job_id);
    let printed = run(&host, &["logs", &tail(finished.done.job_id)]);
    assert!(err(&printed).contains("bytes of output were dropped here"), "{}", err(&printed));
    let whole = printed.stdout.len();

    host.spool().forget(finished.done.job_id).unwrap();
    let printed = run(&host, &["logs", &tail(finished.done.job_id)]);
    assert!(err(&printed).starts_with("[the first "), "{}", err(&printed));
    assert!(err(&printed).contains("the hub has them"), "{}", err(&printed));
    assert!(printed.stdout.len() < whole);

    // The relay has cleared the place; the claim is still known.
    std::fs::remove_dir_all(host.paths.spool_dir().join(finished.done.job_id.to_string())).unwrap();
    let gone = run(&host, &["logs", &tail(finished.done.job_id)]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(err(&gone).contains("not kept here any more"), "{}", err(&gone));
}

#[tokio::test]
async fn a_job_is_cancelled_on_the_server_itself_and_says_by_whom() {
    let host = Host::new();
    let body = host.body(&command("echo ready $$; (setsid sleep 600 &); sleep 600"));
    let mut job = host.start(&body).await;
    let said = output(&host, &mut job, "ready").await;
    host.attach(body.job_id).await;
    let cancelled = run(&host, &["cancel", &tail(body.job_id)]);
    assert_eq!(cancelled.status.code(), Some(0), "{cancelled:?}");
    let name = agent::host::users::with_uid(nix::unistd::geteuid().as_raw()).expect("a user").name;
    let message = format!("the job was ended by {name} on the server itself");
    assert!(out(&cancelled).contains("cancelled, signal 15") && out(&cancelled).contains(&message), "{cancelled:?}");

    let finished = host.finish(&mut job).await;
    assert_eq!(finished.done.state, EndState::Cancelled);
    let error = finished.done.error.clone().expect("an error");
    assert_eq!((error.code.as_str(), error.message), ("cancelled_on_server", message));
    assert_eq!(finished.log.sys(), format!("[cancelled by {name} on the server itself]\n"));
    assert_eq!(host.ended(body.job_id).phase, Phase::Ended(finished.done));
    let main: i32 = said.trim().trim_start_matches("ready ").parse().unwrap();
    assert!(!exists(main));

    let again = run(&host, &["cancel", &tail(body.job_id)]);
    assert_eq!(again.status.code(), Some(3), "{again:?}");
    assert!(out(&again).contains("nothing to cancel"), "{again:?}");
}

/// Whoever owns the relay may talk to a worker, and must not end a job without the hub.
#[tokio::test]
async fn the_relays_user_cannot_cancel_by_itself() {
    if !is_root() {
        return eprintln!("not tried: needs root");
    }
    let host = Host::new();
    // Installed, the relay's directory, its group's spool and the program are what they are made here.
    mode(host.dir.path(), 0o755);
    chown(host.paths.relay_dir(), Some(NOBODY), Some(NOBODY)).unwrap();
    chown(host.paths.spool_dir(), None, Some(NOBODY)).unwrap();
    mode(&host.paths.spool_dir(), 0o2750);
    let copy = host.dir.path().join("roadstead-agent");
    std::fs::copy(PROGRAM, &copy).unwrap();

    let body = host.body(&command("echo ready; sleep 600"));
    let mut job = host.start(&body).await;
    output(&host, &mut job, "ready").await;
    host.attach(body.job_id).await;
    let refused = Command::new(&copy)
        .args(["cancel", &tail(body.job_id), "--state-dir"])
        .arg(host.paths.state_dir())
        .env("SUDO_USER", "root")
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(err(&refused).contains("user 65534 may not cancel jobs"), "{refused:?}");
    assert!(host.spool().is_running(body.job_id).unwrap());

    // Root may, and the hub may.
    job.cancel(&host.cancel(body.job_id)).await.unwrap();
    let done = end_of(&mut job).await;
    assert_eq!((done.state, done.error), (EndState::Cancelled, None));
}

#[test]
fn a_policy_is_shown_in_words_and_checked_before_it_counts() {
    let host = Host::new();
    assert!(out(&run(&host, &["policy", "show"])).contains("the hub may do everything"));
    host.policy("tiers = [\"read\"]\nusers = [\"root\"]\n");
    let shown = run(&host, &["policy", "show"]);
    let text = out(&shown);
    assert!(text.contains("tiers: read\n") && text.contains("may not run commands as root"), "{text}");
    assert_eq!(shown.status.code(), Some(0));

    let draft = host.dir.path().join("draft.toml");
    std::fs::write(&draft, "tires = [\"read\"]\n\nkinds = 1\n").unwrap();
    let draft = draft.display().to_string();
    let checked = run(&host, &["policy", "check", &draft]);
    let text = out(&checked);
    assert_eq!(checked.status.code(), Some(1), "{text}");
    assert!(text.contains("line 1: unknown field `tires`") && text.contains("line 3:"), "{text}");
    std::fs::write(&draft, "kinds = [\"exec\"]\ntiers = []\n").unwrap();
    mode(draft.as_ref(), 0o666);
    let checked = run(&host, &["policy", "check", &draft]);
    assert_eq!(checked.status.code(), Some(0));
    assert!(out(&checked).contains("warning: tiers = []") && out(&checked).contains("can be written by others"));

    mode(host.paths.policy_file(), 0o666);
    assert_eq!(run(&host, &["policy", "check"]).status.code(), Some(1), "it is in force, and does not count");
    let shown = run(&host, &["policy", "show"]);
    assert_eq!(shown.status.code(), Some(1));
    assert!(out(&shown).contains("the hub may do nothing here"), "{}", out(&shown));
}

#[tokio::test]
async fn the_doctor_finds_what_is_wrong_and_names_no_token() {
    let host = Host::new();
    let token = format!("rsa_{}", "a".repeat(43));
    // Nobody listens on a port that was just given back.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let identity = serde_json::json!({
        "hub_url": "https://hub.test", "ws_url": format!("ws://{closed}/v1/agent"), "server_id": host.server_id,
        "agent_token": token, "install_token_sha256": protocol::Hex([0; 32]),
    });
    std::fs::write(host.paths.identity_file(), identity.to_string()).unwrap();
    let finished = host.sh("true").await;
    host.policy("nonsense");
    host.ended(finished.done.job_id);
    let claim = host.paths.claims_dir().join(format!("{}.end", finished.done.job_id));
    wait_for("the end of the claim", || claim.exists().then_some(()));
    std::fs::remove_file(&claim).unwrap();

    let examined = run(&host, &["doctor", "--json"]);
    assert_eq!(examined.status.code(), Some(1), "{examined:?}");
    let found: Value = serde_json::from_str(&out(&examined)).unwrap();
    assert_eq!(found["healthy"], false);
    let level = |name: &str| {
        let checks = found["checks"].as_array().unwrap();
        checks.iter().find(|check| check["check"] == name).map(|check| check["level"].as_str().unwrap().to_owned())
    };
    for (name, expected) in [
        ("registration", "ok"),
        ("hub key", "ok"),
        ("trust", "ok"),
        ("hub address", "ok"),
        ("hub TCP", "problem"),
        ("connection", "problem"),
        ("policy", "problem"),
        ("jobs", "warning"),
        ("memfd", "ok"),
    ] {
        assert_eq!(level(name).as_deref(), Some(expected), "{name}: {found:#}");
    }
    for shown in [out(&examined), out(&run(&host, &["doctor"])), err(&examined)] {
        assert!(!shown.contains("rsa_") && !shown.contains("aaaaaaaa"), "{shown}");
    }
    assert!(out(&run(&host, &["doctor"])).contains("problem  hub TCP: 127.0.0.1:"));
}

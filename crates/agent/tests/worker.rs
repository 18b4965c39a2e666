//! What a worker takes, what it refuses, and that it runs nothing twice.
#![expect(clippy::disallowed_methods, reason = "tests look at the machine directly, and fail loudly")]

mod support;

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};

use agent::handover::{HandoverError, Workers};
use agent::work::wire::Note;
use protocol::exec::ExecArgs;
use protocol::job::{Already, CmdOutcome, EndState, RejectCode, SpoolState};
use protocol::{Hex, JobId, signing};
use serde_json::value::RawValue;
use support::{Host, HubKey, command, env, is_root, new_id, now_ms, rejection, signed_cmd};

#[tokio::test]
async fn output_exit_code_and_end_are_reported() {
    let host = Host::new();
    let finished = host.sh("echo hello; echo oops >&2; exit 7").await;
    assert_eq!(finished.log.out(), "hello\n");
    assert_eq!(finished.log.err(), "oops\n");
    assert_eq!(finished.log.sys(), "");
    assert_eq!((finished.done.state, finished.done.exit_code, finished.done.signal), (EndState::Failed, Some(7), None));
    let finished = host.sh("true").await;
    assert_eq!((finished.done.state, finished.done.exit_code), (EndState::Succeeded, Some(0)));
    let finished = host.sh("kill -SEGV $$").await;
    assert_eq!(
        (finished.done.state, finished.done.exit_code, finished.done.signal),
        (EndState::Failed, None, Some(11))
    );
}

#[tokio::test]
async fn the_end_is_in_the_spool_after_the_report() {
    let host = Host::new();
    let finished = host.sh("echo x; exit 3").await;
    let job = host.ended(finished.done.job_id);
    assert_eq!(job.phase, agent::spool::Phase::Ended(finished.done));
    assert_eq!((job.state(), job.next_offset), (SpoolState::Failed, 2));
}

#[tokio::test]
async fn a_job_runs_at_most_once_however_often_it_is_delivered() {
    let host = Host::new();
    let mark = host.dir.path().join("ran");
    let body = host.body(&command(&format!("echo ran >> {}; cat", mark.display())));
    let mut job = host.start(&body).await;
    let (again, none) = host.submit(&body).await;
    assert!(none.is_none());
    let CmdOutcome::Already(Already { state, .. }) = again.outcome else { panic!("{again:?}") };
    assert!(matches!(state, SpoolState::Running | SpoolState::Succeeded), "{state:?}");
    let finished = host.finish(&mut job).await;
    host.ended(body.job_id);

    for _ in 0..3 {
        let (again, none) = host.submit(&body).await;
        assert!(none.is_none());
        let expected = Already { state: SpoolState::Succeeded, next_offset: finished.done.next_offset };
        assert_eq!(again.outcome, CmdOutcome::Already(expected));
    }
    // Whatever the relay does to the spool, and however late it comes.
    std::fs::remove_dir_all(host.paths.spool_dir().join(body.job_id.to_string())).unwrap();
    let (again, _) = host.submit(&body).await;
    assert!(matches!(again.outcome, CmdOutcome::Already(Already { state: SpoolState::Succeeded, .. })), "{again:?}");
    assert_eq!(support::read(&mark), "ran\n");
}

#[tokio::test]
async fn of_many_deliveries_at_once_one_wins() {
    let host = Host::new();
    let mark = host.dir.path().join("ran");
    let body = host.body(&command(&format!("echo ran >> {}", mark.display())));
    let deliveries = futures_util::future::join_all((0..20).map(|_| host.submit(&body))).await;
    let accepted: Vec<_> = deliveries.into_iter().filter_map(|(_, job)| job).collect();
    assert_eq!(accepted.len(), 1);
    for mut job in accepted {
        host.finish(&mut job).await;
    }
    assert_eq!(support::read(&mark), "ran\n");
}

#[tokio::test]
async fn what_the_hub_did_not_order_is_refused() {
    let host = Host::new();
    let mark = host.dir.path().join("ran");
    let body = host.body(&command(&format!("touch {}", mark.display())));
    let good = host.cmd(&body);

    let mut flipped_body = good.clone();
    flipped_body.signed.body = good.signed.body.replace("touch", "tOuch");
    let mut flipped_signature = good.clone();
    flipped_signature.signed.sig.0[10] ^= 1;
    let other_hub = signed_cmd(&HubKey::new(8), &body);
    let mut claims_the_key = other_hub.clone();
    claims_the_key.signed.key_id = good.signed.key_id;
    let mut other_purpose = good.clone();
    other_purpose.signed = host.hub.sign(signing::CANCEL, good.signed.body.clone());
    let mut other_server = host.body(&command("true"));
    other_server.server_id = new_id().parse().unwrap();
    let mut expired = host.body(&command("true"));
    expired.expires_at_ms = now_ms() - 1;
    let mut operators = good.clone();
    operators.op_body = Some("not what the hub signed".to_owned());

    for (what, cmd, code) in [
        ("a flipped byte of the body", flipped_body, RejectCode::BadSignature),
        ("a flipped byte of the signature", flipped_signature, RejectCode::BadSignature),
        ("another hub's key", other_hub, RejectCode::BadSignature),
        ("another hub under our key's name", claims_the_key, RejectCode::BadSignature),
        ("a signature for another purpose", other_purpose, RejectCode::BadSignature),
        ("another server's order", host.cmd(&other_server), RejectCode::WrongServer),
        ("an expired order", host.cmd(&expired), RejectCode::Expired),
        ("an operators' body that was put in", operators, RejectCode::BadSignature),
    ] {
        let job_id = agent::handover::job_of(&cmd).unwrap();
        let (ack, job) = host.workers.submit(job_id, cmd, None).await.unwrap();
        assert_eq!(rejection(&ack), Some(code), "{what}: {ack:?}");
        assert!(job.is_none());
    }
    assert!(!mark.exists());
    assert_eq!(std::fs::read_dir(host.paths.claims_dir()).unwrap().count(), 0, "nothing was claimed");
    // The untouched order is still good.
    let mut job = host.start(&body).await;
    host.finish(&mut job).await;
    assert!(mark.exists());
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_named() {
    let host = Host::new();
    let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
    for (kind, args, timeout_s, code, hint) in [
        ("exec", "{}", 1, RejectCode::BadArguments, "command"),
        ("exec", r#"{"command":"  "}"#, 1, RejectCode::BadArguments, "empty"),
        ("exec", r#"{"command":"a\u0000b"}"#, 1, RejectCode::BadArguments, "NUL"),
        ("exec", r#"{"command":"a","surprise":1}"#, 1, RejectCode::BadArguments, "surprise"),
        ("exec", r#"{"command":"a","cwd":"x"}"#, 1, RejectCode::BadArguments, "cwd"),
        ("exec", r#"{"command":"true"}"#, 0, RejectCode::BadArguments, "timeout_s"),
        ("backup", "{}", 1, RejectCode::UnknownKind, "backup"),
    ] {
        let mut body = host.body(&command("true"));
        (body.kind, body.args, body.timeout_s) = (kind.to_owned(), raw(args), timeout_s);
        let (ack, _) = host.submit(&body).await;
        assert_eq!(rejection(&ack), Some(code), "{kind} {args}: {ack:?}");
        assert!(format!("{ack:?}").contains(hint), "{ack:?}");
    }
    let mut body = host.body(&command("true"));
    body.args = raw(&format!(r#"{{"command":"{}"}}"#, "x".repeat(protocol::MAX_SIGNED_BODY)));
    let (ack, _) = host.submit(&body).await;
    assert_eq!(rejection(&ack), Some(RejectCode::BadArguments));
}

#[tokio::test]
async fn orders_expire_by_the_hubs_clock() {
    let host = Host::new();
    let hour = 3_600_000;
    // This host's clock is an hour behind the hub's.
    let welcome = welcome(&host, now_ms() + hour);
    host.workers.greet(welcome.clone()).await.unwrap();
    let mut body = host.body(&command("true"));
    body.expires_at_ms = now_ms() + hour - 10_000;
    assert_eq!(rejection(&host.submit(&body).await.0), Some(RejectCode::Expired));
    body.expires_at_ms = now_ms() + hour + 60_000;
    let mut job = host.start(&body).await;
    host.finish(&mut job).await;

    // An older welcome, shown later, does not turn the time back; a forged one does not move it.
    let older = self::welcome(&host, now_ms());
    host.workers.greet(older).await.unwrap();
    let mut forged = self::welcome(&host, 1);
    forged.body = welcome.body.replace("time_ms\":", "time_ms\":9");
    host.workers.greet(forged).await.unwrap();
    let mut body = host.body(&command("true"));
    body.expires_at_ms = now_ms() + hour - 10_000;
    assert_eq!(rejection(&host.submit(&body).await.0), Some(RejectCode::Expired));
    let mut body = host.body(&command("true"));
    body.expires_at_ms = now_ms() + hour + 60_000;
    host.start(&body).await;
}

#[tokio::test]
async fn a_host_clock_ahead_of_the_hub_expires_nothing() {
    let host = Host::new();
    let hour = 3_600_000;
    let mut body = host.body(&command("true"));
    body.expires_at_ms = now_ms() - hour + 600_000;
    // The job itself brings the time where no worker was told before.
    let (ack, job) =
        host.workers.submit(body.job_id, host.cmd(&body), Some(welcome(&host, now_ms() - hour))).await.unwrap();
    assert!(job.is_some(), "{ack:?}");
}

fn welcome(host: &Host, time_ms: i64) -> protocol::Signed {
    let license = protocol::Signed { body: "{}".to_owned(), key_id: Hex([0; 8]), sig: Hex([0; 64]) };
    let body = serde_json::json!({
        "server_id": host.server_id, "protocol": 1, "nonce": Hex([0; 32]), "agent_ephemeral_key": Hex([0; 32]),
        "ephemeral_key": Hex([0; 32]), "hub": {"version": "0.1.0", "time_ms": time_ms}, "heartbeat_interval_s": 30,
        "license": license,
    });
    host.hub.sign(signing::WELCOME, body.to_string())
}

#[tokio::test]
async fn the_hosts_policy_decides() {
    let host = Host::new();
    host.policy("tiers = [\"read\", \"typed\"]\n");
    let description = host.workers.describe().await.unwrap();
    assert_eq!(description.policy.tiers.len(), 2);
    assert_eq!(description.boot_id, support::boot_id());
    let (ack, _) = host.submit(&host.body(&command("true"))).await;
    assert_eq!(rejection(&ack), Some(RejectCode::PolicyDenied));
    host.policy("require_operator_signature = [\"root\"]\n");
    let (ack, _) = host.submit(&host.body(&command("true"))).await;
    assert_eq!(rejection(&ack), Some(RejectCode::OperatorSignature));
    host.policy("teirs = []\n");
    let (ack, _) = host.submit(&host.body(&command("true"))).await;
    assert_eq!(rejection(&ack), Some(RejectCode::PolicyDenied));
    host.policy("");
    assert_eq!(host.sh("echo ok").await.log.out(), "ok\n");
}

#[tokio::test]
async fn trust_that_others_can_write_is_none() {
    let host = Host::new();
    let set_mode = |mode| std::fs::set_permissions(host.paths.trust_dir(), PermissionsExt::from_mode(mode)).unwrap();
    set_mode(0o777);
    let (ack, _) = host.submit(&host.body(&command("true"))).await;
    assert_eq!(rejection(&ack), Some(RejectCode::Unavailable), "{ack:?}");
    set_mode(0o755);
    assert_eq!(host.sh("echo ok").await.log.out(), "ok\n");
}

#[tokio::test]
async fn a_planted_spool_directory_leads_nowhere() {
    let host = Host::new();
    let elsewhere = host.dir.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let link = host.body(&command("echo x"));
    symlink(&elsewhere, host.paths.spool_dir().join(link.job_id.to_string())).unwrap();
    let mut job = host.start(&link).await;
    assert_eq!(host.finish(&mut job).await.log.out(), "x\n");
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0, "nothing was written through the link");

    let full = host.body(&command("echo y"));
    let planted = host.paths.spool_dir().join(full.job_id.to_string());
    std::fs::create_dir(&planted).unwrap();
    let victim = host.dir.path().join("victim");
    std::fs::write(&victim, "safe").unwrap();
    for name in ["v1.meta", "v1.meta.new", "v1.end", "v1.end.new", "v1.log-00000000000000000000.seg"] {
        symlink(&victim, planted.join(name)).unwrap();
    }
    let mut job = host.start(&full).await;
    assert_eq!(host.finish(&mut job).await.log.out(), "y\n");
    host.ended(full.job_id);
    assert_eq!(support::read(&victim), "safe");
}

#[tokio::test]
async fn stdin_env_and_arguments_arrive_exactly() {
    let host = Host::new();
    let stdin = "line ä\n\u{1f600}\0end".repeat(3000);
    let finished = host.run(&ExecArgs { stdin: Some(stdin.clone()), ..command("cat") }).await;
    assert_eq!(finished.log.out(), stdin);
    assert_eq!(host.sh("cat; echo end").await.log.out(), "end\n", "no stdin is an empty one");

    let args = ExecArgs { env: env(&[("GREETING", "hello $HOME"), ("LANG", "C")]), ..command("env") };
    let finished = host.run(&args).await;
    let out = finished.log.out();
    let names: BTreeSet<&str> = out.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    for name in ["GREETING", "HOME", "LANG", "LOGNAME", "PATH", "ROADSTEAD_JOB_ID", "SHELL", "TERM", "USER"] {
        assert!(names.contains(name), "{name} in {out}");
    }
    assert!(out.contains("GREETING=hello $HOME\n") && out.contains("LANG=C\n"), "{out}");
    assert!(!names.iter().any(|name| name.starts_with("CARGO") || name.starts_with("NEXTEST")), "{out}");

    let argv = ["printf", "%s|", "a b", "$(id)", "", "ö"].map(str::to_owned).to_vec();
    let finished = host.run(&ExecArgs { argv: Some(argv), ..ExecArgs::default() }).await;
    assert_eq!(finished.log.out(), "a b|$(id)||ö|");
}

#[tokio::test]
async fn a_job_starts_in_a_clean_place() {
    let host = Host::new();
    let finished = host.sh("umask; pwd; ls /proc/self/fd | wc -l; grep -E '^Sig(Blk|Ign)' /proc/self/status; ps -o sid= -p $$ | tr -d ' '; echo $$").await;
    let out = finished.log.out();
    let lines: Vec<&str> = out.lines().collect();
    let home = std::env::var("HOME").unwrap_or_default();
    assert_eq!(lines[0], "0022");
    if is_root() {
        assert_eq!(lines[1], home);
    }
    // ls itself has one open for the directory.
    assert_eq!(lines[2], "4", "{out}");
    assert!(lines[3].ends_with("0000000000000000") && lines[4].ends_with("0000000000000000"), "{out}");
    assert_eq!(lines[5], lines[6], "it leads its own session");

    let finished = host.run(&ExecArgs { cwd: Some("/usr/bin".to_owned()), ..command("pwd") }).await;
    assert_eq!(finished.log.out(), "/usr/bin\n");
}

#[tokio::test]
async fn another_user_is_fully_that_user() {
    if !is_root() {
        return;
    }
    let host = Host::new();
    let as_nobody = |text: &str| ExecArgs { user: Some("nobody".to_owned()), ..command(text) };
    let finished = host.run(&as_nobody("id -un; id -Gn; echo $HOME $USER $LOGNAME; pwd; cat /etc/shadow; echo to-err > /dev/stderr; echo to-out > /dev/stdout")).await;
    let out = finished.log.out();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..4], ["nobody", "nogroup", "/nonexistent nobody nobody", "/"], "{out}");
    assert_eq!(lines[4], "to-out");
    let err = finished.log.err();
    assert!(err.contains("Permission denied") && err.contains("to-err"), "{err}");
    assert!(finished.log.sys().contains("home directory"), "{}", finished.log.sys());
    let finished = host.run(&ExecArgs { stdin: Some("in".to_owned()), ..as_nobody("cat /dev/stdin") }).await;
    assert_eq!(finished.log.out(), "in");
}

#[tokio::test]
async fn a_job_that_cannot_start_says_why() {
    let host = Host::new();
    let argv = |program: &str| ExecArgs { argv: Some(vec![program.to_owned()]), ..ExecArgs::default() };
    for (args, code, hint) in [
        (ExecArgs { user: Some("no-such-user".to_owned()), ..command("true") }, "no_such_user", "no-such-user"),
        (ExecArgs { cwd: Some("/no/such/dir".to_owned()), ..command("true") }, "no_such_directory", "/no/such/dir"),
        (argv("no-such-program"), "no_such_program", "no-such-program"),
        (argv("/no/such/program"), "no_such_program", "/no/such/program"),
        (argv("/etc/passwd"), "not_executable", "/etc/passwd"),
        (argv("/etc"), "not_executable", "/etc"),
    ] {
        let finished = host.run(&args).await;
        assert_eq!((finished.done.state, finished.done.exit_code), (EndState::Failed, None), "{args:?}");
        let error = finished.done.error.unwrap();
        assert!(error.code == code && error.message.contains(hint), "{error:?}");
        host.ended(finished.done.job_id);
    }
}

#[tokio::test]
async fn strangers_and_rubbish_get_nothing() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let host = Host::new();
    for (line, answer) in [
        ("rubbish\n", "refused"),
        ("{\"v\":2,\"op\":\"describe\"}\n", "version 1, not 2"),
        ("{\"v\":1,\"op\":\"surprise\"}\n", "refused"),
        ("{\"v\":1,\"op\":{\"job\":{}}}\n", "refused"),
        ("{\"v\":1,\"op\":\"describe\"}\n", "described"),
    ] {
        let mut stream = support::raw_worker(&host);
        stream.write_all(line.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert!(text.contains(answer), "{line}: {text}");
    }
    // A line without an end is not collected for ever.
    let mut stream = support::raw_worker(&host);
    let flood = vec![b'x'; 1 << 16];
    while stream.write_all(&flood).await.is_ok() {}
}

#[tokio::test]
async fn a_control_socket_takes_only_the_hubs_cancel() {
    let host = Host::new();
    let body = host.body(&command("sleep 1000"));
    let job = host.start(&body).await;
    let mut control = host.attach(body.job_id).await;
    let mut forged = host.cancel(body.job_id);
    forged.0.sig.0[0] ^= 1;
    let other: JobId = new_id().parse().unwrap();
    for bad in [forged, host.cancel(other)] {
        control.cancel(&bad).await.unwrap();
        let refused = loop {
            match control.next().await.unwrap() {
                Some(Note::Refused(refused)) => break refused,
                Some(Note::Spooled(_)) => {}
                other => panic!("{other:?}"),
            }
        };
        assert!(matches!(refused.code, RejectCode::BadSignature | RejectCode::BadArguments), "{refused:?}");
    }
    control.cancel(&host.cancel(body.job_id)).await.unwrap();
    let finished = host.finish(&mut control).await;
    assert_eq!(finished.done.state, EndState::Cancelled);
    assert_eq!(finished.done.signal, Some(15));
    drop(job);
}

/// Program files that are no worker: one ends at once, one says nothing for ever.
#[tokio::test]
async fn a_worker_without_an_answer_is_told_from_one_that_may_yet_act() {
    let host = Host::new();
    let body = host.body(&command("true"));
    let silent = host.dir.path().join("silent");
    std::fs::write(&silent, "#!/bin/sh\nexec cat >/dev/null\n").unwrap();
    std::fs::set_permissions(&silent, std::fs::Permissions::from_mode(0o755)).unwrap();

    let dead = Workers::forked(host.paths.clone(), "/bin/false");
    let answer = dead.submit(body.job_id, host.cmd(&body), None).await;
    assert!(matches!(answer, Err(HandoverError::NoAnswer(_))), "{answer:?}");

    // It lives, whatever it said.
    let confused = host.dir.path().join("confused");
    for words in [r#"echo '{"spooled":1}' >&3"#, "head -c 2000000 /dev/zero | tr '\\0' x >&3"] {
        std::fs::write(&confused, format!("#!/bin/sh\nexec 3>&0\nread line\n{words}\nexec cat >/dev/null\n")).unwrap();
        std::fs::set_permissions(&confused, std::fs::Permissions::from_mode(0o755)).unwrap();
        let confused = Workers::forked(host.paths.clone(), &confused);
        let answer = confused.submit(body.job_id, host.cmd(&body), None).await;
        assert!(matches!(answer, Err(HandoverError::Unclear(_))), "{answer:?}");
    }

    // The clock jumps to the deadline as soon as everything waits.
    tokio::time::pause();
    let deaf = Workers::forked(host.paths.clone(), silent);
    let answer = deaf.submit(body.job_id, host.cmd(&body), None).await;
    assert!(matches!(answer, Err(HandoverError::Silent(_))), "{answer:?}");
}

//! What a job may take of its server: held where it can be held, said where it cannot, and never silently left out.

mod support;

use agent::handover::Workers;
use protocol::exec::ExecArgs;
use protocol::job::{CmdOutcome, EndState, RejectCode};
use protocol::limits::JobLimits;
use support::{Finished, Host, command, is_root, rejection};

async fn run(host: &Host, args: &ExecArgs, limits: JobLimits) -> Finished {
    let body = protocol::job::CmdBody { limits, ..host.body(args) };
    let mut job = host.start(&body).await;
    host.finish(&mut job).await
}

#[tokio::test]
async fn without_systemd_each_process_is_held_to_its_memory_and_the_log_says_how() {
    let host = Host::new();
    let limits =
        JobLimits { memory_bytes: Some(256 << 20), cpu_percent: Some(50), io_weight: Some(10), ..JobLimits::NONE };
    let greedy = command("grep '^Max address space' /proc/self/limits; dd if=/dev/zero of=/dev/null bs=300M count=1");
    let finished = run(&host, &greedy, limits).await;
    assert_eq!(finished.done.state, EndState::Failed);
    assert!(finished.log.out().split_whitespace().filter(|word| *word == "268435456").count() == 2, "hard and soft");
    assert!(finished.log.err().contains("memory exhausted"), "{}", finished.log.err());
    assert_eq!(
        finished.log.sys(),
        "[limits without systemd: each process at most 256 MiB of address space; processor time and disk weight are not \
         limited]\n"
    );
    assert_eq!(finished.log.chunks[0].0, protocol::job::LogStream::Sys, "said before anything else");
    let modest = command("dd if=/dev/zero of=/dev/null bs=30M count=1");
    assert_eq!(run(&host, &modest, limits).await.done.state, EndState::Succeeded);
}

#[tokio::test]
async fn without_systemd_a_user_is_held_to_its_processes_and_root_is_not() {
    if !is_root() {
        return;
    }
    let host = Host::new();
    let limits = JobLimits { pids: Some(4), ..JobLimits::NONE };
    let forks = "for i in 1 2 3 4 5 6; do sleep 0.5 & done; wait; echo all";
    let args = ExecArgs { user: Some("games".to_owned()), ..command(forks) };
    let finished = run(&host, &args, limits).await;
    assert_eq!(finished.log.sys(), "[limits without systemd: user games at most 4 processes]\n");
    assert!(finished.log.err().contains("fork"), "{:?}", finished.log);
    assert_ne!(finished.done.state, EndState::Succeeded);

    let finished = run(&host, &command(forks), limits).await;
    assert_eq!(finished.log.sys(), "[limits without systemd: the number of root's processes is not limited]\n");
    assert_eq!((finished.done.state, finished.log.out().as_str()), (EndState::Succeeded, "all\n"));
}

#[tokio::test]
async fn a_job_has_the_priority_it_was_given() {
    let host = Host::new();
    let finished = run(&host, &command("nice"), JobLimits { nice: Some(7), ..JobLimits::NONE }).await;
    assert_eq!(finished.log.out(), "7\n");
    assert_eq!(finished.log.sys(), "[limits without systemd: nice 7]\n");
    if is_root() {
        let args = ExecArgs { user: Some("games".to_owned()), ..command("nice") };
        let finished = run(&host, &args, JobLimits { nice: Some(-5), ..JobLimits::NONE }).await;
        assert_eq!(finished.log.out(), "-5\n", "root decides, even for another user");
    }
}

#[tokio::test]
async fn the_kernel_kills_the_job_before_its_worker() {
    let host = Host::new();
    let finished = host.sh("cat /proc/$$/oom_score_adj /proc/$PPID/oom_score_adj").await;
    let out = finished.log.out();
    let scores: Vec<i32> = out.lines().map(|line| line.parse().unwrap()).collect();
    assert!(scores[1] < scores[0], "{scores:?}");
}

#[tokio::test]
async fn a_job_whose_limits_cannot_be_set_is_not_run() {
    // A unit in name only: systemd, if there is one, does not know it.
    let Some(unit) = support::Unit::make() else { return };
    let host = Host::new();
    let workers = Workers::forked(host.paths.clone(), unit.program(&host));
    let mark = host.dir.path().join("ran");
    let mut body = host.body(&command(&format!("touch {}", mark.display())));
    body.limits = JobLimits { memory_bytes: Some(64 << 20), ..JobLimits::NONE };
    let (ack, job) = workers.submit(body.job_id, host.cmd(&body), None).await.unwrap();
    assert!(matches!(ack.outcome, CmdOutcome::Accepted(_)), "{ack:?}");
    let finished = host.finish(&mut job.unwrap()).await;
    let error = finished.done.error.unwrap();
    assert_eq!((finished.done.state, error.code.as_str()), (EndState::Failed, "limits_unavailable"));
    assert!(
        error.message.contains("roadstead-work@1.service") && error.message.contains("nothing was run"),
        "{error:?}"
    );
    assert!(!mark.exists());

    // Without limits the same unit runs it.
    let body = host.body(&command(&format!("touch {}", mark.display())));
    let (_, job) = workers.submit(body.job_id, host.cmd(&body), None).await.unwrap();
    assert_eq!(host.finish(&mut job.unwrap()).await.done.state, EndState::Succeeded);
    assert!(mark.exists());
}

#[tokio::test]
async fn limits_that_make_no_sense_are_refused() {
    let host = Host::new();
    let mut body = host.body(&command("true"));
    body.limits = JobLimits { memory_bytes: Some(1), nice: Some(40), ..JobLimits::NONE };
    let (ack, job) = host.submit(&body).await;
    assert!(job.is_none());
    assert_eq!(rejection(&ack), Some(RejectCode::BadArguments));
    let said = format!("{ack:?}");
    assert!(said.contains("memory_bytes must be at least") && said.contains("nice must be"), "{said}");
}

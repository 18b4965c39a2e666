//! Jobs that end badly, late or not at all: nothing of them is left, and the log says what happened.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at the machine directly, and fail loudly"
)]

mod support;

use std::time::{Duration, Instant};

use agent::spool::Phase;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protocol::job::{EndState, SpoolState};
use support::{Host, command, end_of, exists, output, wait_for, worker_of};

/// Children and grandchildren that do everything to stay: own sessions, double forks, deaf to every signal that can be
/// ignored. Six of them say who they are.
const STAYERS: &str = r#"
deaf='trap "" TERM INT HUP; echo pid $$; while :; do sleep 1000; done'
trap "" TERM INT HUP
echo pid $$
sh -c "$deaf" &
setsid sh -c "$deaf" &
(setsid sh -c "sh -c '$deaf' & exec true" &)
(setsid sh -c "setsid sh -c '$deaf' & sh -c '$deaf' & exit" &)
while :; do sleep 1000; done
"#;

fn pids(text: &str) -> Vec<i32> {
    text.lines().filter_map(|line| line.strip_prefix("pid ")?.trim().parse().ok()).collect()
}

/// Waits until all of [`STAYERS`] have said who they are.
async fn all_stayers(host: &Host, job: &mut agent::handover::RunningJob) -> Vec<i32> {
    loop {
        let found = pids(&output(host, job, "pid ").await);
        if found.len() >= 6 {
            return found;
        }
        job.next().await.unwrap();
    }
}

#[tokio::test]
async fn cancel_kills_grandchildren() {
    let host = Host::new();
    let body = host.body(&command(STAYERS));
    let mut job = host.start(&body).await;
    let found = all_stayers(&host, &mut job).await;
    assert!(found.iter().all(|pid| exists(*pid)), "{found:?}");
    let ordered = Instant::now();
    job.cancel(&host.cancel(body.job_id)).await.unwrap();
    let finished = host.finish(&mut job).await;
    let took = ordered.elapsed();
    assert_eq!((finished.done.state, finished.done.signal), (EndState::Cancelled, Some(9)));
    assert!(took < Duration::from_secs(12), "{took:?}");
    assert_eq!(found.iter().filter(|pid| exists(**pid)).count(), 0);
    assert_eq!(finished.log.sys(), "[cancelled]\n");
}

#[tokio::test]
async fn a_timeout_kills_the_whole_tree() {
    let host = Host::new();
    let mut body = host.body(&command(STAYERS));
    body.timeout_s = 1;
    let mut job = host.start(&body).await;
    let started = Instant::now();
    let finished = host.finish(&mut job).await;
    assert_eq!((finished.done.state, finished.done.signal), (EndState::TimedOut, Some(9)));
    assert!(started.elapsed() < Duration::from_secs(13), "{:?}", started.elapsed());
    assert!(pids(&finished.log.out()).iter().all(|pid| !exists(*pid)));
    assert!(finished.log.sys().contains("time limit of 1 s"), "{}", finished.log.sys());
}

#[tokio::test]
async fn a_cancelled_job_may_tidy_up() {
    let host = Host::new();
    let body = host.body(&command("trap 'echo tidied; exit 3' TERM; echo ready; while :; do sleep 0.1; done"));
    let mut job = host.start(&body).await;
    output(&host, &mut job, "ready").await;
    job.cancel(&host.cancel(body.job_id)).await.unwrap();
    let finished = host.finish(&mut job).await;
    assert_eq!((finished.done.state, finished.done.exit_code), (EndState::Cancelled, Some(3)));
    assert_eq!(finished.log.out(), "ready\ntidied\n");
}

#[tokio::test]
async fn a_stopped_job_hears_the_cancel() {
    let host = Host::new();
    let body = host.body(&command("echo ready; kill -STOP $$; sleep 1000"));
    let mut job = host.start(&body).await;
    output(&host, &mut job, "ready").await;
    let asked = Instant::now();
    job.cancel(&host.cancel(body.job_id)).await.unwrap();
    let finished = host.finish(&mut job).await;
    assert_eq!((finished.done.state, finished.done.signal), (EndState::Cancelled, Some(15)));
    assert!(asked.elapsed() < Duration::from_secs(9), "no need for KILL");
}

#[tokio::test]
async fn what_a_finished_job_leaves_behind_is_ended() {
    let host = Host::new();
    let finished = host.sh("(setsid sleep 1000 &) ; sleep 1000 & echo main; exit 4").await;
    assert_eq!((finished.done.state, finished.done.exit_code), (EndState::Failed, Some(4)));
    assert_eq!(finished.log.out(), "main\n");
    let sys = finished.log.sys();
    assert_eq!(sys.matches("sleep (").count(), 2, "{sys}");
    for pid in sys.split("sleep (").skip(1).filter_map(|rest| rest.split(')').next()?.parse().ok()) {
        assert!(!exists(pid), "{pid}");
    }
    assert!(finished.done.duration_ms < 9_000, "they are not waited for");
}

#[tokio::test]
async fn a_helper_that_is_just_finishing_is_left_in_peace() {
    let host = Host::new();
    let finished = host.sh("(sleep 0.1; echo late) & echo main").await;
    assert_eq!((finished.done.state, finished.log.out().as_str()), (EndState::Succeeded, "main\nlate\n"));
    assert_eq!(finished.log.sys(), "");
}

#[tokio::test]
async fn a_daemon_that_holds_the_output_does_not_hold_the_job() {
    let host = Host::new();
    let finished = host.sh("sleep 1000 & echo started").await;
    assert_eq!(finished.log.out(), "started\n");
    assert_eq!(finished.done.state, EndState::Succeeded);
}

#[tokio::test]
async fn a_stopped_worker_says_interrupted() {
    let host = Host::new();
    let body = host.body(&command("echo pid $$; exec sleep 1000"));
    let mut job = host.start(&body).await;
    let main = pids(&output(&host, &mut job, "pid ").await)[0];
    kill(Pid::from_raw(worker_of(main)), Signal::SIGTERM).unwrap();
    let finished = host.finish(&mut job).await;
    assert_eq!((finished.done.state, finished.done.signal), (EndState::Interrupted, Some(15)));
    assert_eq!(host.ended(body.job_id).state(), SpoolState::Interrupted);
    assert!(!exists(main));
}

#[tokio::test]
async fn a_killed_worker_is_reported_lost_and_its_processes_are_ended() {
    let host = Host::new();
    let body = host.body(&command(STAYERS));
    let mut job = host.start(&body).await;
    let found = all_stayers(&host, &mut job).await;
    let noted = host.paths.claims_dir().join(format!("{}.tree", body.job_id));
    wait_for("the list of processes", || noted.exists().then_some(()));
    kill(Pid::from_raw(worker_of(found[0])), Signal::SIGKILL).unwrap();
    while job.next().await.unwrap().is_some() {}

    let lost = host.ended(body.job_id);
    assert_eq!(lost.state(), SpoolState::Lost);
    let Phase::Ended(done) = &lost.phase else { panic!("{lost:?}") };
    assert_eq!(done.error.as_ref().unwrap().code, "worker_killed");
    assert_eq!(pids(&host.log(body.job_id).out()), found);
    let swept = host.workers.sweep().await.unwrap();
    assert_eq!(swept.ended, [body.job_id]);
    assert_eq!(found.iter().filter(|pid| exists(**pid)).count(), 0, "{found:?}");
    assert!(!host.paths.job_socket(body.job_id).exists(), "no socket looks like a running job");
    let after_boot = agent::spool::Spool::open(&host.paths.spool_dir(), "another-boot").unwrap();
    assert_eq!(after_boot.job(body.job_id).unwrap(), Some(lost), "what is lost stays lost");

    let (again, none) = host.submit(&body).await;
    assert!(none.is_none() && format!("{again:?}").contains("Lost"), "{again:?}");
}

#[tokio::test]
async fn a_machine_that_went_down_interrupted_its_jobs() {
    let host = Host::new();
    let body = host.body(&command("echo pid $$; exec sleep 1000"));
    let mut job = host.start(&body).await;
    let main = pids(&output(&host, &mut job, "pid ").await)[0];
    kill(Pid::from_raw(worker_of(main)), Signal::SIGKILL).unwrap();
    while job.next().await.unwrap().is_some() {}
    host.ended(body.job_id);
    let after_boot = agent::spool::Spool::open(&host.paths.spool_dir(), "another-boot").unwrap();
    assert_eq!(after_boot.job(body.job_id).unwrap().unwrap().state(), SpoolState::Interrupted);
    host.workers.sweep().await.unwrap();
    assert!(!exists(main));
}

#[tokio::test]
async fn a_job_goes_on_while_nobody_listens_and_is_found_again() {
    let host = Host::new();
    let gate = host.dir.path().join("gate");
    let body = host.body(&command(&format!(
        "echo before; while ! [ -e {} ]; do sleep 0.05; done; echo after; exit 5",
        gate.display()
    )));
    let mut job = host.start(&body).await;
    output(&host, &mut job, "before").await;
    // The relay goes away, and another one comes.
    drop(job);
    let found = host.spool().jobs().unwrap();
    assert_eq!(
        found.iter().map(|job| (job.job_id, job.state())).collect::<Vec<_>>(),
        [(body.job_id, SpoolState::Running)]
    );
    let mut job = host.attach(body.job_id).await;
    std::fs::write(&gate, "").unwrap();
    let finished = host.finish(&mut job).await;
    assert_eq!((finished.done.state, finished.done.exit_code), (EndState::Failed, Some(5)));
    assert_eq!(finished.log.out(), "before\nafter\n");
    wait_for("the control socket to go", || (!host.paths.job_socket(body.job_id).exists()).then_some(()));
}

#[tokio::test]
async fn a_sweep_leaves_the_living_alone() {
    let host = Host::new();
    let body = host.body(&command("cat; echo still here"));
    let mut job = host.start(&host.body(&command("sleep 1000"))).await;
    let swept = host.workers.sweep().await.unwrap();
    assert_eq!((swept.ended.len(), swept.purged), (0, 0));
    let mut other = host.start(&body).await;
    assert_eq!(end_of(&mut other).await.state, EndState::Succeeded);
    host.workers.sweep().await.unwrap();
    assert!(host.log(body.job_id).out().contains("still here"));
    job.cancel(&host.cancel(job.job_id())).await.unwrap();
    assert_eq!(end_of(&mut job).await.state, EndState::Cancelled);
}

#[tokio::test]
async fn claims_are_kept_until_no_clock_could_let_the_order_in() {
    let host = Host::new();
    let day = 24 * 3_600_000;
    let mut old = host.body(&command("true"));
    old.expires_at_ms = support::now_ms() + 500;
    let mut job = host.start(&old).await;
    end_of(&mut job).await;
    host.ended(old.job_id);
    assert_eq!(host.workers.sweep().await.unwrap().purged, 0, "not past expiry by a day");

    // As if it had been claimed two days ago.
    let path = host.paths.claims_dir().join(old.job_id.to_string());
    let claim =
        support::read(&path).replace(&old.expires_at_ms.to_string(), &(support::now_ms() - 2 * day).to_string());
    std::fs::write(&path, claim).unwrap();
    assert_eq!(host.workers.sweep().await.unwrap().purged, 1);
    assert_eq!(std::fs::read_dir(host.paths.claims_dir()).unwrap().count(), 0);
}

#[tokio::test]
async fn three_hundred_jobs_at_once_all_run() {
    let host = Host::new();
    let bodies: Vec<_> = (0..300).map(|number| host.body(&command(&format!("echo {number}")))).collect();
    let jobs = futures_util::future::join_all(bodies.iter().map(|body| host.start(body))).await;
    for (number, mut job) in jobs.into_iter().enumerate() {
        let finished = host.finish(&mut job).await;
        assert_eq!(finished.log.out(), format!("{number}\n"));
        assert_eq!(finished.done.state, EndState::Succeeded);
    }
}

#[tokio::test]
async fn a_unit_of_its_own_ends_as_one_group() {
    let Some(unit) = support::Unit::make() else { return };
    let host = Host::new();
    let workers = agent::handover::Workers::forked(host.paths.clone(), unit.program(&host));
    let body = host.body(&command(&format!("cat /proc/self/cgroup; {STAYERS}")));
    let (ack, job) = workers.submit(body.job_id, host.cmd(&body), None).await.unwrap();
    let mut job = job.unwrap_or_else(|| panic!("{ack:?}"));
    let found = all_stayers(&host, &mut job).await;
    job.cancel(&host.cancel(body.job_id)).await.unwrap();
    let finished = host.finish(&mut job).await;
    assert_eq!((finished.done.state, finished.done.signal), (EndState::Cancelled, Some(9)));
    assert!(
        finished.log.out().lines().any(|line| line.starts_with("0::") && line.ends_with("/job")),
        "{:?}",
        finished.log.out()
    );
    assert_eq!(found.iter().filter(|pid| exists(**pid)).count(), 0);
    wait_for("the sub-group to go", || (!unit.path().join("job").exists()).then_some(()));
    assert!(!host.paths.claims_dir().join(format!("{}.tree", body.job_id)).exists(), "nothing has to be noted");
}

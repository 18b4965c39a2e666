//! A change that nobody confirms undoes itself, whatever happens to whom: killed, stopped, started again, out of room.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::exit,
    clippy::indexing_slicing,
    reason = "tests look at the machine directly, and fail loudly"
)]

mod crash_points;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::time::Duration;

use agent::commit_confirm::journal::{Journal, State};
use agent::commit_confirm::revert::{self, Reach};
use agent::commit_confirm::saved::Content;
use agent::commit_confirm::{self, Change, ChangeError, Guard, Patience, Plan, Probe, Reached, Step, Verdict};
use agent::host::clock::Clock;
use agent::paths::Paths;
use agent::trust::hub_time::Moment;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use protocol::JobId;
use support::{PROGRAM, SmallDisk, is_root, new_id, wait_for};
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3600);
/// Exit codes of a process whose change was confirmed, or reverted.
const CONFIRMED: i32 = 10;
const REVERTED: i32 = 11;
/// Action, step and signal of the process that the tests kill: `apply Wrote(0) STOP`.
const ORDER: &str = "ROADSTEAD_TEST_CHANGE";
const STATE: &str = "ROADSTEAD_TEST_STATE";
const ID: &str = "ROADSTEAD_TEST_ID";

/// A directory of configuration, and a plan that changes all of it.
struct World {
    dir: TempDir,
    paths: Paths,
    id: JobId,
}

/// Every name in the directory: what it is, its mode and its content.
type Snapshot = BTreeMap<String, (u32, String)>;

impl World {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("roadstead-change-").tempdir().unwrap();
        let etc = dir.path().join("etc");
        std::fs::create_dir_all(&etc).unwrap();
        std::fs::create_dir_all(dir.path().join("state")).unwrap();
        let write = |name: &str, text: &str, mode: u32| {
            std::fs::write(etc.join(name), text).unwrap();
            std::fs::set_permissions(etc.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
        };
        write("changed.conf", "old\n", 0o640);
        write("removed.conf", "will go\n", 0o604);
        symlink("changed.conf", etc.join("link")).unwrap();
        let paths = Paths::new(dir.path().join("state"));
        Self { dir, paths, id: new_id().parse().unwrap() }
    }

    fn etc(&self) -> PathBuf {
        self.dir.path().join("etc")
    }

    fn journal(&self) -> Journal {
        Journal::open(&self.paths).unwrap().with(hasty(), Reached::default())
    }

    fn plan(&self, confirm_within: Duration) -> Plan {
        plan(self.dir.path(), confirm_within)
    }

    fn snapshot(&self) -> Snapshot {
        let entries = std::fs::read_dir(self.etc()).unwrap().map(|entry| entry.unwrap());
        let seen = entries.map(|entry| {
            let metadata = entry.metadata().unwrap();
            let text = match std::fs::read_link(entry.path()) {
                Ok(target) => format!("-> {}", target.display()),
                Err(_) => support::read(&entry.path()),
            };
            (entry.file_name().into_string().unwrap(), (metadata.permissions().mode() & 0o7777, text))
        });
        seen.collect()
    }

    /// What the command saw each time it was run.
    fn ran(&self) -> Vec<String> {
        let ran = std::fs::read_to_string(self.dir.path().join("ran")).unwrap_or_default();
        ran.lines().map(str::to_owned).collect()
    }

    /// Applies the plan in this process and leaves it waiting.
    fn applied(&self, journal: &Journal, confirm_within: Duration) {
        let plan = self.plan(confirm_within);
        Change::prepare(journal, self.id, &plan, Guard::Sweep).unwrap().apply().unwrap();
        assert_eq!(journal.state(self.id), Some(State::Applied));
    }

    /// A process that does `action` and sends itself a signal after `step`.
    fn process(&self, action: &str, step: &str, signal: &str) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_process_that_changes_something", "--nocapture"])
            .env(ORDER, format!("{action} {step} {signal}"))
            .env(STATE, self.paths.state_dir())
            .env(ID, self.id.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// The same, killed after `step`.
    fn killed(&self, action: &str, step: &str) {
        let ended = self.process(action, step, "KILL").wait().unwrap();
        assert_eq!(ended.signal(), Some(9), "{action} reaches {step}");
    }

    /// A process that stopped while it applied, after `step`.
    fn stopped(&self, step: &str) -> Child {
        let process = self.process("apply", step, "STOP");
        let status = waitpid(pid(&process), Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert_eq!(status, WaitStatus::Stopped(pid(&process), Signal::SIGSTOP), "{step}");
        process
    }

    /// The time of the only change is up.
    fn time_passes(&self) {
        let (id, state) = self.journal().changes()[0];
        let path = self.paths.pending_dir().join(format!("{id}.{}", state.name())).join("record.json");
        let mut record: serde_json::Value = serde_json::from_str(&support::read(&path)).unwrap();
        record["deadline_uptime_ms"] = 0.into();
        std::fs::write(path, record.to_string()).unwrap();
    }

    fn is_gone(&self) {
        let left: Vec<_> = std::fs::read_dir(self.paths.pending_dir()).unwrap().map(|entry| entry.unwrap()).collect();
        let left: Vec<_> = left.iter().map(|entry| entry.file_name()).filter(|name| name != ".lock").collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn hasty() -> Patience {
    let ms = Duration::from_millis;
    Patience { lock: ms(300), retry: ms(1), guard: ms(20_000), poll: ms(2), ..Patience::default() }
}

fn plan(dir: &Path, confirm_within: Duration) -> Plan {
    let etc = dir.join("etc");
    let file = |text: &str, mode| Content::File { bytes: text.as_bytes().to_vec(), mode, owner: None };
    Plan {
        files: vec![
            (etc.join("changed.conf"), file("new\n", 0o600)),
            (etc.join("added.conf"), file("added\n", 0o644)),
            (etc.join("removed.conf"), Content::Absent),
            (etc.join("link"), Content::Link("added.conf".to_owned())),
        ],
        after: vec![
            ["sh", "-c", &format!("cat {0}/etc/changed.conf >>{0}/ran", dir.display())].map(str::to_owned).into(),
        ],
        confirm_within,
    }
}

fn pid(process: &Child) -> Pid {
    Pid::from_raw(process.id().try_into().unwrap())
}

fn now() -> Moment {
    Moment::now(Clock::system()).unwrap()
}

fn after_reboot() -> Moment {
    Moment { boot_id: "another".to_owned(), uptime_ms: 1000, ..now() }
}

/// Sends this process the signal of its order once its step is reached.
fn reach(step: Step) {
    let order = std::env::var(ORDER).unwrap();
    let mut words = order.split(' ').skip(1);
    if words.next() == Some(format!("{step:?}").as_str()) {
        let signal = if words.next() == Some("STOP") { Signal::SIGSTOP } else { Signal::SIGKILL };
        kill(Pid::this(), signal).unwrap();
    }
}

/// No promise by itself: the process that the others kill and stop.
#[test]
fn a_process_that_changes_something() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let words: Vec<_> = order.split(' ').collect();
    let state = PathBuf::from(std::env::var(STATE).unwrap());
    let id: JobId = std::env::var(ID).unwrap().parse().unwrap();
    let journal = Journal::open(&Paths::new(&state)).unwrap().with(hasty(), Reached::tell(reach));
    let guard = if words[0] == "apply-guarded" { Guard::Running } else { Guard::Sweep };
    match words[0] {
        "apply" | "apply-guarded" => {
            let plan = plan(state.parent().unwrap(), HOUR);
            let mut change = Change::prepare(&journal, id, &plan, guard).unwrap();
            change.apply().unwrap();
            std::process::exit(match change.wait(|| Probe::Unknown).unwrap() {
                Verdict::Confirmed => CONFIRMED,
                Verdict::Reverted(_) => REVERTED,
                Verdict::Stuck(left) => panic!("{left}"),
            });
        }
        "confirm" => commit_confirm::confirm(&journal, id).unwrap(),
        "revert" => drop(revert::wanted(&journal, id, &now()).unwrap()),
        "guard" => drop(revert::guard(&journal, &agent::notify::Notifier::none()).unwrap()),
        other => panic!("{other}"),
    }
}

#[test]
fn a_confirmed_change_stays() {
    let world = World::new();
    let journal = world.journal();
    world.applied(&journal, HOUR);
    let changed = world.snapshot();
    assert_eq!(changed["changed.conf"], (0o600, "new\n".to_owned()));
    assert_eq!(changed["link"].1, "-> added.conf");
    assert_eq!(changed.keys().collect::<Vec<_>>(), ["added.conf", "changed.conf", "link"]);
    commit_confirm::confirm(&journal, world.id).unwrap();
    world.is_gone();
    assert!(revert::pending(&journal, &after_reboot(), Reach::Everything).reverted.is_empty());
    assert_eq!(world.snapshot(), changed);
    let again = commit_confirm::confirm(&journal, world.id).unwrap_err();
    assert!(again.to_string().contains("no change"), "{again}");
}

#[test]
fn a_probe_decides() {
    for (probe, stays) in [(Probe::Good, true), (Probe::Bad, false)] {
        let world = World::new();
        let (before, journal, plan) = (world.snapshot(), world.journal(), world.plan(HOUR));
        let mut change = Change::prepare(&journal, world.id, &plan, Guard::Sweep).unwrap();
        change.apply().unwrap();
        let mut looks = 0;
        let verdict = change.wait(|| {
            looks += 1;
            if looks < 3 { Probe::Unknown } else { probe }
        });
        assert_eq!(matches!(verdict.unwrap(), Verdict::Confirmed), stays);
        assert_eq!(world.snapshot() != before, stays);
    }
}

#[test]
fn nobody_says_a_word_and_everything_is_as_it_was() {
    let world = World::new();
    let (before, journal, plan) = (world.snapshot(), world.journal(), world.plan(Duration::from_millis(50)));
    let mut change = Change::prepare(&journal, world.id, &plan, Guard::Sweep).unwrap();
    change.apply().unwrap();
    assert_ne!(world.snapshot(), before);
    let verdict = change.wait(|| Probe::Unknown).unwrap();
    assert_eq!(verdict, Verdict::Reverted("nobody confirmed it in time".to_owned()));
    assert_eq!(world.snapshot(), before);
    assert_eq!(world.ran(), ["new", "old"], "the command follows both ways");
    assert!(matches!(commit_confirm::confirm(&journal, world.id), Err(ChangeError::Overtaken)));
}

#[test]
fn killed_at_any_step_of_applying_the_old_state_comes_back() {
    let steps =
        ["Begun", "Saved(0)", "Saved(3)", "Prepared", "Applying", "Guarded", "Wrote(0)", "Wrote(1)", "Wrote(2)"];
    for step in steps.into_iter().chain(["Wrote(3)", "Ran(0)", "Applied"]) {
        let world = World::new();
        let before = world.snapshot();
        world.killed("apply", step);
        revert::sweep(&world.paths);
        assert_eq!(world.snapshot(), before, "killed after {step}");
        assert!(world.journal().changes().iter().all(|(_, state)| *state == State::Reverted), "{step}");
        // And the same change can be made again by another job.
        let other = World { id: new_id().parse().unwrap(), ..world };
        other.applied(&other.journal(), HOUR);
    }
}

#[test]
fn killed_at_any_step_of_reverting_the_old_state_comes_back() {
    for step in ["Reverting", "Restored(0)", "Restored(1)", "Restored(2)", "Restored(3)", "RanAgain(0)", "Reverted"] {
        let world = World::new();
        let before = world.snapshot();
        world.applied(&world.journal(), HOUR);
        world.killed("revert", step);
        revert::sweep(&world.paths);
        assert_eq!(world.snapshot(), before, "killed after {step}");
        assert_eq!(world.journal().state(world.id), Some(State::Reverted), "{step}");
        assert_eq!(world.ran().last().unwrap(), "old", "{step}");
    }
}

#[test]
fn killed_after_the_confirmation_the_new_state_stays() {
    let world = World::new();
    world.applied(&world.journal(), HOUR);
    let changed = world.snapshot();
    world.killed("confirm", "Confirmed");
    revert::sweep(&world.paths);
    assert!(revert::pending(&world.journal(), &after_reboot(), Reach::Everything).reverted.is_empty());
    assert_eq!(world.snapshot(), changed);
    world.is_gone();
}

#[test]
fn a_stopped_worker_does_not_stop_the_deadline() {
    let world = World::new();
    let before = world.snapshot();
    let mut worker = world.stopped("Applied");
    world.time_passes();
    let mut guard =
        Command::new(PROGRAM).args(["change", "guard", "--state-dir"]).arg(world.paths.state_dir()).spawn().unwrap();
    assert!(guard.wait().unwrap().success());
    assert_eq!(world.snapshot(), before);
    assert_eq!(world.ran(), ["new", "old"]);
    // It goes on, and finds out.
    kill(pid(&worker), Signal::SIGCONT).unwrap();
    assert_eq!(worker.wait().unwrap().code(), Some(REVERTED));
    assert_eq!(world.snapshot(), before);
}

#[test]
fn a_worker_that_is_stopped_while_it_writes_does_not_go_on_after_the_revert() {
    for step in ["Applying", "Wrote(0)", "Wrote(2)", "Ran(0)"] {
        let world = World::new();
        let before = world.snapshot();
        let mut worker = world.stopped(step);
        world.time_passes();
        assert!(world.process("guard", "-", "-").wait().unwrap().success());
        assert_eq!(world.snapshot(), before, "{step}");
        assert_eq!(worker.wait().unwrap().signal(), Some(9), "{step}: it would have gone on where it was");
        assert_eq!(world.journal().state(world.id), Some(State::Reverted));
    }
}

#[test]
fn a_change_begins_once_its_guard_has_seen_it() {
    let world = World::new();
    let (before, journal) = (world.snapshot(), world.journal());
    let mut worker = world.process("apply-guarded", "-", "-");
    wait_for("the change to be announced", || journal.state(world.id).filter(|state| *state == State::Applying));
    assert_eq!(world.snapshot(), before);
    let mut guard = world.process("guard", "-", "-");
    wait_for("the change to be made", || journal.state(world.id).filter(|state| *state == State::Applied));
    assert_ne!(world.snapshot(), before);
    commit_confirm::confirm(&journal, world.id).unwrap();
    assert_eq!(worker.wait().unwrap().code(), Some(CONFIRMED));
    assert!(guard.wait().unwrap().success(), "nothing is left to watch over");
}

#[test]
fn a_guard_that_is_killed_is_followed_by_another() {
    for step in ["Reverting", "Restored(1)", "RanAgain(0)"] {
        let world = World::new();
        let before = world.snapshot();
        world.applied(&world.journal(), Duration::from_millis(1));
        world.killed("guard", step);
        assert!(world.process("guard", "-", "-").wait().unwrap().success());
        assert_eq!(world.snapshot(), before, "{step}");
    }
}

#[test]
fn a_host_that_went_down_comes_up_with_the_old_state() {
    let world = World::new();
    let (before, journal) = (world.snapshot(), world.journal());
    world.applied(&journal, HOUR);
    assert!(revert::pending(&journal, &now(), Reach::Due).reverted.is_empty(), "it has time");
    // Before any service reads them: the files.
    revert::restore_after_boot(&journal, &after_reboot());
    assert_eq!(world.snapshot(), before);
    assert_eq!(world.ran(), ["new"], "its command belongs to a time when services run");
    assert!(matches!(commit_confirm::confirm(&journal, world.id), Err(ChangeError::Overtaken)));
    let report = revert::pending(&journal, &after_reboot(), Reach::Due);
    assert!(report.reverted[0].1.contains("started again"), "{report:?}");
    assert_eq!((world.ran(), world.snapshot()), (vec!["new".to_owned(), "old".to_owned()], before));
}

#[test]
fn of_confirming_and_reverting_exactly_one_happens() {
    let (mut confirmed, mut reverted) = (0, 0);
    for round in 0..60 {
        let world = World::new();
        let before = world.snapshot();
        world.applied(&world.journal(), HOUR);
        let start = Barrier::new(3);
        let (is_confirmed, verdicts) = std::thread::scope(|scope| {
            let confirming = scope.spawn(|| {
                let journal = world.journal();
                start.wait();
                // Neither side is always the first.
                (0..(round % 7) * 2000).for_each(|_| std::hint::spin_loop());
                commit_confirm::confirm(&journal, world.id).is_ok()
            });
            let reverting = [0, 1].map(|_| {
                scope.spawn(|| {
                    let journal = world.journal();
                    start.wait();
                    revert::wanted(&journal, world.id, &now())
                })
            });
            (confirming.join().unwrap(), reverting.map(|thread| thread.join().unwrap()))
        });
        revert::sweep(&world.paths);
        let is_old = world.snapshot() == before;
        assert_ne!(is_confirmed, is_old, "{verdicts:?}");
        assert_eq!(world.ran().len(), if is_confirmed { 1 } else { 2 }, "once each: {verdicts:?}");
        confirmed += u32::from(is_confirmed);
        reverted += u32::from(!is_confirmed);
    }
    println!("{confirmed} confirmed, {reverted} reverted");
}

#[test]
fn without_room_to_save_nothing_is_changed() {
    if !is_root() {
        return;
    }
    let world = World::new();
    let big = world.etc().join("big.conf");
    std::fs::write(&big, vec![b'x'; 1 << 20]).unwrap();
    let before = world.snapshot();
    std::fs::create_dir(world.paths.pending_dir()).unwrap();
    let disk = SmallDisk::mount(&world.paths.pending_dir(), "512k");
    let journal = world.journal();
    let mut plan = world.plan(HOUR);
    plan.files.push((big, Content::Absent));
    let error = Change::prepare(&journal, world.id, &plan, Guard::Sweep).unwrap_err();
    assert!(
        matches!(&error, ChangeError::NotPrepared(why) if why.kind() == std::io::ErrorKind::StorageFull),
        "{error}"
    );
    assert_eq!(world.snapshot(), before);
    world.is_gone();
    // What fits goes on.
    world.applied(&journal, HOUR);
    drop(disk);
}

#[test]
fn a_command_that_fails_while_reverting_is_tried_again_and_then_reported() {
    let world = World::new();
    let (before, journal) = (world.snapshot(), world.journal());
    let flag = world.dir.path().join("flag");
    std::fs::write(&flag, "").unwrap();
    let mut plan = world.plan(HOUR);
    plan.after.push(["test", "-e", flag.to_str().unwrap()].map(str::to_owned).into());
    Change::prepare(&journal, world.id, &plan, Guard::Sweep).unwrap().apply().unwrap();
    std::fs::remove_file(&flag).unwrap();

    let report = revert::pending(&journal, &after_reboot(), Reach::Due);
    assert!(report.stuck[0].1.contains("test ended with exit status: 1"), "{report:?}");
    assert_eq!(world.snapshot(), before, "the files are back all the same");
    assert_eq!(world.ran().len(), 1 + 5, "five attempts");
    assert_eq!(journal.state(world.id), Some(State::Failed));
    assert_eq!(revert::pending(&journal, &after_reboot(), Reach::Due), revert::Report::default(), "not for ever");
    let change = |words: &[&str]| {
        let output =
            Command::new(PROGRAM).arg("change").args(words).arg("--state-dir").arg(world.paths.state_dir()).output();
        let output = output.unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr))
    };
    let (_, listed) = change(&["list"]);
    assert!(listed.contains("failed") && listed.contains("reverting it failed"), "{listed}");

    std::fs::write(&flag, "").unwrap();
    let (is_done, said) = change(&["revert", &world.id.to_string()]);
    assert!(is_done && said.contains("was reverted"), "{said}");
    assert_eq!(journal.state(world.id), Some(State::Reverted));
}

#[test]
fn a_command_that_fails_while_applying_undoes_the_change_at_once() {
    let world = World::new();
    let (before, journal) = (world.snapshot(), world.journal());
    let mut plan = world.plan(HOUR);
    plan.after.push(
        ["sh", "-c", "grep -q old \"$0\"", world.etc().join("changed.conf").to_str().unwrap()]
            .map(str::to_owned)
            .into(),
    );
    let error = Change::prepare(&journal, world.id, &plan, Guard::Sweep).unwrap().apply().unwrap_err();
    assert!(matches!(error, ChangeError::Undone(_)), "{error}");
    assert_eq!((world.snapshot(), world.ran()), (before, vec!["new".to_owned(), "old".to_owned()]));
}

#[test]
fn without_a_guard_on_watch_nothing_is_changed() {
    let world = World::new();
    let before = world.snapshot();
    let journal = world.journal().with(Patience { guard: Duration::from_millis(30), ..hasty() }, Reached::default());
    let plan = world.plan(HOUR);
    let error = Change::prepare(&journal, world.id, &plan, Guard::Running).unwrap().apply().unwrap_err();
    assert!(matches!(error, ChangeError::NotPrepared(_)) && error.to_string().contains("not on watch"), "{error}");
    assert_eq!(world.snapshot(), before);
    world.is_gone();
}

#[test]
fn a_file_that_waits_for_confirmation_is_not_changed_by_another() {
    let world = World::new();
    let journal = world.journal();
    world.applied(&journal, HOUR);
    let changed = world.snapshot();
    let (plan, other) = (world.plan(HOUR), new_id().parse().unwrap());
    let error = Change::prepare(&journal, other, &plan, Guard::Sweep).unwrap_err().to_string();
    assert!(error.contains(&world.id.to_string()) && error.contains("not confirmed yet"), "{error}");
    assert_eq!(world.snapshot(), changed);
    commit_confirm::confirm(&journal, world.id).unwrap();
    Change::prepare(&journal, other, &plan, Guard::Sweep).unwrap().apply().unwrap();
}

#[test]
fn a_plan_that_makes_no_sense_is_refused() {
    let world = World::new();
    let journal = world.journal();
    let sensible = world.plan(HOUR);
    let open = world.dir.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
    let file = |path: &Path| Plan { files: vec![(path.to_owned(), Content::Absent)], ..sensible.clone() };
    for (what, plan) in [
        ("no files", Plan { files: Vec::new(), ..sensible.clone() }),
        ("an empty command", Plan { after: vec![Vec::new()], ..sensible.clone() }),
        ("no time", Plan { confirm_within: Duration::ZERO, ..sensible.clone() }),
        ("too much time", Plan { confirm_within: HOUR * 25, ..sensible.clone() }),
        (
            "the same file twice",
            Plan { files: [sensible.files.clone(), sensible.files.clone()].concat(), ..sensible.clone() },
        ),
        ("a directory", file(&world.etc())),
        ("a relative path", file(Path::new("etc/x"))),
        ("a directory that is not there", file(&world.etc().join("none/x"))),
        ("a directory that anybody can write", file(&open.join("x"))),
    ] {
        let refused = Change::prepare(&journal, world.id, &plan, Guard::Sweep);
        assert!(matches!(refused, Err(ChangeError::NotPrepared(_))), "{what}");
        world.is_gone();
    }
}

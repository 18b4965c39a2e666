//! A host with a registered agent, and a hub that is only a signing key. Workers are real processes.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests look at the machine directly, and fail loudly"
)]
#![expect(unreachable_pub, reason = "this module is part of several test binaries")]
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses its part of this module")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use agent::handover::{RunningJob, Workers};
use agent::paths::Paths;
use agent::spool::{Phase, Spool, SpooledJob};
use agent::work::wire::Note;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::exec::ExecArgs;
use protocol::job::{Actor, Cancel, CancelBody, Cmd, CmdAck, CmdBody, CmdOutcome, JobDone, LogStream, RejectCode};
use protocol::kinds::JobKind;
use protocol::operator::OpBody;
use protocol::policy::{RestrictBody, Rules};
use protocol::session::KeyRotationBody;
use protocol::{Hex, JobId, ServerId, Signed, signing};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::value::to_raw_value;
use tempfile::TempDir;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_roadstead-agent");
/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The hub's signing key.
pub struct HubKey(Ed25519KeyPair);

impl HubKey {
    pub fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    pub fn public(&self) -> Hex<32> {
        Hex(self.0.public_key().as_ref().try_into().unwrap())
    }

    pub fn fingerprint(&self) -> Hex<32> {
        agent::identity::fingerprint(&self.public())
    }

    pub fn sign(&self, prefix: &str, body: String) -> Signed {
        let sig = self.0.sign(&signing::signed_bytes(prefix, &body));
        Signed {
            key_id: agent::identity::key_id(&self.fingerprint()),
            sig: Hex(sig.as_ref().try_into().unwrap()),
            body,
        }
    }
}

impl HubKey {
    /// Names `new` as its successor.
    pub fn rotate(&self, new: &Self) -> Signed {
        let old_key_id = agent::identity::key_id(&self.fingerprint());
        let body = KeyRotationBody { old_key_id, new_key: new.public(), at_ms: now_ms() };
        self.sign(signing::KEY_ROTATION, serde_json::to_string(&body).unwrap())
    }

    /// Restrictions of one server.
    pub fn restrict(&self, server_id: ServerId, seq: u64, rules: Rules) -> Signed {
        self.sign(signing::RESTRICT, serde_json::to_string(&RestrictBody { server_id, seq, rules }).unwrap())
    }
}

/// A person with an SSH key.
pub struct OperatorKey(Ed25519KeyPair);

impl OperatorKey {
    pub fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    fn blob(&self) -> Vec<u8> {
        strings(&[b"ssh-ed25519", self.0.public_key().as_ref()])
    }

    /// The line of the public key.
    pub fn line(&self) -> String {
        format!("ssh-ed25519 {} ada@laptop", STANDARD.encode(self.blob()))
    }

    /// As `ssh-keygen -Y sign` signs a job.
    pub fn sign(&self, message: &str) -> String {
        self.sign_as("roadstead-job", 1, "sha512", message)
    }

    /// With every part as it should not be.
    pub fn sign_as(&self, namespace: &str, version: u32, hash: &str, message: &str) -> String {
        let digest = match hash {
            "sha256" => ring::digest::digest(&ring::digest::SHA256, message.as_bytes()),
            _ => ring::digest::digest(&ring::digest::SHA512, message.as_bytes()),
        };
        let signed = [namespace.as_bytes(), b"", hash.as_bytes(), digest.as_ref()];
        let signature = self.0.sign(&[b"SSHSIG".as_slice(), &strings(&signed)].concat());
        let signature = strings(&[b"ssh-ed25519", signature.as_ref()]);
        let fields = [&self.blob(), namespace.as_bytes(), b"", hash.as_bytes(), &signature];
        let blob = [b"SSHSIG".as_slice(), &version.to_be_bytes(), &strings(&fields)].concat();
        format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", STANDARD.encode(blob))
    }
}

/// Each with its length before it, as SSH writes them.
fn strings(fields: &[&[u8]]) -> Vec<u8> {
    let field = |field: &&[u8]| [&u32::try_from(field.len()).unwrap().to_be_bytes(), *field].concat();
    fields.iter().flat_map(field).collect()
}

/// What an operator has to sign for this order.
pub fn op_body(body: &CmdBody) -> String {
    let kind = JobKind::parse(&body.kind, &body.args).unwrap();
    serde_json::to_string(&OpBody::of(body, &kind)).unwrap()
}

/// A host with an agent that is registered with [`HubKey`] 7.
pub struct Host {
    pub dir: TempDir,
    pub paths: Paths,
    pub hub: HubKey,
    pub server_id: ServerId,
    pub workers: Workers,
}

impl Host {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("roadstead-agent-").tempdir().unwrap();
        Self::at(dir)
    }

    pub fn at(dir: TempDir) -> Self {
        let paths = Paths::new(dir.path());
        for made in [paths.trust_dir(), paths.claims_dir(), paths.spool_dir(), paths.relay_dir()] {
            std::fs::create_dir_all(made).unwrap();
        }
        let hub = HubKey::new(7);
        let server_id = new_id().parse().unwrap();
        let anchor = serde_json::json!({
            "hub_url": "https://hub.test",
            "server_id": server_id,
            "hub_key": hub.public(),
            "hub_key_id": agent::identity::key_id(&hub.fingerprint()),
            "hub_fingerprint": hub.fingerprint(),
        });
        std::fs::write(paths.hub_file(), anchor.to_string()).unwrap();
        let workers = Workers::forked(paths.clone(), PROGRAM);
        Self { dir, paths, hub, server_id, workers }
    }

    pub fn spool(&self) -> Spool {
        Spool::open(&self.paths.spool_dir(), boot_id()).unwrap()
    }

    pub fn policy(&self, text: &str) {
        std::fs::write(self.paths.policy_file(), text).unwrap();
    }

    pub fn body(&self, args: &ExecArgs) -> CmdBody {
        CmdBody {
            job_id: new_id().parse().unwrap(),
            server_id: self.server_id,
            kind: "exec".to_owned(),
            args: to_raw_value(args).unwrap(),
            timeout_s: 300,
            limits: protocol::limits::JobLimits::NONE,
            expires_at_ms: now_ms() + 600_000,
            actor: Actor { kind: "user".to_owned(), id: new_id(), name: "Ann".to_owned() },
            op_body_sha256: None,
        }
    }

    pub fn cmd(&self, body: &CmdBody) -> Cmd {
        signed_cmd(&self.hub, body)
    }

    /// An order of the hub with what it says that operators have signed.
    pub fn cmd_with(&self, body: &CmdBody, op_body: &str, op_sigs: Vec<String>) -> Cmd {
        let op_body_sha256 = Some(agent::identity::sha256(op_body.as_bytes()));
        let cmd = self.cmd(&CmdBody { op_body_sha256, ..body.clone() });
        Cmd { op_body: Some(op_body.to_owned()), op_sigs, ..cmd }
    }

    pub fn cancel(&self, job_id: JobId) -> Cancel {
        let body = CancelBody { job_id, server_id: self.server_id, at_ms: now_ms() };
        Cancel(self.hub.sign(signing::CANCEL, serde_json::to_string(&body).unwrap()))
    }

    /// Hands a job over; panics unless it is accepted.
    pub async fn start(&self, body: &CmdBody) -> RunningJob {
        let (ack, job) = self.submit(body).await;
        job.unwrap_or_else(|| panic!("not accepted: {ack:?}"))
    }

    pub async fn submit(&self, body: &CmdBody) -> (CmdAck, Option<RunningJob>) {
        let job = self.workers.submit(body.job_id, self.cmd(body), None);
        tokio::time::timeout(PATIENCE, job).await.expect("in time").expect("an answer")
    }

    /// Runs a command line to its end.
    pub async fn sh(&self, command: &str) -> Finished {
        self.run(&ExecArgs { command: Some(command.to_owned()), ..ExecArgs::default() }).await
    }

    pub async fn run(&self, args: &ExecArgs) -> Finished {
        let mut job = self.start(&self.body(args)).await;
        self.finish(&mut job).await
    }

    /// Follows a job to its end and reads its log.
    pub async fn finish(&self, job: &mut RunningJob) -> Finished {
        let done = end_of(job).await;
        self.finished(done)
    }

    pub fn finished(&self, done: JobDone) -> Finished {
        let mut finished = Finished { log: self.log(done.job_id), done };
        assert_eq!(finished.log.length, finished.done.next_offset, "the log is as long as the end says");
        finished.log.chunks.shrink_to_fit();
        finished
    }

    /// The control socket of a running job, once it is there.
    pub async fn attach(&self, job_id: JobId) -> RunningJob {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.workers.attach(job_id).await {
                Ok(job) => return job,
                Err(error) => assert!(Instant::now() < until, "no control socket: {error}"),
            }
            tokio::task::yield_now().await;
        }
    }

    pub fn log(&self, job_id: JobId) -> Log {
        let mut reader = self.spool().reader(job_id, 0).unwrap();
        let (mut log, mut buffer) = (Log::default(), Vec::new());
        while let Some(chunk) = reader.next(&mut buffer).unwrap() {
            assert_eq!(chunk.offset, log.length, "chunks follow each other");
            log.length += buffer.len() as u64;
            log.gap_bytes += chunk.gap_bytes.unwrap_or(0);
            log.chunks.push((chunk.stream, buffer.clone()));
        }
        log
    }

    /// The job, once the spool says that it has ended.
    pub fn ended(&self, job_id: JobId) -> SpooledJob {
        wait_for("the end of the job", || self.spool().job(job_id).unwrap().filter(|job| job.phase != Phase::Running))
    }
}

impl Drop for Host {
    /// A test that failed must not leave a job behind that does everything to stay.
    fn drop(&mut self) {
        use nix::sys::signal::Signal;
        let of_this_host = self.paths.state_dir().as_os_str().as_encoded_bytes();
        let jobs = std::fs::read_dir(self.paths.claims_dir()).into_iter().flatten().flatten();
        let markers: Vec<String> =
            jobs.map(|job| format!("ROADSTEAD_JOB_ID={}", job.file_name().to_string_lossy())).collect();
        for process in agent::supervise::tree::all() {
            let command_line = std::fs::read(format!("/proc/{}/cmdline", process.id.pid)).unwrap_or_default();
            if command_line.split(|&byte| byte == 0).any(|argument| argument == of_this_host) {
                process.signal(Signal::SIGKILL);
            }
        }
        for marker in markers {
            for process in agent::supervise::tree::orphans(&[], &marker) {
                process.signal(Signal::SIGKILL);
            }
        }
    }
}

pub fn signed_cmd(hub: &HubKey, body: &CmdBody) -> Cmd {
    let signed = hub.sign(signing::CMD, serde_json::to_string(body).unwrap());
    Cmd { signed, op_body: None, op_sigs: Vec::new() }
}

/// A job that has ended.
#[derive(Debug)]
pub struct Finished {
    pub done: JobDone,
    pub log: Log,
}

/// A whole log.
#[derive(Debug, Default)]
pub struct Log {
    pub chunks: Vec<(LogStream, Vec<u8>)>,
    pub length: u64,
    pub gap_bytes: u64,
}

impl Log {
    pub fn bytes(&self, stream: LogStream) -> Vec<u8> {
        self.chunks.iter().filter(|(of, _)| *of == stream).flat_map(|(_, bytes)| bytes.clone()).collect()
    }

    pub fn out(&self) -> String {
        String::from_utf8(self.bytes(LogStream::Out)).unwrap()
    }

    pub fn err(&self) -> String {
        String::from_utf8(self.bytes(LogStream::Err)).unwrap()
    }

    pub fn sys(&self) -> String {
        String::from_utf8(self.bytes(LogStream::Sys)).unwrap()
    }
}

pub async fn end_of(job: &mut RunningJob) -> JobDone {
    loop {
        let note = tokio::time::timeout(PATIENCE, job.next()).await.expect("the job ends").unwrap();
        match note {
            Some(Note::Done(done)) => return done,
            Some(_) => {}
            None => panic!("the worker hung up without an end"),
        }
    }
}

/// Waits until the log of a running job contains `text`.
pub async fn output(host: &Host, job: &mut RunningJob, text: &str) -> String {
    loop {
        let out = String::from_utf8_lossy(&host.log(job.job_id()).bytes(LogStream::Out)).into_owned();
        if out.contains(text) {
            return out;
        }
        match tokio::time::timeout(PATIENCE, job.next()).await.expect("output").unwrap() {
            Some(Note::Spooled(_)) => {}
            other => panic!("no {text:?} in {out:?}, but {other:?}"),
        }
    }
}

pub fn rejection(ack: &CmdAck) -> Option<RejectCode> {
    match &ack.outcome {
        CmdOutcome::Rejected(rejected) => Some(rejected.code),
        _ => None,
    }
}

/// A condition that comes true; looked at often, and not for ever.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < until, "still waiting for {what}");
        std::thread::yield_now();
    }
}

pub fn command(text: &str) -> ExecArgs {
    ExecArgs { command: Some(text.to_owned()), ..ExecArgs::default() }
}

pub fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim().to_owned()
}

pub fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A fresh id of version 7.
pub fn new_id() -> String {
    let random = agent::host::random::Random::system();
    let clock = agent::host::clock::Clock::system();
    agent::host::ids::Ids::new(clock, random).message().unwrap().to_string()
}

pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

pub fn exists(pid: i32) -> bool {
    // A zombie that nobody has reaped yet is dead.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, tail)| !tail.trim_start().starts_with(['Z', 'X']))
}

/// The process that holds the job's control socket's worker: the parent of the job's main process.
pub fn worker_of(main: i32) -> i32 {
    agent::supervise::tree::find(main).expect("the main process runs").parent
}

pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// A worker's connection without the relay's code.
pub fn raw_worker(host: &Host) -> tokio::net::UnixStream {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    agent::host::commands::start_worker(Path::new(PROGRAM), host.paths.state_dir(), theirs.into()).unwrap();
    ours.set_nonblocking(true).unwrap();
    tokio::net::UnixStream::from_std(ours).unwrap()
}

/// A file system of a few megabytes; unmounted when dropped.
pub struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    pub fn mount(at: &Path, size: &str) -> Self {
        let options = format!("size={size},mode=700");
        let status = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "roadstead-test"])
            .arg(at)
            .status()
            .unwrap();
        assert!(status.success(), "mount");
        Self(at.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// A cgroup with the name of a worker's unit, as systemd would make it.
pub struct Unit(std::path::PathBuf);

impl Unit {
    /// `None` where this user may not make cgroups.
    pub fn make() -> Option<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mount = mounts.lines().find(|line| line.contains(" - cgroup2 "))?.split(' ').nth(4)?.to_owned();
        let path = Path::new(&mount).join(format!("roadstead-test-{}", new_id())).join("roadstead-work@1.service");
        std::fs::create_dir_all(&path).ok()?;
        Some(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A program that enters the unit and becomes the agent.
    pub fn program(&self, host: &Host) -> std::path::PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let program = host.dir.path().join("agent-in-unit");
        let script = format!("#!/bin/sh\necho $$ > {}/cgroup.procs && exec {PROGRAM} \"$@\"\n", self.0.display());
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        program
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        let _ = std::fs::write(self.0.join("cgroup.kill"), "1");
        let until = Instant::now() + PATIENCE;
        while std::fs::remove_dir(&self.0).is_err() && Instant::now() < until {
            std::thread::yield_now();
        }
        let _ = self.0.parent().map(std::fs::remove_dir);
    }
}

//! The relay: everything `run` holds, and its life from start to SIGTERM.

use std::io;
use std::path::Path;
use std::time::Duration;

use protocol::enroll::Token;
use protocol::heartbeat::Heartbeat;
use protocol::job::RejectCode;
use protocol::policy::PolicySummary;
use protocol::session::{AgentBuild, Host};
use protocol::{Hex, JobId};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::events::{Events, Report};
use crate::handover::{HandoverError, Workers};
use crate::host::clock::Clock;
use crate::host::ids::Ids;
use crate::host::random::Random;
use crate::host::tasks::Tasks;
use crate::host::{digest, facts};
use crate::identity::{self, Identity, IdentityError};
use crate::link;
use crate::link::endpoint::Endpoint;
use crate::link::followers::Followers;
use crate::link::requests::Requests;
use crate::link::vitals::Vitals;
use crate::metrics::Sampler;
use crate::notify::Notifier;
use crate::paths::Paths;
use crate::spool::Spool;
use crate::status::{Reporter, StartError};
use crate::trust::{Trust, TrustError};
use crate::work::wire::Description;

/// How often workers tidy up after workers.
const SWEEP_EVERY: Duration = Duration::from_secs(6 * 3600);
/// An idle spool is measured this often.
const SPOOL_BYTES_EVERY: Duration = Duration::from_secs(60);

/// Why a relay cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// No registration, or a damaged one.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Nothing to believe.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Another relay runs, or the directory cannot be used.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The spool cannot be opened.
    #[error("the spool {path} cannot be opened: {source}")]
    Spool {
        /// Where it should be.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The running program cannot be read, or signals not be taken.
    #[error("{what}: {source}")]
    System {
        /// What failed.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Everything that outlives a connection.
#[derive(Debug)]
pub struct Relay {
    pub(crate) paths: Paths,
    pub(crate) identity: Identity,
    pub(crate) endpoint: Endpoint,
    pub(crate) trust: Trust,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) ids: Ids,
    pub(crate) build: AgentBuild,
    pub(crate) host: Host,
    pub(crate) capabilities: Vec<String>,
    pub(crate) followers: Followers,
    pub(crate) requests: Requests,
    /// How many of [`Identity::tokens`] the hub has refused, one after the other.
    pub(crate) refused_tokens: usize,
    pub(crate) spool: Spool,
    pub(crate) events: Events,
    pub(crate) status: Reporter,
    pub(crate) reported_skew_ms: Option<i64>,
    sampler: Sampler,
    spool_bytes: u64,
    spool_measured: Option<Instant>,
    sessions: u64,
    tasks: Tasks,
}

/// Runs until SIGTERM or SIGINT. Jobs go on without it.
///
/// # Errors
/// [`RelayError`] when it cannot start; a hub that is away is no reason.
pub async fn run(paths: Paths) -> Result<(), RelayError> {
    let shutdown = CancellationToken::new();
    let system = |what| move |source| RelayError::System { what, source };
    let mut terminate = signal(SignalKind::terminate()).map_err(system("signals cannot be taken"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system("signals cannot be taken"))?;
    let workers = Workers::detect(paths.clone()).map_err(system("the program's own file cannot be found"))?;
    let mut relay = Relay::open(paths, workers, Clock::system(), Random::system(), Notifier::from_environment())?;
    log::info!(
        "roadstead-agent {} starts, server.id={} hub={} {}",
        relay.build.version,
        relay.identity.server_id,
        relay.identity.hub_url,
        relay.followers.workers().capability()
    );
    relay.status.notifier().ready();
    let notifier = relay.status.notifier().clone();
    let vitals = Vitals::new();
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        notifier.stopping();
        shutdown.cancel();
        // The link ends by itself now; should it hang, systemd ends it.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = relay.serve(&shutdown, &vitals) => {}
        () = stop => {}
        () = feed_watchdog(&notifier, &vitals) => {}
    }
    log::info!("roadstead-agent stops; jobs go on");
    Ok(())
}

async fn feed_watchdog(notifier: &Notifier, vitals: &Vitals) {
    let Some(every) = notifier.watchdog_interval() else { return std::future::pending().await };
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if vitals.are_good() {
            notifier.alive();
        } else {
            log::error!("the link hangs; systemd will restart this agent");
        }
    }
}

impl Relay {
    /// Reads the registration and opens what a relay works with.
    ///
    /// # Errors
    /// [`RelayError`].
    pub fn open(
        paths: Paths,
        workers: Workers,
        clock: Clock,
        random: Random,
        notifier: Notifier,
    ) -> Result<Self, RelayError> {
        let (identity, anchor) = identity::load_both(&paths)?;
        let trust = Trust::load(&paths)?;
        let endpoint = identity.endpoint(&paths)?;
        let host = facts::read();
        let status = Reporter::start(&paths, &anchor, workers.capability(), clock, notifier)?;
        let spool = Spool::open(&paths.spool_dir(), host.boot_id.clone())
            .map_err(|source| RelayError::Spool { path: paths.spool_dir().display().to_string(), source })?;
        let ids = Ids::new(clock, random.clone());
        let build = AgentBuild {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            target: format!("{}-linux", std::env::consts::ARCH),
            sha256: own_digest()?,
        };
        Ok(Self {
            events: Events::open(&paths, ids.clone(), clock),
            capabilities: ["exec", workers.capability(), workers.limits_capability()].map(str::to_owned).into(),
            requests: Requests::new(workers.clone()),
            refused_tokens: 0,
            followers: Followers::new(workers),
            paths,
            identity,
            endpoint,
            trust,
            clock,
            random,
            ids,
            build,
            host,
            spool,
            status,
            reported_skew_ms: None,
            sampler: Sampler::new(),
            spool_bytes: 0,
            spool_measured: None,
            sessions: 0,
            tasks: Tasks::default(),
        })
    }

    /// Keeps the link until `shutdown`.
    pub async fn serve(&mut self, shutdown: &CancellationToken, vitals: &Vitals) {
        // The first sample covers the time since boot and starts the look at the disks.
        self.sampler.sample(0, 0);
        self.sweep_regularly();
        link::run(self, shutdown, vitals).await;
    }

    /// One sample for a heartbeat.
    pub(crate) fn sample(&mut self, seq: u64, busy: bool) -> Heartbeat {
        let now = Instant::now();
        let due = self.spool_measured.is_none_or(|measured| now.duration_since(measured) >= SPOOL_BYTES_EVERY);
        if busy || due {
            self.spool_bytes = self.spool.waiting_bytes();
            self.spool_measured = Some(now);
        }
        self.sampler.sample(seq, self.spool_bytes)
    }

    pub(crate) fn next_session(&mut self) -> u64 {
        self.sessions += 1;
        self.sessions
    }

    /// The credential to show next.
    pub(crate) fn token(&self) -> &Token {
        self.identity.tokens().nth(self.refused_tokens).unwrap_or(&self.identity.agent_token)
    }

    /// The hub has refused the credential: whether there is another one to show. When all were refused, the first is next.
    pub(crate) fn has_another_token(&mut self) -> bool {
        self.refused_tokens = (self.refused_tokens + 1) % self.identity.tokens().count().max(1);
        self.refused_tokens > 0
    }

    /// The hub has welcomed this agent with `token`: from now on it is the credential.
    pub(crate) fn token_was_taken(&mut self, token: &Token) {
        self.refused_tokens = 0;
        let newer = self.identity.with_taken(token);
        if newer != self.identity
            && let Err(error) = self.identity.replace(newer, &self.paths)
        {
            // As it is, the file holds both.
            log::warn!("{} cannot be written: {error}", self.paths.identity_file().display());
        }
    }

    /// A refusal for a reason of security is more than an answer to the hub: whoever owns the server must hear of it.
    pub(crate) fn report_rejection(&mut self, job_id: JobId, code: RejectCode, message: &str) {
        let name = match code {
            RejectCode::BadSignature => "bad_signature",
            RejectCode::WrongServer => "wrong_server",
            RejectCode::Expired => "expired",
            RejectCode::PolicyDenied => "policy_denied",
            RejectCode::OperatorSignature => "operator_signature",
            _ => return,
        };
        self.events.report(Report::rejected_command(job_id, name, message));
    }

    /// The hub has everything of this job.
    pub(crate) fn forget(&self, job_id: JobId) {
        if let Err(error) = self.spool.forget(job_id) {
            log::warn!("job {job_id} cannot be cleared from the spool: {error}");
        }
    }

    /// The hub has this job's log up to here.
    pub(crate) fn free(&self, job_id: JobId, offset: u64) {
        if let Err(error) = self.spool.free(job_id, offset) {
            log::warn!("the log of job {job_id} cannot be freed: {error}");
        }
    }

    /// What the host allows, as the worker said that decides by it.
    pub(crate) fn introduce(&mut self, described: Result<Description, HandoverError>) -> PolicySummary {
        match described {
            Ok(description) => {
                // The sandbox may hide the id that jobs were claimed under.
                self.spool.set_boot_id(description.boot_id.clone());
                self.host.boot_id = description.boot_id;
                description.policy
            }
            // Without a worker nothing can be done on this host, whatever the policy says.
            Err(error) => PolicySummary::unusable(error.to_string()),
        }
    }

    /// Has a worker tidy up after dead ones, in the background.
    pub(crate) fn sweep(&mut self) {
        let workers = self.followers.workers().clone();
        self.tasks.spawn(async move { sweep_once(&workers).await });
    }

    /// Has a spare worker ready for the first job, in the background.
    pub(crate) fn warm(&mut self) {
        let workers = self.followers.workers().clone();
        self.tasks.spawn(async move { workers.warm().await });
    }

    fn sweep_regularly(&mut self) {
        let workers = self.followers.workers().clone();
        self.tasks.spawn(async move {
            let mut ticks = interval(SWEEP_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                sweep_once(&workers).await;
            }
        });
    }
}

async fn sweep_once(workers: &Workers) {
    match workers.sweep().await {
        Ok(swept) if !swept.ended.is_empty() => log::info!("jobs without a worker were ended: {:?}", swept.ended),
        Ok(_) => {}
        Err(error) => log::warn!("no worker could tidy up: {error}"),
    }
}

/// Which build this is: the file that runs, even when another lies in its place by now.
fn own_digest() -> Result<Hex<32>, RelayError> {
    digest::sha256_of_file(Path::new("/proc/self/exe"))
        .map_err(|source| RelayError::System { what: "the program's own file cannot be read", source })
}

//! `roadstead serve`.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};

use super::flags::SettingFlags;
use super::{Failure, logging, say};
use crate::auth::{self, SetupCode};
use crate::config::{Config, Tls};
use crate::data_dir;
use crate::http::Listener;
use crate::hub::App;
use crate::{audit, start};

/// How long tasks may take to end after the listener has drained.
const STOP_LIMIT: Duration = Duration::from_secs(15);

pub(super) fn serve(flags: SettingFlags) -> Result<(), Failure> {
    let loaded = flags.load()?;
    logging::start(&loaded.config.log)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(loaded.config))?;
    // Blocking work that nobody waits for any more must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(())
}

async fn run(config: Config) -> Result<()> {
    data_dir::ensure_private_dir(&config.data_dir).context("choose another data directory with --data-dir")?;
    let lock = data_dir::lock(&config.data_dir)?;
    let app = start::open(config).await?;
    let listener = match Listener::bind(&app) {
        Ok(listener) => listener,
        Err(error) => {
            app.close().await;
            return Err(error);
        }
    };
    stop_on_signal(&app)?;
    let code = auth::prepare_setup(&app).await?;
    start::start_background(&app).await;
    announce(&app, code.as_ref())?;
    let served = listener.serve(App::clone(&app)).await;
    stop(&app).await;
    drop(lock);
    served
}

fn stop_on_signal(app: &App) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let stop = app.tasks.stop_token();
    app.tasks.spawn(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("stopping: SIGTERM"),
            _ = interrupt.recv() => tracing::info!("stopping: SIGINT"),
            () = stop.cancelled() => {}
        }
        stop.cancel();
    });
    Ok(())
}

async fn stop(app: &App) {
    if tokio::time::timeout(STOP_LIMIT, app.tasks.shut_down()).await.is_err() {
        tracing::warn!("some tasks did not end in time and are cut off");
    }
    if let Err(error) = audit::chain(app).await {
        tracing::warn!(error = %error.chain(), "the last audit records are not chained yet; the next start does it");
    }
    app.close().await;
    tracing::info!("stopped");
}

/// Says where the hub is, and how its first owner gets in.
fn announce(app: &App, code: Option<&SetupCode>) -> Result<()> {
    let url = &app.config.public_url;
    let tls = match app.config.tls {
        Tls::Off => "off",
        Tls::SelfSigned => "self_signed",
        Tls::Files { .. } => "files",
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        listen = %app.config.listen,
        tls,
        hub_fingerprint = %app.keys.fingerprint(),
        data_dir = %app.config.data_dir.display(),
        "the hub is up at {url}"
    );
    let Some(code) = code else { return Ok(()) };
    let code = code.reveal();
    tracing::info!(setup_code = code, "nobody owns this hub yet: open {url}/setup and enter the set-up code {code}");
    if std::io::stdout().is_terminal() {
        let text =
            format_args!("\n  Nobody owns this hub yet.\n  Open {url}/setup and enter the set-up code  {code}\n");
        say(text).map_err(|failure| failure.error)?;
    }
    Ok(())
}

//! Puts a hub together: settings, databases, keys and the slices' state become one [`Hub`].

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};

use crate::bus::Bus;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::data_dir;
use crate::db::{Db, DbOptions, Store};
use crate::hub::{App, Hub};
use crate::ids::Ids;
use crate::installation::{self, Fact};
use crate::keys::Keys;
use crate::outbound::{self, Lookup, Outbound, SystemLookup};
use crate::random::{Random, SystemRandom};
use crate::sealing::Sealing;
use crate::tasks::Tasks;

/// What a hub is made of besides its settings. Tests put their own in.
#[derive(Debug)]
pub struct Parts {
    /// Rows.
    pub db: Db,
    /// Samples and logs.
    pub history: Db,
    /// Signing keys.
    pub keys: Keys,
    /// Seals secrets that wait.
    pub sealing: Sealing,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// The way out.
    pub outbound: Outbound,
}

/// Opens the installation that the settings describe, making what is missing. Nothing runs yet: no listener, no
/// background task.
///
/// # Errors
/// When a directory, a database or a key cannot be used, or they do not belong together.
pub async fn open(config: Config) -> Result<App> {
    let clock = Arc::new(SystemClock);
    let random = Arc::new(SystemRandom::default());
    data_dir::ensure_private_dir(&config.data_dir).context("choose another data directory with --data-dir")?;
    let db = open_database(&config.database, Store::Main).await?;
    let history = match (&config.database, &config.history) {
        // One pool for both: two would only take connections from each other.
        (DbOptions::Postgres(_), DbOptions::Postgres(_)) => db.clone(),
        _ => open_database(&config.history, Store::History).await?,
    };
    let keys = open_keys(&config, &db, random.as_ref()).await?;
    let sealing = Sealing::open(&config.keys_dir, random.as_ref())?;
    let lookup: Arc<dyn Lookup> = Arc::new(SystemLookup::default());
    let outbound = Outbound::new(&lookup, outbound::certificates(config.trusted_ca_file.as_deref())?)?;
    Ok(assemble(config, Parts { db, history, keys, sealing, clock, random, outbound }))
}

async fn open_database(options: &DbOptions, store: Store) -> Result<Db> {
    if let DbOptions::Sqlite(path) = options {
        data_dir::ensure_private_file(path).context("the database cannot be opened")?;
    }
    Db::open(options, store).await.context("the database cannot be opened")
}

/// Agents and backups trust one key for ever, so a hub never goes on with another one.
async fn open_keys(config: &Config, db: &Db, random: &dyn Random) -> Result<Keys> {
    let path = Keys::path(&config.keys_dir);
    let recorded = {
        let mut session = db.read().await?;
        installation::get(&mut session.conn(), Fact::SigningKey).await?
    };
    let keys = match (Keys::read(&config.keys_dir)?, &recorded) {
        (Some(keys), _) => keys,
        (None, None) => Keys::create(&config.keys_dir, random)?,
        (None, Some(fingerprint)) => bail!(
            "the signing key {} is missing, but this database belongs to the key with fingerprint {fingerprint}; put the \
             key file back from your backup (agents trust no other key)",
            path.display()
        ),
    };
    let fingerprint = keys.fingerprint().to_string();
    let mut tx = db.write().await?;
    installation::claim(&mut tx.conn(), Fact::SigningKey, fingerprint.clone()).await?;
    let mut recorded = installation::get(&mut tx.conn(), Fact::SigningKey).await?.unwrap_or_default();
    if keys.follows(&recorded) {
        // A rotation that was killed before its last step, or a database from before it.
        installation::put(&mut tx.conn(), Fact::SigningKey, fingerprint.clone()).await?;
        recorded.clone_from(&fingerprint);
    }
    tx.commit().await?;
    if recorded != fingerprint {
        bail!(
            "the signing key {} has the fingerprint {fingerprint}, but this database belongs to the key with fingerprint \
             {recorded}; put that key back, or name its directory with --keys-dir (agents trust no other key)",
            path.display()
        );
    }
    Ok(keys)
}

/// A hub of these parts.
#[must_use]
pub fn assemble(config: Config, parts: Parts) -> App {
    let Parts { db, history, keys, sealing, clock, random, outbound } = parts;
    Arc::new(Hub {
        ids: Ids::new(Arc::clone(&clock), Arc::clone(&random)),
        tasks: Tasks::default(),
        bus: Bus::default(),
        background: crate::background::State::default(),
        http: crate::http::State::new(&config),
        auth: crate::auth::State::default(),
        api_keys: crate::api_keys::State::default(),
        audit: crate::audit::State::default(),
        gateway: crate::gateway::Registry::default(),
        servers: crate::servers::State::default(),
        metrics: crate::metrics::State::default(),
        jobs: crate::jobs::State::default(),
        job_batches: crate::job_batches::State::default(),
        deliveries: crate::deliveries::State::default(),
        access: crate::access::State::default(),
        enrollment: crate::enrollment::State::default(),
        config,
        db,
        history,
        clock,
        random,
        keys,
        sealing,
        outbound,
    })
}

/// Starts everything that works without being asked.
pub async fn start_background(app: &App) {
    crate::http::start(app);
    crate::events::start(app);
    crate::audit::start(app);
    crate::auth::start(app);
    crate::enrollment::start(app).await;
    crate::team::start(app);
    crate::metrics::start(app);
    crate::servers::start(app);
    crate::jobs::spawn(app);
    crate::job_batches::spawn(app);
    crate::license::spawn(app);
    crate::deliveries::start(app);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::config::Sources;

    fn config(data_dir: &Path) -> Config {
        let flags = BTreeMap::from([("data_dir".to_owned(), data_dir.display().to_string())]);
        Config::load(&Sources { flags, env: BTreeMap::new() }).unwrap().config
    }

    async fn refused(data_dir: &Path) -> String {
        format!("{:#}", open(config(data_dir)).await.unwrap_err())
    }

    #[tokio::test]
    async fn an_installation_keeps_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("data");
        let first = open(config(&data_dir)).await.unwrap();
        first.close().await;
        let again = open(config(&data_dir)).await.unwrap();
        again.close().await;
        assert_eq!(first.keys.fingerprint(), again.keys.fingerprint());

        let path = Keys::path(&data_dir.join("keys"));
        let kept = data_dir::read(&path, 4096).unwrap().unwrap();
        data_dir::write_private(&path, &Keys::generate_pkcs8(&SystemRandom::default())).unwrap();
        let message = refused(&data_dir).await;
        assert!(
            message.contains("put that key back") && message.contains(&first.keys.fingerprint().to_string()),
            "{message}"
        );
        std::fs::remove_file(&path).unwrap();
        let message = refused(&data_dir).await;
        assert!(message.contains("is missing") && message.contains(&first.keys.fingerprint().to_string()), "{message}");
        assert!(!path.exists(), "no other key may take its place");
        data_dir::write_private(&path, &kept).unwrap();
        open(config(&data_dir)).await.unwrap().close().await;
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_said_with_its_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        data_dir::write_private(&file, b"").unwrap();
        let message = refused(&file.join("data")).await;
        assert!(message.contains("--data-dir") && message.contains("cannot make the directory"), "{message}");

        let data_dir = dir.path().join("data");
        data_dir::ensure_private_dir(&data_dir).unwrap();
        data_dir::write_private(&data_dir.join("roadstead.db"), b"this is no database, whatever its name says")
            .unwrap();
        assert!(refused(&data_dir).await.contains("the database cannot be opened"));
    }
}

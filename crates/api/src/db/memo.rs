//! Keeps what was read until it may have changed.

use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hashlink::LruCache;
use tokio::time::Instant;

use super::pool::Db;
use super::versions::Table;

/// The hub's command line writes the same database from another process, which counts nothing here: what it changed
/// acts within this long.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// What was read from some tables, by what was asked: good until one of them is written, or a second has passed. Beyond
/// its capacity, what was not asked for longest is forgotten.
#[derive(Debug)]
pub struct Memo<K: Hash + Eq, V> {
    tables: &'static [Table],
    kept: Mutex<LruCache<K, Kept<V>>>,
}

#[derive(Debug)]
struct Kept<V> {
    value: V,
    version: Version,
    until: Instant,
}

/// Where the tables stood before something was read from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(u64);

impl<K: Hash + Eq, V: Clone> Memo<K, V> {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(tables: &'static [Table], capacity: usize) -> Self {
        Self { tables, kept: Mutex::new(LruCache::new(capacity)) }
    }

    /// Where the tables stand: to be asked before they are read.
    #[must_use]
    pub fn version(&self, db: &Db) -> Version {
        Version(db.version_of(self.tables))
    }

    /// What was kept, if it is still what one would read.
    pub fn recall(&self, key: &K, now: Version) -> Option<V> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.get(key).filter(|kept| kept.version == now && Instant::now() < kept.until)?;
        Some(found.value.clone())
    }

    /// Keeps what was read after `version` was asked for.
    pub fn keep(&self, key: K, value: V, version: Version) {
        let until = Instant::now() + KEPT_FOR;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(key, Kept { value, version, until });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::sqlite;
    use crate::sql;

    fn memo(capacity: usize) -> Memo<u8, &'static str> {
        Memo::new(&[Table::Users, Table::Roles], capacity)
    }

    async fn write(db: &Db, sql: &'static str) {
        let mut tx = db.write().await.unwrap();
        tx.conn().query(sql).execute().await.unwrap();
        tx.commit().await.unwrap();
    }

    #[tokio::test]
    async fn what_was_read_is_kept_until_a_table_of_it_is_written() {
        let database = sqlite().await;
        let (db, memo) = (&database.main, memo(8));
        let keep = || {
            memo.keep(1, "read", memo.version(db));
            assert_eq!(memo.recall(&1, memo.version(db)), Some("read"));
        };
        keep();
        write(db, sql!("update projects set name = name")).await;
        assert_eq!(memo.recall(&1, memo.version(db)), Some("read"), "another table");
        assert_eq!(memo.recall(&2, memo.version(db)), None, "another question");
        write(db, sql!("update users set name = name")).await;
        assert_eq!(memo.recall(&1, memo.version(db)), None);
        keep();
        write(db, sql!("delete from projects where id = 'none'")).await;
        assert_eq!(memo.recall(&1, memo.version(db)), None, "a delete may take rows of any table along");
    }

    #[tokio::test]
    async fn only_what_was_committed_counts_also_when_nobody_waits_for_it() {
        let database = sqlite().await;
        let (db, memo) = (&database.main, memo(8));
        let before = memo.version(db);
        let mut tx = db.write().await.unwrap();
        tx.conn().query(sql!("update roles set name = name")).execute().await.unwrap();
        assert_eq!(memo.version(db), before);
        drop(tx);
        assert_eq!(memo.version(db), before, "undone");

        let mut tx = db.write().await.unwrap();
        tx.conn().query(sql!("update roles set name = name")).execute().await.unwrap();
        let mut commit = Box::pin(tx.commit());
        assert!(futures_util::poll!(&mut commit).is_pending());
        drop(commit);
        // The next one waits for the connection of the one before.
        drop(db.write().await.unwrap());
        assert_ne!(memo.version(db), before);
    }

    #[tokio::test]
    async fn what_changed_while_it_was_read_is_not_kept() {
        let database = sqlite().await;
        let (db, memo) = (&database.main, memo(8));
        let before = memo.version(db);
        write(db, sql!("update users set name = name")).await;
        memo.keep(1, "old", before);
        assert_eq!(memo.recall(&1, memo.version(db)), None);
    }

    #[tokio::test]
    async fn it_is_bounded_in_time_and_number() {
        let database = sqlite().await;
        let (db, memo) = (&database.main, memo(2));
        let version = memo.version(db);
        for number in [1, 2, 3] {
            memo.keep(number, "read", version);
        }
        assert_eq!([1, 2, 3].map(|number| memo.recall(&number, version).is_some()), [false, true, true]);
        tokio::time::pause();
        tokio::time::advance(KEPT_FOR).await;
        assert_eq!(memo.recall(&3, version), None, "another process may have written");
    }
}

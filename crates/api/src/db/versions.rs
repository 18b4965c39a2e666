//! Counts the commits that wrote a table, so that what was read from it can be kept until the next.

use std::sync::atomic::{AtomicU64, Ordering};

/// A table of which something is kept in memory after it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// `api_keys`.
    ApiKeys,
    /// `grants`.
    Grants,
    /// `identities`.
    Identities,
    /// `members`.
    Members,
    /// `passkeys`.
    Passkeys,
    /// `roles`.
    Roles,
    /// `server_labels`.
    ServerLabels,
    /// `servers`.
    Servers,
    /// `sessions`.
    Sessions,
    /// `totp`.
    Totp,
    /// `users`.
    Users,
    /// `workspaces`.
    Workspaces,
}

impl Table {
    /// Every one.
    pub(super) const ALL: [Self; 12] = [
        Self::ApiKeys,
        Self::Grants,
        Self::Identities,
        Self::Members,
        Self::Passkeys,
        Self::Roles,
        Self::ServerLabels,
        Self::Servers,
        Self::Sessions,
        Self::Totp,
        Self::Users,
        Self::Workspaces,
    ];

    /// As statements call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ApiKeys => "api_keys",
            Self::Grants => "grants",
            Self::Identities => "identities",
            Self::Members => "members",
            Self::Passkeys => "passkeys",
            Self::Roles => "roles",
            Self::ServerLabels => "server_labels",
            Self::Servers => "servers",
            Self::Sessions => "sessions",
            Self::Totp => "totp",
            Self::Users => "users",
            Self::Workspaces => "workspaces",
        }
    }
}

/// Tables that a transaction wrote, one bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Written(u32);

impl Written {
    /// All of them: rows of other tables may go with a deleted one.
    const EVERYTHING: Self = Self(u32::MAX);

    /// What one statement writes, by its first words: every text of the hub begins with what it does.
    pub(super) fn by(sql: &str) -> Self {
        let mut words = sql.split(|c: char| c.is_ascii_whitespace() || c == '(').filter(|word| !word.is_empty());
        let table = match words.next() {
            Some("select") => return Self::default(),
            Some("insert") if words.next() == Some("into") => words.next(),
            Some("update") => words.next(),
            _ => None,
        };
        let Some(name) = table else { return Self::EVERYTHING };
        Table::ALL.into_iter().find(|table| table.name() == name).map_or_else(Self::default, Self::of)
    }

    const fn of(table: Table) -> Self {
        Self(1 << table as u32)
    }

    pub(super) const fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    const fn holds(self, table: Table) -> bool {
        self.0 & Self::of(table).0 != 0
    }
}

/// How often each table was written by this process.
#[derive(Debug, Default)]
pub(super) struct Versions([AtomicU64; Table::ALL.len()]);

impl Versions {
    /// A number that is another one after any of these tables was written.
    pub(super) fn of(&self, tables: &[Table]) -> u64 {
        let counts = tables.iter().filter_map(|table| self.0.get(*table as usize));
        counts.map(|count| count.load(Ordering::SeqCst)).fold(0, u64::wrapping_add)
    }

    /// These tables have changed.
    pub(super) fn count(&self, written: Written) {
        for (table, count) in Table::ALL.into_iter().zip(&self.0) {
            if written.holds(table) {
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::SQL_TEXTS;

    #[test]
    fn a_statement_says_first_what_it_writes() {
        assert_eq!(Written::by("select 1"), Written::default());
        assert_eq!(Written::by("insert into totp (user_id) values ($1)"), Written::of(Table::Totp));
        assert_eq!(Written::by("insert into users(id)"), Written::of(Table::Users));
        assert_eq!(Written::by("update servers\n set x = 1"), Written::of(Table::Servers));
        assert_eq!(Written::by("update jobs set x = 1"), Written::default());
        for unknown in ["delete from users", "with x as (select 1) update users", "insert or ignore into users", ""] {
            assert_eq!(Written::by(unknown), Written::EVERYTHING, "{unknown}");
        }
    }

    /// A text that began otherwise would empty everything that is kept, at each of its runs.
    #[test]
    fn every_text_is_understood() {
        for text in SQL_TEXTS {
            let first = text.text.split_ascii_whitespace().next().unwrap_or_default();
            let known = ["select", "insert", "update", "delete"].contains(&first);
            assert!(known, "{}: begins with {first:?}", text.place);
            let is_delete = first == "delete";
            assert_eq!(Written::by(text.text) == Written::EVERYTHING, is_delete, "{}", text.place);
        }
    }
}

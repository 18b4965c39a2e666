//! Promises of the two engines: every text of the hub runs on both, and both have the same schema.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Column as _, Either, Executor as _, Row as _, SqlSafeStr as _, Statement as _};

use super::conn::EngineConn;
use super::testing::{TestDb, postgres, sqlite};
use super::{Db, MIGRATIONS, SQL_TEXTS, Session, Table};

/// What an engine makes of a text.
#[derive(Debug)]
struct Prepared {
    parameters: usize,
    columns: Vec<String>,
}

impl Prepared {
    /// Whether both engines take and give the same. Engines call columns without a name as they like, and those are
    /// read by position.
    fn agrees_with(&self, postgres: &Self) -> bool {
        let same = |one: &String, other: &String| one == other || one.contains('(');
        let columns = self.columns.len() == postgres.columns.len();
        let columns = columns && self.columns.iter().zip(&postgres.columns).all(|(one, other)| same(one, other));
        columns && self.parameters == postgres.parameters
    }
}

/// The text with every list replaced by two placeholders of its own, and without narrowing it to what somebody may see.
fn with_lists(text: &str) -> String {
    let highest = (1..=100).rev().find(|number| text.contains(&format!("${number}"))).unwrap_or(0);
    text.replace("{in}", &format!("${}, ${}", highest + 1, highest + 2)).replace("{within}", "1 = 1")
}

async fn prepare(session: &mut Session, text: &str) -> Result<Prepared, String> {
    let text = AssertSqlSafe(with_lists(text)).into_sql_str();
    macro_rules! prepared {
        ($conn:expr) => {{
            let statement = $conn.prepare(text).await.map_err(|error| error.to_string())?;
            let parameters = match statement.parameters() {
                Some(Either::Left(types)) => types.len(),
                Some(Either::Right(count)) => count,
                None => 0,
            };
            let columns = statement.columns().iter().map(|column| column.name().to_owned()).collect();
            Ok(Prepared { parameters, columns })
        }};
    }
    match session.conn().into_engine() {
        EngineConn::Sqlite(conn) => prepared!(conn),
        EngineConn::Postgres(conn) => prepared!(conn),
    }
}

/// The store that a text is for: those of samples and logs fail on the other file with SQLite.
async fn prepare_somewhere(database: &TestDb, text: &str) -> Result<Prepared, String> {
    let main = prepare(&mut database.main.read().await.unwrap(), text).await;
    if main.is_ok() {
        return main;
    }
    prepare(&mut database.history.read().await.unwrap(), text)
        .await
        .map_err(|history| format!("{}; in the history store: {history}", main.err().unwrap_or_default()))
}

#[tokio::test]
async fn every_text_prepares_on_both_engines_and_means_the_same() {
    assert!(SQL_TEXTS.len() > 20, "the texts are not registered");
    let (sqlite, postgres) = (sqlite().await, postgres().await);
    let mut problems = Vec::new();
    for text in SQL_TEXTS {
        let on_sqlite = prepare_somewhere(&sqlite, text.text).await;
        let Some(postgres) = &postgres else {
            problems.extend(on_sqlite.err().map(|error| format!("{}: SQLite: {error}", text.place)));
            continue;
        };
        let on_postgres = prepare_somewhere(postgres, text.text).await;
        match (on_sqlite, on_postgres) {
            (Ok(one), Ok(other)) if one.agrees_with(&other) => {}
            (Ok(one), Ok(other)) => problems.push(format!("{}: {one:?} but {other:?}", text.place)),
            (one, other) => {
                problems.extend(one.err().map(|error| format!("{}: SQLite: {error}", text.place)));
                problems.extend(other.err().map(|error| format!("{}: PostgreSQL: {error}", text.place)));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn no_text_uses_what_the_engines_do_differently() {
    let banned = [
        "now(",
        "ilike",
        "::",
        "datetime(",
        " like ",
        "greatest(",
        "least(",
        "insert or ",
        "current_timestamp",
        "json_",
    ];
    for text in SQL_TEXTS {
        let lower = text.text.to_lowercase();
        for word in banned {
            assert!(!lower.contains(word), "{}: {word}", text.place);
        }
    }
}

/// Column → (kind of type, may be null), by `table.column`.
type Columns = BTreeMap<String, (String, bool)>;

#[derive(Debug, Default, PartialEq, Eq)]
struct Schema {
    columns: Columns,
    /// `table: column, column` of primary keys and unique indexes, sorted.
    unique: Vec<String>,
    /// `table.column -> table`, sorted.
    references: Vec<String>,
}

async fn rows(database: &Db, text: impl Into<String>) -> Vec<Vec<String>> {
    let mut session = database.read().await.unwrap();
    let text = AssertSqlSafe(text.into()).into_sql_str();
    macro_rules! read {
        ($conn:expr) => {{
            let rows = $conn.fetch_all(sqlx::raw_sql(text)).await.unwrap();
            let text = |row, index| -> String { sqlx::Row::get::<String, _>(row, index) };
            rows.iter().map(|row| (0..row.len()).map(|index| text(row, index)).collect()).collect()
        }};
    }
    match session.conn().into_engine() {
        EngineConn::Sqlite(conn) => read!(conn),
        EngineConn::Postgres(conn) => read!(conn),
    }
}

/// The kinds of type that portable SQL knows.
fn kind(declared: &str) -> String {
    match declared.to_lowercase().as_str() {
        "blob" | "bytea" => "bytes".to_owned(),
        "integer" | "bigint" => "bigint".to_owned(),
        other => other.to_owned(),
    }
}

fn add(schema: &mut Schema, columns: Vec<Vec<String>>, unique: Vec<Vec<String>>, references: Vec<Vec<String>>) {
    for row in columns {
        let [table, column, declared, nullable] = row.try_into().unwrap();
        schema.columns.insert(format!("{table}.{column}"), (kind(&declared), nullable == "yes"));
    }
    schema.unique.extend(unique.into_iter().map(|row| row.join(": ")));
    schema.references.extend(references.into_iter().map(|row| row.join(" ")));
    schema.unique.sort();
    schema.unique.dedup();
    schema.references.sort();
}

async fn sqlite_schema(database: &TestDb) -> Schema {
    let mut schema = Schema::default();
    for file in [&database.main, &database.history] {
        let tables = "sqlite_schema t where t.type = 'table' and t.name not like '\\_sqlx%' escape '\\' and t.name not like 'sqlite%'";
        let columns = rows(
            file,
            format!(
                "select t.name, c.name, c.type, case when c.\"notnull\" = 1 or c.pk > 0 then 'no' else 'yes' end
                 from (select * from {tables}) t join pragma_table_info(t.name) c"
            ),
        );
        let unique = rows(
            file,
            format!(
                "select t.name, (select group_concat(i.name, ', ') from (select name from pragma_index_info(l.name) order by seqno) i)
                 from (select * from {tables}) t join pragma_index_list(t.name) l where l.\"unique\" = 1
                 union all
                 select t.name, (select group_concat(c.name, ', ') from (select name from pragma_table_info(t.name) where pk > 0 order by pk) c)
                 from (select * from {tables}) t where exists (select 1 from pragma_table_info(t.name) where pk > 0)"
            ),
        );
        let references = rows(
            file,
            format!(
                "select t.name || '.' || f.\"from\", '-> ' || f.\"table\", lower(f.on_delete)
                 from (select * from {tables}) t join pragma_foreign_key_list(t.name) f"
            ),
        );
        add(&mut schema, columns.await, unique.await, references.await);
    }
    schema
}

async fn postgres_schema(database: &TestDb) -> Schema {
    let mut schema = Schema::default();
    let columns = rows(
        &database.main,
        "select table_name::text, column_name::text, data_type::text, lower(is_nullable)::text
         from information_schema.columns where table_schema = 'public' and table_name not like '\\_sqlx%'",
    );
    let unique = rows(
        &database.main,
        "select c.relname::text,
                (select string_agg(a.attname, ', ' order by k.n)
                 from unnest(i.indkey) with ordinality k(attnum, n)
                 join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum)::text
         from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'public' and i.indisunique and c.relname not like '\\_sqlx%'",
    );
    let references = rows(
        &database.main,
        "select (c.conrelid::regclass::text || '.' || a.attname)::text, '-> ' || c.confrelid::regclass::text,
                case c.confdeltype when 'c' then 'cascade' when 'n' then 'set null' when 'r' then 'restrict' else 'no action' end
         from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid and a.attnum = any (c.conkey)
         where c.contype = 'f'",
    );
    add(&mut schema, columns.await, unique.await, references.await);
    schema
}

#[tokio::test]
async fn both_engines_have_the_same_schema() {
    let sqlite = sqlite_schema(&sqlite().await).await;
    assert!(sqlite.columns.len() > 20 && !sqlite.unique.is_empty() && !sqlite.references.is_empty(), "{sqlite:#?}");
    let Some(postgres) = postgres().await else { return };
    let postgres = postgres_schema(&postgres).await;
    let missing = |one: &Schema, other: &Schema| {
        let columns = one.columns.iter().filter(|(name, is)| other.columns.get(*name) != Some(*is));
        let mut only: Vec<_> = columns.map(|(name, is)| format!("{name} {is:?}")).collect();
        only.extend(one.unique.iter().filter(|key| !other.unique.contains(key)).cloned());
        only.extend(one.references.iter().filter(|key| !other.references.contains(key)).cloned());
        only
    };
    assert_eq!(missing(&sqlite, &postgres), [""; 0], "only SQLite has it so");
    assert_eq!(missing(&postgres, &sqlite), [""; 0], "only PostgreSQL has it so");
}

#[tokio::test]
async fn a_schema_of_a_newer_version_is_refused() {
    for database in super::testing::both().await {
        let newest = MIGRATIONS.iter().filter(|step| step.version < 100).map(|step| step.version).max().unwrap();
        let mut tx = database.main.write().await.unwrap();
        let step = format!(
            "insert into _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
             select {}, 'from the future', installed_on, success, checksum, execution_time from _sqlx_migrations where version = 1",
            newest + 1
        );
        tx.conn().query_built(step).execute().await.unwrap();
        tx.commit().await.unwrap();
        let error = Db::open(&database.options, super::Store::Main).await.unwrap_err().to_string();
        assert!(error.contains("newer version of Roadstead"), "{error}");
    }
}

/// Whoever asked for a transaction may go away at any point of it.
#[tokio::test]
async fn a_transaction_given_up_at_any_point_leaves_the_database_usable() {
    for database in [Some(sqlite().await), postgres().await].into_iter().flatten() {
        for polls in 0..40 {
            let given_up = async {
                let mut tx = database.main.write().await.unwrap();
                tx.conn().query_built(format!("create table t{polls} (n bigint)")).execute().await.unwrap();
                tx.commit().await.unwrap();
            };
            let mut given_up = Box::pin(given_up);
            for _ in 0..polls {
                if futures_util::poll!(&mut given_up).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(given_up);
            let mut tx = database.main.write().await.unwrap();
            tx.conn().query_built(format!("create table u{polls} (n bigint)")).execute().await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(rows(&database.main, format!("select cast(count(*) as text) from u{polls}")).await, [["0"]]);
        }
    }
}

/// A limit that is bound makes SQLite parse and plan a statement anew at each run, unless it was built not to.
#[tokio::test]
async fn sqlite_keeps_its_plans() {
    let options = rows(&sqlite().await.main, "pragma compile_options").await.concat();
    assert!(options.iter().any(|option| option == "ENABLE_QPSG"), "LIBSQLITE3_FLAGS was not set: {options:?}");
}

/// A table that is called otherwise would change without anybody counting it.
#[tokio::test]
async fn tables_that_are_counted_are_there() {
    let columns = sqlite_schema(&sqlite().await).await.columns;
    for table in Table::ALL {
        let prefix = format!("{}.", table.name());
        assert!(columns.keys().any(|column| column.starts_with(&prefix)), "{prefix}");
    }
}

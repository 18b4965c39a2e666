//! Log lines on stderr: one event a line, readable alone, never a secret.

use std::io::{IsTerminal as _, Write as _, stderr};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::text;

/// Starts logging. Later calls change nothing.
///
/// Under systemd each line carries the journal's priority, elsewhere the level's name.
pub fn start(level: LevelFilter) {
    let logger = Logger { journal: std::env::var_os("JOURNAL_STREAM").is_some() && !stderr().is_terminal() };
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        log::set_max_level(level);
    }
}

struct Logger {
    journal: bool,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Libraries say at info what only matters to those who debug them.
        metadata.target().starts_with(env!("CARGO_CRATE_NAME")) || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let (priority, name) = match record.level() {
            Level::Error => (3, "error"),
            Level::Warn => (4, "warn"),
            Level::Info => (6, "info"),
            Level::Debug | Level::Trace => (7, "debug"),
        };
        // One write, so that lines of several threads never mix. Nobody can be told that stderr is gone.
        // What others wrote stands in it too: commands, names, paths.
        let text = text::one_line(&record.args().to_string());
        let line = if self.journal { format!("<{priority}>{text}\n") } else { format!("{name:5} {text}\n") };
        let _ = stderr().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

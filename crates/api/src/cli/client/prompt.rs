//! Questions to the person at the terminal, and secrets from standard input.

use std::io::{BufRead as _, BufReader, IsTerminal as _, Read as _, Write as _};

use anyhow::{Context as _, bail};

use crate::secret::Secret;

/// Longest line that is taken for an answer.
const MAX_LINE: u64 = 4096;

/// Asks for one line, which may be seen.
pub(super) fn line(question: &str) -> anyhow::Result<String> {
    require_terminal()?;
    let mut error = std::io::stderr();
    write!(error, "{question}")?;
    error.flush()?;
    first_line_of_input().map(|line| line.trim().to_owned())
}

/// Asks for one line that is not shown while it is typed.
pub(super) fn secret(question: &str) -> anyhow::Result<Secret> {
    require_terminal()?;
    rpassword::prompt_password(question).map(Secret::new).context("the terminal cannot be read")
}

/// Asks a question that only `yes` or `y` agrees to.
pub(super) fn agreed(question: &str) -> anyhow::Result<bool> {
    let answer = line(&format!("{question} [y/N] "))?;
    Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// The first line of standard input, for scripts.
pub(super) fn first_line() -> anyhow::Result<Secret> {
    let line = first_line_of_input()?;
    let line = line.trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        bail!("standard input is empty: its first line is what was asked for");
    }
    Ok(Secret::new(line.to_owned()))
}

/// Whether there is somebody to ask.
pub(super) fn is_terminal() -> bool {
    std::io::stdin().is_terminal()
}

fn require_terminal() -> anyhow::Result<()> {
    if !is_terminal() {
        bail!("there is no terminal to ask at: see `roadstead login --help` for what scripts can say");
    }
    Ok(())
}

fn first_line_of_input() -> anyhow::Result<String> {
    let mut line = String::new();
    let input = std::io::stdin().lock();
    BufReader::new(input.take(MAX_LINE)).read_line(&mut line).context("standard input cannot be read")?;
    Ok(line)
}

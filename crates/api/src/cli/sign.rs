//! `roadstead sign`: shows what a job says and has ssh-keygen sign it with the operator's own key.
//!
//! It needs no hub and no account: what is signed is the text that the hub showed, byte for byte, and what it means is
//! read from that text alone. ssh-keygen knows passphrases, agents and hardware keys; this program never sees a key.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use protocol::kinds::JobKind;
use protocol::limits::JobLimits;
use protocol::operator::{NAMESPACE, OpBody};

use super::{Failure, complain, say};
use crate::clock::Timestamp;
use crate::data_dir;

/// Longest text that is taken for a job.
const MAX_TEXT: u64 = 1 << 20;

/// What to sign, with which key.
#[derive(Debug, Args)]
pub(super) struct Sign {
    /// The key: a private key file, or a public one whose private half an ssh-agent holds
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Sign without asking; for those who have read it elsewhere
    #[arg(long)]
    yes: bool,
    /// The op_body of the job as the hub shows it, - for standard input
    #[arg(value_name = "OP_BODY")]
    file: PathBuf,
}

pub(super) fn sign(command: &Sign) -> Result<(), Failure> {
    let text = read(&command.file)?;
    let shown = render(&text)?;
    complain(format_args!("{shown}"));
    if !command.yes && !confirmed()? {
        return Err(anyhow!("nothing was signed").into());
    }
    let signature = ssh_keygen(&command.key, &text)?;
    say(signature.trim_end())
}

fn read(file: &Path) -> anyhow::Result<String> {
    let bytes = if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().take(MAX_TEXT).read_to_end(&mut bytes).context("standard input cannot be read")?;
        bytes
    } else {
        let read = data_dir::read(file, MAX_TEXT)?;
        read.ok_or_else(|| anyhow!("there is no file {}", file.display()))?
    };
    String::from_utf8(bytes).context("this is no job: a job is a JSON text")
}

/// What a job says, in words, with nothing in it that a terminal would obey.
fn render(text: &str) -> anyhow::Result<String> {
    let body: OpBody = serde_json::from_str(text)
        .context("this is no job: save op_body exactly as the hub shows it, without quotation marks around it")?;
    let kind = JobKind::parse(&body.kind, &body.args).map_err(|error| anyhow!("{}: {error}", plain(&body.kind)))?;
    let mut shown = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(shown, "{name:>10}  {}", plain(value));
    };
    line("job", &body.job_id.to_string());
    line("server", &body.server_id.to_string());
    line("kind", &body.kind);
    line("as user", &body.user);
    match &kind {
        JobKind::Exec(args) => {
            if let Some(command) = &args.command {
                line("command", command);
            }
            for (number, argument) in args.argv.iter().flatten().enumerate() {
                line(&format!("argv[{number}]"), argument);
            }
            if let Some(cwd) = &args.cwd {
                line("in", cwd);
            }
            for (name, value) in &args.env {
                line("with", &format!("{name}={value}"));
            }
            if let Some(stdin) = &args.stdin {
                line("stdin", stdin);
            }
        }
    }
    line("may take", &format!("{} s", body.timeout_s));
    if !body.limits.is_none() {
        line("limits", &limits(&body.limits));
    }
    line("until", &Timestamp::from_ms(body.expires_at_ms).to_string());
    Ok(shown)
}

fn limits(limits: &JobLimits) -> String {
    serde_json::to_string(limits).unwrap_or_default()
}

fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        // Direction marks could make a command look like another one.
        let misleads = matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if character.is_control() || misleads {
            plain.extend(character.escape_unicode());
        } else {
            plain.push(character);
        }
    }
    plain
}

/// Asks on the terminal: standard input may be the job.
fn confirmed() -> anyhow::Result<bool> {
    let terminal = File::options().read(true).write(true).open("/dev/tty");
    let mut terminal = terminal.context("there is no terminal to ask on; read the job and pass --yes")?;
    write!(terminal, "Sign this job? [y/N] ")?;
    let mut answer = String::new();
    BufReader::new(terminal.take(100)).read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "ssh-keygen knows the operator's keys, agents and hardware; the hub never does"
)]
fn ssh_keygen(key: &Path, text: &str) -> anyhow::Result<String> {
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "sign", "-n", NAMESPACE, "-f"])
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("ssh-keygen cannot be started; install OpenSSH")?;
    if let Some(mut stdin) = child.stdin.take() {
        // What it says of a broken pipe is better than what we could.
        let _ = stdin.write_all(text.as_bytes());
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("ssh-keygen did not sign; is {} a key that you can use?", key.display());
    }
    let signature = String::from_utf8(output.stdout).context("ssh-keygen wrote no text")?;
    if !signature.contains("BEGIN SSH SIGNATURE") {
        bail!("ssh-keygen wrote no signature");
    }
    Ok(signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_shown_as_what_it_is() {
        let text = r#"{"job_id":"019a1f2e-7c55-7d3a-9f10-2b3c4d5e6f70","server_id":"019a1f2e-7c55-7d3a-9f10-000000000002",
            "kind":"exec","args":{"command":"rm -rf /srv/old\u001b[2K\u202egnihton"},"user":"root","timeout_s":60,
            "limits":{"pids":5},"expires_at_ms":1763786400000}"#;
        let shown = render(text).unwrap();
        for part in ["rm -rf /srv/old", "\\u{1b}[2K", "\\u{202e}", "root", "60 s", "pids", "2025-11-22"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'));
        for bad in ["", "{}", "\"{}\"", "[]"] {
            assert!(render(bad).is_err(), "{bad}");
        }
        let unknown = text.replace("\"exec\"", "\"dance\"");
        assert!(render(&unknown).is_err(), "what is not understood is not signed");
    }
}

//! The `exec` kind: run a command line by `/bin/sh -c`, or an argument vector without any shell.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest command line, bytes. The kernel takes 128 KiB for one argument.
pub const MAX_COMMAND: usize = 64 << 10;
/// Most arguments of an argument vector.
pub const MAX_ARGV: usize = 1024;
/// Most environment variables.
pub const MAX_ENV: usize = 256;
/// Shortest secret, bytes: masking a shorter one would mask half of the log.
pub const MIN_SECRET: usize = 6;
/// Longest standard input, bytes.
pub const MAX_STDIN: usize = 64 << 10;
/// Argument vector and environment together, bytes.
pub const MAX_ARGS_TOTAL: usize = 96 << 10;

/// Arguments of `exec`. Exactly one of `command` and `argv` is given.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecArgs {
    /// A command line for `/bin/sh -c`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Program and arguments, no shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// Working directory, absolute; the user's home when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Added to a small clean environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// As `env`, but the values are secrets: the log shows `***` in their place.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_env: BTreeMap<String, String>,
    /// User to run as; root when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Written to standard input, which is closed afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
}

// Not derived: the values of secret variables must not get into a log line.
impl fmt::Debug for ExecArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, argv, cwd, env, secret_env, user, stdin } = self;
        f.debug_struct("ExecArgs")
            .field("command", command)
            .field("argv", argv)
            .field("cwd", cwd)
            .field("env", env)
            .field("secret_env", &secret_env.keys().collect::<Vec<_>>())
            .field("user", user)
            .field("stdin", stdin)
            .finish()
    }
}

/// A field with an unacceptable value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidField {
    /// Name of the field.
    pub field: &'static str,
    /// What is wrong, as the rest of a sentence: "must not be empty".
    pub problem: String,
}

impl ExecArgs {
    /// Checks every value; hub and agent apply the same rules.
    ///
    /// # Errors
    /// All fields that are not acceptable.
    pub fn check(&self) -> Result<(), Vec<InvalidField>> {
        let mut invalid = Vec::new();
        let mut reject = |field, problem: &str| invalid.push(InvalidField { field, problem: problem.to_owned() });

        match (&self.command, &self.argv) {
            (Some(_), Some(_)) => reject("command", "must not be given together with argv"),
            (None, None) => reject("command", "must be given, or argv"),
            (Some(command), None) if command.trim().is_empty() => reject("command", "must not be empty"),
            (Some(command), None) if command.len() > MAX_COMMAND => {
                reject("command", &format!("must not be longer than {MAX_COMMAND} bytes"));
            }
            (Some(command), None) if command.contains('\0') => reject("command", "must not contain a NUL character"),
            (None, Some(argv)) if argv.first().is_none_or(String::is_empty) => {
                reject("argv", "must start with the program to run");
            }
            (None, Some(argv)) if argv.len() > MAX_ARGV => {
                reject("argv", &format!("must not have more than {MAX_ARGV} entries"));
            }
            (None, Some(argv)) if argv.iter().any(|argument| argument.contains('\0')) => {
                reject("argv", "must not contain a NUL character");
            }
            _ => {}
        }
        if let Some(cwd) = &self.cwd
            && (!cwd.starts_with('/') || cwd.contains('\0') || cwd.len() > 4096)
        {
            reject("cwd", "must be an absolute path of at most 4096 bytes");
        }
        if self.env.len() > MAX_ENV {
            reject("env", &format!("must not have more than {MAX_ENV} variables"));
        }
        if self.env.iter().any(|(name, value)| !is_env_name(name) || value.contains('\0')) {
            reject("env", "must have names of letters, digits and underscores, and values without NUL");
        }
        if self.env.len() + self.secret_env.len() > MAX_ENV {
            reject("secret_env", &format!("and env together must not have more than {MAX_ENV} variables"));
        }
        if self.secret_env.iter().any(|(name, value)| !is_env_name(name) || value.contains('\0')) {
            reject("secret_env", "must have names of letters, digits and underscores, and values without NUL");
        }
        if self.secret_env.values().any(|value| value.trim().len() < MIN_SECRET) {
            reject(
                "secret_env",
                &format!("must have values of at least {MIN_SECRET} bytes: shorter ones cannot be masked"),
            );
        }
        if self.secret_env.keys().any(|name| self.env.contains_key(name)) {
            reject("secret_env", "must not name a variable that env names too");
        }
        let total = self.argv.iter().flatten().map(String::len).sum::<usize>()
            + self.env.iter().chain(&self.secret_env).map(|(name, value)| name.len() + value.len() + 2).sum::<usize>();
        if total > MAX_ARGS_TOTAL {
            reject("argv", &format!("and env together must not be longer than {MAX_ARGS_TOTAL} bytes"));
        }
        if let Some(user) = &self.user
            && !is_user_name(user)
        {
            reject("user", "must be a user name of this server");
        }
        if self.stdin.as_ref().is_some_and(|stdin| stdin.len() > MAX_STDIN) {
            reject("stdin", &format!("must not be longer than {MAX_STDIN} bytes"));
        }
        if invalid.is_empty() { Ok(()) } else { Err(invalid) }
    }
}

fn is_env_name(name: &str) -> bool {
    name.len() <= 256
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

/// What Debian's adduser calls a valid name, without its trailing `$`.
fn is_user_name(name: &str) -> bool {
    name.len() <= 32
        && name.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && name.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str) -> ExecArgs {
        ExecArgs { command: Some(text.to_owned()), ..ExecArgs::default() }
    }

    fn fields(args: &ExecArgs) -> Vec<&'static str> {
        args.check().err().unwrap_or_default().into_iter().map(|invalid| invalid.field).collect()
    }

    #[test]
    fn ordinary_commands_pass() {
        assert_eq!(fields(&command("echo hello")), Vec::<&str>::new());
        assert_eq!(fields(&command(&"x".repeat(MAX_COMMAND))), Vec::<&str>::new());
        let argv = ExecArgs { argv: Some(vec!["ls".into(), "".into()]), cwd: Some("/".into()), ..ExecArgs::default() };
        assert_eq!(fields(&argv), Vec::<&str>::new());
    }

    #[test]
    fn secrets_are_checked_and_not_printed() {
        let with = |name: &str, value: &str| ExecArgs {
            secret_env: [(name.to_owned(), value.to_owned())].into(),
            ..command("a")
        };
        assert_eq!(fields(&with("TOKEN", "s3cr3t-value")), Vec::<&str>::new());
        for (name, value) in [("TOKEN", " five5\n"), ("TOKEN", ""), ("A=B", "s3cr3t-value"), ("TOKEN", "s3cr3t\0value")]
        {
            assert!(fields(&with(name, value)).contains(&"secret_env"), "{name} {value:?}");
        }
        let twice = ExecArgs { env: [("TOKEN".into(), String::new())].into(), ..with("TOKEN", "s3cr3t-value") };
        assert_eq!(fields(&twice), ["secret_env"]);
        let printed = format!("{:?}", with("TOKEN", "s3cr3t-value"));
        assert!(printed.contains("TOKEN") && !printed.contains("s3cr3t"), "{printed}");
    }

    #[test]
    fn unacceptable_values_are_named() {
        assert_eq!(fields(&ExecArgs::default()), ["command"]);
        assert_eq!(fields(&command(" \n")), ["command"]);
        assert_eq!(fields(&command("a\0b")), ["command"]);
        assert_eq!(fields(&command(&"x".repeat(MAX_COMMAND + 1))), ["command"]);
        assert_eq!(fields(&ExecArgs { argv: Some(vec![]), ..ExecArgs::default() }), ["argv"]);
        assert_eq!(fields(&ExecArgs { argv: Some(vec!["a".into()]), ..command("b") }), ["command"]);
        assert_eq!(fields(&ExecArgs { cwd: Some("relative".into()), ..command("b") }), ["cwd"]);
        assert_eq!(fields(&ExecArgs { env: [("A=B".into(), String::new())].into(), ..command("b") }), ["env"]);
        assert_eq!(fields(&ExecArgs { user: Some("-root".into()), ..command("b") }), ["user"]);
        assert_eq!(fields(&ExecArgs { stdin: Some("x".repeat(MAX_STDIN + 1)), ..command("b") }), ["stdin"]);
    }
}

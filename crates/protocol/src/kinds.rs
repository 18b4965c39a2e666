//! Job kinds: their names, how powerful they are, and their typed arguments.

use serde_json::value::RawValue;

use crate::exec::{ExecArgs, InvalidField};
use crate::policy::Tier;

/// A job kind this build knows, with its arguments parsed and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobKind {
    /// Run a command line or an argument vector.
    Exec(ExecArgs),
}

/// Why a kind and its arguments were not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KindError {
    /// No such kind in this build.
    Unknown,
    /// The arguments are not the kind's JSON.
    Malformed(String),
    /// Well-formed arguments with unacceptable values.
    Invalid(Vec<InvalidField>),
}

impl std::fmt::Display for KindError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown job kind"),
            Self::Malformed(why) => write!(f, "arguments do not fit the kind: {why}"),
            Self::Invalid(fields) => {
                for (index, field) in fields.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "; " };
                    write!(f, "{separator}{} {}", field.field, field.problem)?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for KindError {}

impl JobKind {
    /// Names of all kinds.
    pub const NAMES: &[&str] = &["exec"];

    /// Parses and checks the arguments of the kind called `name`.
    ///
    /// # Errors
    /// [`KindError`]; nothing has been done yet.
    pub fn parse(name: &str, args: &RawValue) -> Result<Self, KindError> {
        match name {
            "exec" => {
                let args: ExecArgs =
                    serde_json::from_str(args.get()).map_err(|error| KindError::Malformed(error.to_string()))?;
                args.check().map_err(KindError::Invalid)?;
                Ok(Self::Exec(args))
            }
            _ => Err(KindError::Unknown),
        }
    }

    /// The kind's name on the wire.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Exec(_) => "exec",
        }
    }

    /// The user of the host that it runs as.
    #[must_use]
    pub fn user(&self) -> &str {
        match self {
            Self::Exec(args) => args.user.as_deref().unwrap_or("root"),
        }
    }

    /// How much power over the host it takes.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        match self {
            Self::Exec(_) => Tier::Root,
        }
    }
}

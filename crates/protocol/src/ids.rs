//! Identifiers: UUID v7 behind a type per kind, so that a job can never be taken for a server.

use std::fmt;

use uuid::Uuid;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdError;

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a UUID such as 019a1f2e-7c55-7d3a-9f10-2b3c4d5e6f70")
    }
}

impl std::error::Error for IdError {}

/// Makes an identifier of its own type: a UUID that is written one way only.
#[macro_export]
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(::uuid::Uuid);

        impl $name {
            /// Wraps a UUID that the caller made for this purpose.
            #[must_use]
            pub const fn new(uuid: ::uuid::Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID inside.
            #[must_use]
            pub const fn uuid(self) -> ::uuid::Uuid {
                self.0
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::ids::IdError;

            /// Accepts the hyphenated form only: ids become file names, and one id must have one name.
            fn from_str(text: &str) -> Result<Self, $crate::ids::IdError> {
                $crate::ids::parse(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::ids::IdError;

            fn try_from(text: String) -> Result<Self, $crate::ids::IdError> {
                text.parse()
            }
        }
    };
}

/// The UUID of an id's text, in its hyphenated form.
///
/// # Errors
/// When it is none.
pub fn parse(text: &str) -> Result<Uuid, IdError> {
    if text.len() != 36 {
        return Err(IdError);
    }
    Uuid::try_parse(text).map_err(|_| IdError)
}

id! {
    /// One VPS with an agent.
    ServerId
}
id! {
    /// One unit of remote work on one server.
    JobId
}
id! {
    /// One job on several servers, in waves.
    BatchId
}
id! {
    /// A public key that a person signs jobs with.
    OperatorKeyId
}
id! {
    /// The tenant that owns servers, jobs and people's roles.
    WorkspaceId
}
id! {
    /// A person who can sign in.
    UserId
}
id! {
    /// One message on the wire; replies name it in `ref`.
    MessageId
}
id! {
    /// Something an agent reported on its own; delivered until acknowledged, stored once.
    EventId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        let text = "019a1f2e-7c55-7d3a-9f10-2b3c4d5e6f70";
        assert_eq!(text.parse::<JobId>().map(|id| id.to_string()), Ok(text.to_owned()));
        for bad in
            ["", "019a1f2e7c557d3a9f102b3c4d5e6f70", "{019a1f2e-7c55-7d3a-9f10-2b3c4d5e6f70}", "../../etc/passwd"]
        {
            assert_eq!(bad.parse::<JobId>(), Err(IdError), "{bad}");
        }
    }
}

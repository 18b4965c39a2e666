//! Every message of the wire, one variant per `type`.

use serde_json::value::{RawValue, to_raw_value};

use crate::event::Event;
use crate::heartbeat::{Heartbeat, Watch};
use crate::job::{Ack, Cancel, Cmd, CmdAck, JobDone, Log};
use crate::request::{Request, Response};
use crate::session::{Bye, Hello, WireError};
use crate::signing::Signed;

macro_rules! messages {
    ($($(#[$doc:meta])* $variant:ident($payload:ty) = $kind:literal,)*) => {
        /// A typed payload together with its discriminator.
        #[derive(Debug, Clone, PartialEq)]
        #[expect(clippy::large_enum_variant, reason = "one message at a time, moved rarely")]
        pub enum Message {
            $($(#[$doc])* $variant($payload),)*
        }

        impl Message {
            /// Every `type` that this side knows.
            pub const KINDS: &[&str] = &[$($kind),*];

            /// The envelope's `type`.
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self { $(Self::$variant(_) => $kind,)* }
            }

            /// Reads the payload of a known type; `None` for an unknown one.
            pub(crate) fn from_payload(kind: &str, payload: &RawValue) -> Option<serde_json::Result<Self>> {
                match kind {
                    $($kind => Some(serde_json::from_str(payload.get()).map(Self::$variant)),)*
                    _ => None,
                }
            }

            pub(crate) fn to_payload(&self) -> serde_json::Result<Box<RawValue>> {
                match self { $(Self::$variant(payload) => to_raw_value(payload),)* }
            }
        }

        $(impl From<$payload> for Message {
            fn from(payload: $payload) -> Self {
                Self::$variant(payload)
            }
        })*
    };
}

/// The signed answer to `hello`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Welcome {
    /// A [`crate::session::WelcomeBody`].
    #[serde(flatten)]
    pub signed: Signed,
    /// Each a [`crate::session::KeyRotationBody`], oldest first: how the hub's key came to be the one that signs this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rotations: Vec<Signed>,
}

messages! {
    /// agent → hub: first frame of a connection.
    Hello(Hello) = "hello",
    /// hub → agent: the answer to `hello`, signed.
    Welcome(Welcome) = "welcome",
    /// agent → hub: a sample of the host's metrics.
    Heartbeat(Heartbeat) = "heartbeat",
    /// hub → agent: somebody is looking, sample faster for a while.
    Watch(Watch) = "watch",
    /// hub → agent: a signed job.
    Cmd(Cmd) = "cmd",
    /// agent → hub: the job was claimed, refused or is known already.
    CmdAck(CmdAck) = "cmd_ack",
    /// hub → agent: a signed order to end a job.
    Cancel(Cancel) = "cancel",
    /// agent → hub: a piece of a job's output.
    Log(Log) = "log",
    /// agent → hub: a job's end.
    JobDone(JobDone) = "job_done",
    /// agent → hub: something the agent reports on its own.
    Event(Event) = "event",
    /// hub → agent: stored durably, may be forgotten.
    Ack(Ack) = "ack",
    /// either way: do or tell something now.
    Request(Request) = "request",
    /// either way: the answer to a request.
    Response(Response) = "response",
    /// either way: the message named in `ref` was not taken.
    Error(WireError) = "error",
    /// either way: the connection is about to be closed on purpose.
    Bye(Bye) = "bye",
}

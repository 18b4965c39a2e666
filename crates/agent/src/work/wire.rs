//! What relay and worker say to each other: one JSON object per line, both ways, over the worker's fd 0 or the job's
//! control socket.
//!
//! ```text
//! relay → worker  {"v":1,"op":{"job":{"cmd":{…},"welcome":{…}}}}   first line on fd 0: run this
//!                 {"v":1,"op":{"cancel":{…}}}                      any later line, and every line on a control socket
//!                 {"v":1,"op":{"cancel_here":{"by":"ann"}}}        the same, from root or the worker's own user only
//!                 {"v":1,"op":"describe"}                          first line on fd 0: say what this host allows, end
//!                 {"v":1,"op":{"welcome":{…}}}                     the same, and take note of the hub's time
//!                 {"v":1,"op":{"restrict":{…}}}                    the same, and take over restrictions that the hub signed
//!                 {"v":1,"op":{"rotate":[{…}]}}                    the same, and pin the key at the end of the hub's chain
//!                 {"v":1,"op":"sweep"}                             first line on fd 0: tidy up after dead workers, end
//! worker → relay  {"ack":{…}}         the answer to a job; after `rejected` and `already` the worker ends
//!                 {"spooled":n}       the spool holds n bytes of log; at most one per 20 ms
//!                 {"done":{…}}        the job has ended; its whole log is in the spool
//!                 {"described":{…}}   {"swept":{…}}
//!                 {"refused":{…}}     a line was not taken; nothing happened
//! ```
//!
//! An update leaves old workers beside a new relay, and a new worker may meet a relay that is about to be replaced:
//! fields are only ever added, and what cannot be said that way gets the next `v`. A worker answers an unknown `v` with
//! `refused`; a relay passes over notes that it does not know.
//!
//! Nothing the relay says is believed: orders are signed by the hub, the rest cannot do harm. `cancel_here` is not the
//! relay's to say: `roadstead-agent cancel` does, and the worker looks at the user at the other end.

use protocol::job::{Cancel, Cmd, CmdAck, JobDone, Rejected};
use protocol::policy::PolicySummary;
use protocol::{JobId, Signed};
use serde::{Deserialize, Serialize};

/// The version that this build speaks.
pub const VERSION: u16 = 1;
/// Longest first line: a `cmd` and a `welcome`, each of which was one text frame.
pub const MAX_REQUEST: usize = 2 * protocol::MAX_TEXT_FRAME + 1024;
/// Longest line on a control socket.
pub const MAX_CONTROL_REQUEST: usize = 16 << 10;
/// Longest answer; the typed result of a job is the largest part.
pub const MAX_NOTE: usize = protocol::MAX_TEXT_FRAME;

/// relay → worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// [`VERSION`] of the sender.
    pub v: u16,
    /// What to do.
    pub op: Op,
}

/// What a worker can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Verify, claim and run.
    Job(Box<JobOrder>),
    /// End the job.
    Cancel(Cancel),
    /// End the job, at the word of somebody on this very server. Nobody signs it: the kernel says who is at the other end.
    CancelHere(CancelHere),
    /// Say what this host allows.
    Describe,
    /// Take note of the hub's time in a signed welcome, then as `Describe`.
    Welcome(Signed),
    /// Put the hub's restrictions into force, then as `Describe`.
    Restrict(Signed),
    /// Follow the hub's key to its successor, oldest rotation first, then as `Describe`.
    Rotate(Vec<Signed>),
    /// End what dead workers left behind, and purge what has expired.
    Sweep,
}

/// A signed job and, where no worker was told the hub's time yet, the signed welcome of the session it came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobOrder {
    /// As it came from the hub.
    pub cmd: Cmd,
    /// As it came from the hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub welcome: Option<Signed>,
}

/// Who wants a job to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelHere {
    /// The person's name, for the record; empty: the user's.
    #[serde(default)]
    pub by: String,
}

impl Request {
    /// The line, with its line feed.
    ///
    /// # Errors
    /// When the value cannot be written as JSON, which no value of these types causes.
    pub fn to_line(&self) -> serde_json::Result<Vec<u8>> {
        line(self)
    }
}

/// worker → relay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// The answer to a job.
    Ack(CmdAck),
    /// Bytes of log that can be read from the spool now.
    Spooled(u64),
    /// The job has ended.
    Done(JobDone),
    /// The answer to `describe`.
    Described(Box<Description>),
    /// The answer to `sweep`.
    Swept(Swept),
    /// A line was not taken.
    Refused(Rejected),
}

impl Note {
    /// The line, with its line feed.
    ///
    /// # Errors
    /// When the value cannot be written as JSON, which no value of these types causes.
    pub fn to_line(&self) -> serde_json::Result<Vec<u8>> {
        line(self)
    }
}

/// What a worker says of itself and its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Version of the worker's binary.
    pub version: String,
    /// The host's policy, read by the one who decides by it.
    pub policy: PolicySummary,
    /// The boot that jobs are claimed in. A sandbox may show the relay another one: in a container its own /proc is that
    /// of the machine around it.
    pub boot_id: String,
}

/// What a sweep found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// Jobs whose worker was killed and whose processes this sweep ended.
    #[serde(default)]
    pub ended: Vec<JobId>,
    /// Claims forgotten because their orders have expired by every clock.
    #[serde(default)]
    pub purged: u32,
}

fn line(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_documented() {
        let request = Request { v: VERSION, op: Op::Describe };
        assert_eq!(request.to_line().unwrap(), b"{\"v\":1,\"op\":\"describe\"}\n");
        assert_eq!(Note::Spooled(7).to_line().unwrap(), b"{\"spooled\":7}\n");
        let text = r#"{"v":1,"op":{"cancel":{"body":"{}","key_id":"0000000000000000","sig":"SIG"}}}"#
            .replace("SIG", &"00".repeat(64));
        let request: Request = serde_json::from_str(&text).unwrap();
        assert!(matches!(request.op, Op::Cancel(_)));
        let request = Request { v: VERSION, op: Op::CancelHere(CancelHere { by: "ann".to_owned() }) };
        assert_eq!(request.to_line().unwrap(), b"{\"v\":1,\"op\":{\"cancel_here\":{\"by\":\"ann\"}}}\n");
    }
}

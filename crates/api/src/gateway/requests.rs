//! What the hub asks of a connected agent, and the answers that are still due.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use protocol::request::{Request, RequestError, Response};
use protocol::{Message, MessageId};
use serde_json::Value;
use tokio::sync::oneshot;

use super::link::AgentLink;

/// Requests that may wait for one agent's answer.
const MAX_PENDING: usize = 16;

/// Why a request was not carried out, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestFailed {
    /// It is not connected, or the connection ended before the answer.
    #[error("the server's agent is not connected")]
    Gone,
    /// No answer in time; it may have been carried out.
    #[error("the server's agent did not answer in time")]
    NoAnswer,
    /// Too many requests wait for this agent already.
    #[error("too many requests wait for the server's agent already")]
    Busy,
    /// It said no, and nothing has changed.
    #[error("the server's agent refused: {}", .0.message)]
    Refused(RequestError),
}

/// Answers that are due.
#[derive(Debug, Default)]
pub(super) struct Pending(Mutex<HashMap<MessageId, oneshot::Sender<Response>>>);

impl Pending {
    fn expect(&self, id: MessageId, answer: oneshot::Sender<Response>) -> bool {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.len() >= MAX_PENDING {
            return false;
        }
        pending.insert(id, answer);
        true
    }

    fn forget(&self, id: MessageId) -> Option<oneshot::Sender<Response>> {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = pending.remove(&id);
        if pending.is_empty() {
            // An idle connection keeps no room for what is asked once a month.
            pending.shrink_to_fit();
        }
        answer
    }

    /// Nobody will answer any more.
    pub(super) fn abandon(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Takes a request back when nobody waits for its answer any more.
struct Waiting<'l> {
    link: &'l AgentLink,
    id: MessageId,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.link.pending().forget(self.id);
    }
}

impl AgentLink {
    /// Asks the agent for something and waits for its answer.
    ///
    /// # Errors
    /// [`RequestFailed`].
    pub async fn request(&self, method: &str, params: Value, patience: Duration) -> Result<Value, RequestFailed> {
        let (sender, answer) = oneshot::channel();
        let deadline_ms = self.now().plus(patience).as_ms();
        let request = Request { method: method.to_owned(), params, deadline_ms };
        let id = self.new_message_id();
        if !self.pending().expect(id, sender) {
            return Err(RequestFailed::Busy);
        }
        let _waiting = Waiting { link: self, id };
        self.send_as(id, &Message::Request(request), None).map_err(|_| RequestFailed::Gone)?;
        tokio::select! {
            answer = answer => match answer {
                Ok(Response { ok: true, result, .. }) => Ok(result.unwrap_or(Value::Null)),
                Ok(Response { error, .. }) => {
                    let unsaid = || RequestError { code: "unknown".to_owned(), message: "it did not say why".to_owned() };
                    Err(RequestFailed::Refused(error.unwrap_or_else(unsaid)))
                }
                Err(_) => Err(RequestFailed::Gone),
            },
            () = tokio::time::sleep(patience) => Err(RequestFailed::NoAnswer),
        }
    }

    /// An answer arrived; `false` when nobody waits for it.
    pub(super) fn answer(&self, id: MessageId, response: Response) -> bool {
        self.pending().forget(id).is_some_and(|waiting| waiting.send(response).is_ok())
    }
}

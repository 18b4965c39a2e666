//! What the hub asks for within a session: a renewed licence, a new credential, its own restrictions.
//!
//! Restrictions are a worker's to take over, so the answer comes later; what was heard by then outlives the connection,
//! because a forged one must be reported even when whoever sent it has hung up.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::job::{RejectCode, Rejected};
use protocol::request::{LICENSE_SET, POLICY_RESTRICT, Request, Response, TOKEN_ROTATE, TokenRotate};
use protocol::{Message, MessageId, Signed};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

use crate::events::Report;
use crate::handover::{HandoverError, Workers};
use crate::host::tasks::Tasks;
use crate::identity::is_agent_token;
use crate::license::{self, LicenseError};
use crate::link::session::Session;
use crate::relay::Relay;
use crate::work::wire::Description;

/// Requests that wait for a worker. A hub has one change of its restrictions at a time.
const MAX_WAITING: usize = 4;

/// Requests on their way through a worker.
#[derive(Debug)]
pub struct Requests {
    workers: Workers,
    tasks: Tasks,
    board: Arc<Board>,
}

#[derive(Debug, Default)]
struct Board {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: usize,
    answers: VecDeque<Restricted>,
}

/// What a worker made of the hub's restrictions.
#[derive(Debug)]
pub struct Restricted {
    session: u64,
    reference: MessageId,
    answer: Result<Result<Description, Rejected>, HandoverError>,
}

impl Requests {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(workers: Workers) -> Self {
        Self { workers, tasks: Tasks::default(), board: Arc::default() }
    }

    /// Hands restrictions to a worker in the background; `false` when too many wait already.
    fn restrict(&mut self, session: u64, reference: MessageId, order: Signed) -> bool {
        {
            let mut state = self.board.lock();
            if state.waiting >= MAX_WAITING {
                return false;
            }
            state.waiting += 1;
        }
        let (board, workers) = (Arc::clone(&self.board), self.workers.clone());
        self.tasks.spawn(async move {
            let answer = workers.restrict(order).await;
            {
                let mut state = board.lock();
                state.waiting -= 1;
                state.answers.push_back(Restricted { session, reference, answer });
            }
            board.changed.notify_one();
        });
        true
    }

    /// Takes what workers have said.
    fn take(&self) -> VecDeque<Restricted> {
        std::mem::take(&mut self.board.lock().answers)
    }

    /// Waits until a worker has said something.
    pub async fn changed(&self) {
        self.board.changed.notified().await;
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    pub(super) fn take_request(&mut self, request: Request, id: MessageId, relay: &mut Relay) {
        if let Some(response) = self.carry_out(request, id, relay) {
            self.answer_if_room(Message::Response(response), id);
        }
    }

    /// `None`: the answer comes later.
    fn carry_out(&mut self, request: Request, id: MessageId, relay: &mut Relay) -> Option<Response> {
        let Request { method, params, deadline_ms } = request;
        if self.hub_now_ms() >= deadline_ms {
            return Some(Response::refused("deadline", "the request came after its deadline; nothing was done"));
        }
        let done = match method.as_str() {
            LICENSE_SET => params_of(params).and_then(|license| set_license(&license, relay)),
            TOKEN_ROTATE => params_of(params).and_then(|rotate| self.rotate_token(rotate, relay)),
            POLICY_RESTRICT => match params_of(params) {
                Ok(order) => {
                    if relay.requests.restrict(self.number, id, order) {
                        return None;
                    }
                    Err(Response::refused("busy", "too many changes wait for a worker; ask again"))
                }
                Err(response) => Err(response),
            },
            _ => Err(Response::refused("unknown_method", format!("this agent does not know {:?}", short(&method)))),
        };
        Some(done.map_or_else(|refused| refused, |()| Response::done()))
    }

    /// From the next connection on the hub is shown the new credential first. The old one stays until it is taken.
    fn rotate_token(&mut self, rotate: TokenRotate, relay: &mut Relay) -> Result<(), Response> {
        if !is_agent_token(&rotate.token) {
            return Err(Response::refused("bad_params", "that is no agent token"));
        }
        let newer = relay.identity.with_next(rotate.token);
        relay.identity.replace(newer, &relay.paths).map_err(|error| {
            log::error!("the new credential cannot be kept: {error}");
            Response::refused("unavailable", format!("the new credential cannot be kept: {error}"))
        })?;
        relay.refused_tokens = 0;
        self.renew();
        Ok(())
    }

    /// Tells the hub what workers made of its restrictions.
    pub(super) fn take_restricted(&mut self, relay: &mut Relay) {
        for Restricted { session, reference, answer } in relay.requests.take() {
            let response = match answer {
                Ok(Ok(description)) => match serde_json::to_value(description.policy) {
                    Ok(policy) => Response::with(policy),
                    Err(error) => Response::refused("unavailable", error.to_string()),
                },
                Ok(Err(rejected)) => refusal(&rejected, relay),
                Err(error @ HandoverError::Unreachable(_)) => Response::refused("unavailable", error.to_string()),
                Err(error) => {
                    // It may have been taken over all the same: the next hello says what is in force.
                    log::warn!("restrictions of the hub: {error}");
                    continue;
                }
            };
            if session == self.number {
                self.answer_if_room(Message::Response(response), reference);
            }
        }
    }
}

fn set_license(license: &Signed, relay: &mut Relay) -> Result<(), Response> {
    match license::keep(&relay.paths, &relay.trust, license) {
        Ok(_) => Ok(()),
        Err(LicenseError::Forged(why)) => {
            relay.events.report(Report::bad_license(why));
            Err(Response::refused("bad_signature", why))
        }
        Err(error @ LicenseError::Store(_)) => Err(Response::refused("unavailable", error.to_string())),
    }
}

fn refusal(rejected: &Rejected, relay: &mut Relay) -> Response {
    let code = match rejected.code {
        RejectCode::BadSignature => "bad_signature",
        RejectCode::WrongServer => "wrong_server",
        RejectCode::Expired => "old_seq",
        RejectCode::BadArguments => "bad_params",
        _ => "unavailable",
    };
    if code != "unavailable" {
        relay.events.report(Report::bad_restriction(code, &rejected.message));
    }
    Response::refused(code, rejected.message.clone())
}

fn params_of<T: DeserializeOwned>(params: Value) -> Result<T, Response> {
    serde_json::from_value(params).map_err(|error| Response::refused("bad_params", error.to_string()))
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

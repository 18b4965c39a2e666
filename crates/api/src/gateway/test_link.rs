//! An agent's connection without a socket, for tests of the slices that agents talk to.

use futures_util::FutureExt as _;
use protocol::{Envelope, Message};

use super::link::{AgentLink, Outbox};
use crate::access::RequestOrigin;
use crate::hub::Hub;
use crate::servers::AgentIdentity;

/// A link together with what would go over it.
#[derive(Debug)]
pub(crate) struct TestLink {
    /// What slices get.
    pub(crate) link: AgentLink,
    outbox: Outbox,
}

impl TestLink {
    /// A new connection of a server.
    pub(crate) fn new(hub: &Hub, identity: AgentIdentity) -> Self {
        let connection = hub.gateway.next_connection();
        let (link, outbox) = AgentLink::new(hub, identity, RequestOrigin::default(), connection);
        Self { link, outbox }
    }

    /// Waits for the next message to the agent.
    pub(crate) async fn next(&mut self) -> Message {
        self.take().await.expect("a link that is open")
    }

    async fn take(&mut self) -> Option<Message> {
        let text = self.outbox.next(&self.link).await?.to_text(None).unwrap();
        Some(Envelope::decode(&text).unwrap().message().unwrap())
    }

    /// The next message to the agent, if there is one already.
    pub(crate) fn try_next(&mut self) -> Option<Message> {
        self.take().now_or_never().flatten()
    }

    /// The connection breaks: nothing more gets through.
    pub(crate) fn cut(&self) {
        self.link.end();
    }

    /// Whether the agent is going to be told to connect anew, because something could not be taken.
    pub(crate) fn starts_over(&self) -> bool {
        self.link.starts_over()
    }
}

//! The attacker has the hub's place on the network, and the relay is an honest one.

use protocol::event::{
    SECURITY_BAD_LICENSE, SECURITY_BAD_MAC, SECURITY_BAD_RESTRICTION, SECURITY_BAD_WELCOME, SECURITY_REJECTED_COMMAND,
};
use protocol::heartbeat::Watch;
use protocol::job::{Ack, CmdBody};
use protocol::policy::Rules;
use protocol::request::{LICENSE_SET, POLICY_RESTRICT, Request};
use protocol::session::WelcomeBody;
use protocol::{Hex, Message, Signed};

use crate::Scene;
use crate::scripted::{Agent, Hub, Peer};
use crate::support::{HubKey, new_id, now_ms, signed_cmd};

/// An honest relay, and an attacker who has the hub's place on the network but not its key.
struct Line {
    scene: Scene,
    hub: Hub,
    agent: Agent,
}

impl Line {
    async fn open() -> Self {
        let scene = Scene::new();
        let hub = Hub::start(scene.host.server_id).await;
        hub.enrol(&scene.host.paths);
        let agent = Agent::run(&scene.host.paths);
        Self { scene, hub, agent }
    }

    /// The event that the attack left, told to the true hub.
    async fn is_reported(&self, peer: Option<Peer>, name: &str, kind: &str) {
        let mut peer = match peer {
            Some(peer) => peer,
            None => self.hub.session(&[]).await,
        };
        let found = peer
            .expect(|_, message| match message {
                Message::Event(event) if event.kind == kind => Some(event),
                _ => None,
            })
            .await;
        assert!(found.kind.starts_with("security."), "{name}");
        self.scene.assert_nothing_ran(name);
        assert!(self.agent.pid() > 0);
    }
}

#[tokio::test]
async fn nobody_in_the_hubs_place_is_taken_for_the_hub() {
    type Attack = fn(&Line, &mut Peer) -> (HubKey, WelcomeBody, Vec<Signed>);
    let attacks: [(&str, Attack); 5] = [
        ("a stranger's key", |line, peer| (HubKey::new(8), peer.welcome_body(line.scene.host.server_id), vec![])),
        ("a stranger with a chain of keys", |line, peer| {
            let stranger = HubKey::new(8);
            let chain = vec![HubKey::new(9).rotate(&stranger), stranger.rotate(&stranger)];
            (stranger, peer.welcome_body(line.scene.host.server_id), chain)
        }),
        ("the hub's welcome to another server", |_, peer| {
            (HubKey::new(7), peer.welcome_body(new_id().parse().unwrap()), vec![])
        }),
        ("the hub's welcome to an older hello", |line, peer| {
            let mut body = peer.welcome_body(line.scene.host.server_id);
            body.nonce = Hex([5; 32]);
            (HubKey::new(7), body, vec![])
        }),
        ("the hub's welcome to another key agreement", |line, peer| {
            let mut body = peer.welcome_body(line.scene.host.server_id);
            body.agent_ephemeral_key = Hex([5; 32]);
            (HubKey::new(7), body, vec![])
        }),
    ];
    for (name, attack) in attacks {
        // Its own agent each, which tries again within a second.
        let line = Line::open().await;
        let mut peer = line.hub.hello().await;
        let (key, body, chain) = attack(&line, &mut peer);
        peer.welcome_with(&key, body, chain).await;
        assert_eq!(peer.until_closed().await.0, [], "{name}: he learns nothing");
        let mut peer = line.hub.session(&[]).await;
        let found =
            peer.expect(|_, message| if let Message::Event(event) = message { Some(event) } else { None }).await;
        assert_eq!(found.kind, SECURITY_BAD_WELCOME, "{name}");
        peer.send(Ack::Event { event_id: found.event_id }).await;
        peer.round_trip().await;
        line.scene.assert_nothing_ran(name);
    }
}

#[tokio::test]
async fn no_frame_is_taken_that_the_hub_did_not_send_here_and_now() {
    for (name, forge) in [
        ("a frame of an earlier session", 0),
        ("a frame without a mac", 1),
        ("a frame with a mac of zeros", 2),
        ("a frame that came before", 3),
        ("a binary frame with a bad tag", 4),
        ("another type under the same mac", 5),
    ] {
        let line = Line::open().await;
        let mut peer = line.hub.session(&[]).await;
        let order = peer.sealed(line.scene.order());
        let without = |key: &str| {
            let mut frame: serde_json::Value = serde_json::from_str(&order).unwrap();
            frame.as_object_mut().unwrap().remove(key);
            frame
        };
        let mut peer = if forge == 0 {
            drop(peer);
            line.hub.session(&[]).await
        } else {
            peer
        };
        match forge {
            1 => peer.text(without("mac").to_string()).await,
            2 => {
                let mut frame = without("mac");
                frame["mac"] = "00".repeat(32).into();
                peer.text(frame.to_string()).await;
            }
            3 => {
                // What the counter has passed: another frame was sent with it.
                let watch = Watch { interval_ms: 500, ttl_s: 1 };
                drop(peer);
                peer = line.hub.session(&[]).await;
                let first = peer.sealed(watch);
                peer.text(first.clone()).await;
                peer.text(first).await;
            }
            4 => peer.binary(vec![7; 64]).await,
            5 => peer.text(order.replacen("\"type\":\"cmd\"", "\"type\":\"cancel\"", 1)).await,
            _ => peer.text(order).await,
        }
        let (_, closed) = peer.until_closed().await;
        assert_eq!(closed, Some(1008), "{name}");
        line.is_reported(None, name, SECURITY_BAD_MAC).await;
    }
}

fn request(method: &str, params: &Signed) -> Message {
    let params = serde_json::to_value(params).unwrap_or_default();
    let request = Request { method: method.to_owned(), params, deadline_ms: i64::MAX };
    Message::Request(request)
}

#[tokio::test]
async fn what_the_hub_did_not_sign_is_reported_even_over_its_own_connection() {
    type Attack = fn(&Line) -> Message;
    let attacks: [(&str, Attack, &str); 6] = [
        (
            "a stranger's order",
            |line| Message::Cmd(signed_cmd(&line.scene.stranger, &line.scene.body)),
            SECURITY_REJECTED_COMMAND,
        ),
        (
            "another server's order",
            |line| {
                let server_id = new_id().parse().unwrap();
                Message::Cmd(line.scene.host.cmd(&CmdBody { server_id, ..line.scene.body.clone() }))
            },
            SECURITY_REJECTED_COMMAND,
        ),
        (
            "an order that has expired",
            |line| {
                let expires_at_ms = now_ms() - 60_000;
                Message::Cmd(line.scene.host.cmd(&CmdBody { expires_at_ms, ..line.scene.body.clone() }))
            },
            SECURITY_REJECTED_COMMAND,
        ),
        (
            "a licence for another server",
            |line| request(LICENSE_SET, &line.hub.license(new_id().parse().unwrap())),
            SECURITY_BAD_LICENSE,
        ),
        (
            "a stranger's restrictions",
            |line| {
                request(POLICY_RESTRICT, &line.scene.stranger.restrict(line.scene.host.server_id, 3, Rules::default()))
            },
            SECURITY_BAD_RESTRICTION,
        ),
        (
            "another server's restrictions",
            |line| {
                request(POLICY_RESTRICT, &line.scene.host.hub.restrict(new_id().parse().unwrap(), 3, Rules::default()))
            },
            SECURITY_BAD_RESTRICTION,
        ),
    ];
    for (name, attack, kind) in attacks {
        let line = Line::open().await;
        let mut peer = line.hub.session(&[]).await;
        peer.send(attack(&line)).await;
        line.is_reported(Some(peer), name, kind).await;
    }
    // A signature that an operator's host asks for and does not get is reported too.
    let line = Line::open().await;
    line.scene
        .host
        .policy(&format!("require_operator_signature = [\"root\"]\noperators = [{:?}]\n", line.scene.ada.line()));
    let mut peer = line.hub.session(&[]).await;
    peer.send(line.scene.order()).await;
    line.is_reported(Some(peer), "an order without an operator's signature", SECURITY_REJECTED_COMMAND).await;
}

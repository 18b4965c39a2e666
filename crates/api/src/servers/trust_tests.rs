//! What the hub forbids itself, and agent tokens that are replaced: with an agent that answers what the test says.

use std::time::Duration;

use protocol::policy::{PolicySummary, RestrictBody, Rules, Tier};
use protocol::request::{POLICY_RESTRICT, Request, Response, TOKEN_ROTATE, TokenRotate};
use protocol::session::Hello;
use protocol::{Message, MessageId, ServerId, Signed, signing};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};

use super::token;
use crate::gateway::scripted::{self, Enrolled, RawSocket, Refused, ScriptedAgent, enroll, listen};
use crate::hub::App;
use crate::testing::{Client, TestHub};

struct World {
    test: TestHub,
    owner: Client,
    server: Enrolled,
}

impl World {
    async fn each_engine() -> Vec<Self> {
        let mut worlds = Vec::new();
        for test in TestHub::each_engine().await {
            let owner = test.owner().await;
            let session = owner.get("/v1/auth/session").await.json();
            let workspace_id = session["workspaces"][0]["id"].as_str().unwrap().parse().unwrap();
            let server = enroll(&test.hub, workspace_id, "web").await;
            worlds.push(Self { test, owner, server });
        }
        worlds
    }

    fn hub(&self) -> &App {
        &self.test.hub
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/servers/{}{rest}", self.server.server_id)
    }

    async fn shown(&self) -> Value {
        self.owner.get(&self.path("")).await.json()
    }

    async fn until(&self, what: impl Fn(&Value) -> bool) -> Value {
        loop {
            let server = self.shown().await;
            if what(&server) {
                return server;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn connect(&self, server: &Enrolled) -> ScriptedAgent {
        ScriptedAgent::connect(self.hub(), listen(self.hub()).await, server).await
    }
}

async fn request(agent: &mut ScriptedAgent) -> (MessageId, Request) {
    agent
        .expect(|received| match &received.message {
            Message::Request(request) => Some((received.id, request.clone())),
            _ => None,
        })
        .await
}

/// Checks the signature as a host does.
fn restrictions(hub: &App, request: &Request, server_id: ServerId) -> RestrictBody {
    assert_eq!(request.method, POLICY_RESTRICT);
    let signed: Signed = serde_json::from_value(request.params.clone()).unwrap();
    let key = hub.keys.public();
    UnparsedPublicKey::new(&ED25519, key.as_bytes())
        .verify(&signing::signed_bytes(signing::RESTRICT, &signed.body), signed.sig.as_bytes())
        .unwrap();
    let body: RestrictBody = serde_json::from_str(&signed.body).unwrap();
    assert_eq!(body.server_id, server_id);
    body
}

fn summary(body: &RestrictBody) -> PolicySummary {
    PolicySummary {
        tiers: body.rules.tiers.clone().unwrap_or_else(|| Tier::ALL.to_vec()),
        hub: Some(body.rules.clone()),
        hub_seq: body.seq,
        ..PolicySummary::open()
    }
}

#[tokio::test]
async fn restrictions_are_in_force_once_the_host_says_so() {
    for world in World::each_engine().await {
        let restrict = async |rules: Value| world.owner.put(&world.path("/restrictions"), rules).await;
        let wanted = restrict(json!({ "tiers": ["read"], "users": ["www-data"] })).await;
        assert_eq!(wanted.status, 200, "{}", wanted.text());
        assert_eq!(wanted.json()["restrictions"]["in_force"], false, "nobody was there to be told");

        let mut agent = world.connect(&world.server).await;
        let (id, asked) = request(&mut agent).await;
        let body = restrictions(world.hub(), &asked, world.server.server_id);
        assert_eq!((body.seq, body.rules.tiers.as_deref()), (1, Some([Tier::Read].as_slice())));
        agent.answer(Response::with(serde_json::to_value(summary(&body)).unwrap()), Some(id)).await;
        let server = world.until(|server| server["restrictions"]["in_force"] == true).await;
        assert_eq!(server["policy"]["hub"], json!({ "tiers": ["read"], "users": ["www-data"] }));

        // Lifted on the live connection; a host that refuses changes nothing here.
        restrict(json!({})).await;
        let (id, asked) = request(&mut agent).await;
        assert_eq!(restrictions(world.hub(), &asked, world.server.server_id).seq, 2);
        agent.answer(Response::refused("bad_signature", "no"), Some(id)).await;
        agent.settle().await;
        let server = world.shown().await;
        assert_eq!(server["restrictions"], json!({ "rules": {}, "seq": 2, "in_force": false }));
        let audit = world.owner.get("/v1/audit?action=server.restrict").await.json();
        assert_eq!(audit["data"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_hub_restored_from_a_backup_counts_on_from_what_the_host_has() {
    for world in World::each_engine().await {
        let policy = PolicySummary { hub: Some(Rules::default()), hub_seq: 7, ..PolicySummary::open() };
        let hello = Hello { policy, ..scripted::hello() };
        let address = listen(world.hub()).await;
        let mut agent = ScriptedAgent::connect_with(world.hub(), address, &world.server, hello).await;
        world.owner.put(&world.path("/restrictions"), json!({ "tiers": [] })).await;
        let (_, asked) = request(&mut agent).await;
        assert_eq!(restrictions(world.hub(), &asked, world.server.server_id).seq, 8, "the host would refuse less");
    }
}

#[tokio::test]
async fn restrictions_that_cannot_be_meant_are_named() {
    for world in World::each_engine().await {
        for (rules, field) in [
            (json!({ "tiers": ["rot"] }), "tiers"),
            (json!({ "tier": [] }), "tier"),
            (json!({ "paths": ["srv"] }), "paths"),
            (json!({ "paths": ["/srv/../etc"] }), "paths"),
            (json!({ "users": [""] }), "users"),
            (json!({ "kinds": ["a\nb"] }), "kinds"),
        ] {
            let answer = world.owner.put(&world.path("/restrictions"), rules.clone()).await;
            assert_eq!(answer.status, 422, "{rules}: {}", answer.text());
            assert!(answer.text().contains(field), "{rules}: {}", answer.text());
        }
        assert_eq!(world.shown().await["restrictions"], Value::Null, "nothing has changed");
    }
}

#[tokio::test]
async fn the_old_token_dies_when_the_new_one_has_connected_and_not_before() {
    for world in World::each_engine().await {
        let rotate = async || world.owner.post(&world.path("/rotate-token"), json!({})).await;
        let away = rotate().await;
        assert_eq!((away.status.as_u16(), away.json()["error"]["code"].as_str()), (409, Some("server_offline")));

        let mut agent = world.connect(&world.server).await;
        let issued_at = world.shown().await["token"]["issued_at"].clone();
        world.test.clock.advance(Duration::from_secs(5));
        let answer = rotate().await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        assert!(answer.json()["token"]["rotation"]["started_at"].is_string());
        let (id, asked) = request(&mut agent).await;
        assert_eq!(asked.method, TOKEN_ROTATE);
        let TokenRotate { token } = serde_json::from_value(asked.params).unwrap();
        assert!(!answer.text().contains(token.reveal()), "nobody else is told");
        agent.answer(Response::done(), Some(id)).await;

        // Said, but not shown: both are good.
        let again = world.connect(&world.server).await;
        assert!(world.shown().await["token"]["rotation"].is_object());
        again.leave().await;
        let renewed = Enrolled { server_id: world.server.server_id, token };
        let _agent = world.connect(&renewed).await;
        let server = world.shown().await;
        assert_eq!(server["token"]["rotation"], Value::Null);
        assert_ne!(server["token"]["issued_at"], issued_at);
        let address = listen(world.hub()).await;
        let old = RawSocket::connect(world.hub(), address, Some(world.server.token.reveal())).await;
        assert_eq!(old.err(), Some(Refused::Status(401)));
        let audit = world.owner.get("/v1/audit?action=server.token_rotated").await.json();
        assert_eq!(audit["data"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_token_is_replaced_every_thirty_days_and_again_when_that_was_lost() {
    for world in World::each_engine().await {
        let mut agent = world.connect(&world.server).await;
        super::sweep(world.hub()).await.unwrap();
        world.test.clock.advance(Duration::from_secs(30 * 24 * 3600 - 60));
        token::replace_old(world.hub()).await.unwrap();
        assert_eq!(world.shown().await["token"]["rotation"], Value::Null);
        world.test.clock.advance(Duration::from_secs(120));
        token::replace_old(world.hub()).await.unwrap();
        token::replace_old(world.hub()).await.unwrap();
        let (_, first) = request(&mut agent).await;
        // No answer; an hour later another token is sent, and the one before is dead.
        world.test.clock.advance(Duration::from_secs(3700));
        token::replace_old(world.hub()).await.unwrap();
        let (_, second) = request(&mut agent).await;
        assert_ne!(first.params, second.params);
        let TokenRotate { token } = serde_json::from_value(first.params).unwrap();
        let address = listen(world.hub()).await;
        let lost = RawSocket::connect(world.hub(), address, Some(token.reveal())).await;
        assert_eq!(lost.err(), Some(Refused::Status(401)));
    }
}

#[tokio::test]
async fn revoking_ends_a_rotation_too() {
    for world in World::each_engine().await {
        let mut agent = world.connect(&world.server).await;
        world.owner.post(&world.path("/rotate-token"), json!({})).await;
        let (_, asked) = request(&mut agent).await;
        let TokenRotate { token } = serde_json::from_value(asked.params).unwrap();
        world.owner.post(&world.path("/revoke"), json!({})).await;
        let address = listen(world.hub()).await;
        for token in [&token, &world.server.token] {
            let refused = RawSocket::connect(world.hub(), address, Some(token.reveal())).await;
            assert_eq!(refused.err(), Some(Refused::Status(401)));
        }
    }
}

#[tokio::test]
async fn a_connected_agent_gets_a_new_licence_every_day() {
    for world in World::each_engine().await {
        let mut agent = world.connect(&world.server).await;
        crate::license::renew(world.hub()).await.unwrap();
        let (_, asked) = request(&mut agent).await;
        assert_eq!(asked.method, protocol::request::LICENSE_SET);
        let signed: Signed = serde_json::from_value(asked.params).unwrap();
        assert!(world.hub().keys.has_signed(signing::LICENSE, &signed));
        let body: protocol::license::LicenseBody = serde_json::from_str(&signed.body).unwrap();
        assert_eq!(body.server_id, world.server.server_id);
    }
}

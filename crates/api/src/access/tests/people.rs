//! Everybody who may come, and two workspaces full of things that they may come for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use protocol::{ServerId, UserId, WorkspaceId};
use serde_json::{Value, json};

use super::table::Kind;
use crate::access::{Node, Role};
use crate::config::Config;
use crate::jobs::tests::support::add_server;
use crate::testing::{Client, TestHub};

/// Where in a workspace something lies, or that it lies in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    /// In the project, on the server that some people hold.
    Held,
    /// In the same project, elsewhere.
    InProject,
    /// In the same workspace, in no project.
    InWorkspace,
    /// In another workspace.
    Foreign,
    /// Nowhere.
    Unknown,
}

impl Target {
    pub(super) const ALL: [Self; 5] = [Self::Held, Self::InProject, Self::InWorkspace, Self::Foreign, Self::Unknown];
}

/// How far a grant goes, in the terms of [`Target`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Workspace,
    Project,
    Server,
}

impl Reach {
    pub(super) fn covers(self, target: Target) -> bool {
        match self {
            Self::Workspace => matches!(target, Target::Held | Target::InProject | Target::InWorkspace),
            Self::Project => matches!(target, Target::Held | Target::InProject),
            Self::Server => target == Target::Held,
        }
    }
}

/// Somebody.
pub(super) struct Somebody {
    pub(super) name: &'static str,
    pub(super) client: Client,
    /// What they hold, and where.
    pub(super) holds: Vec<(Vec<Node>, Reach)>,
    /// Comes with a session, or with a key.
    pub(super) has_session: bool,
}

impl Somebody {
    pub(super) fn may(&self, node: Node, target: Target) -> bool {
        self.holds.iter().any(|(nodes, reach)| nodes.contains(&node) && reach.covers(target))
    }

    pub(super) fn may_everywhere(&self, node: Node) -> bool {
        self.holds.iter().any(|(nodes, reach)| nodes.contains(&node) && *reach == Reach::Workspace)
    }

    pub(super) fn may_somewhere(&self, node: Node) -> bool {
        self.holds.iter().any(|(nodes, _)| nodes.contains(&node))
    }
}

/// The hub with everything in it.
pub(super) struct World {
    pub(super) hub: TestHub,
    pub(super) owner: Client,
    pub(super) stranger: Client,
    workspace: WorkspaceId,
    foreign: WorkspaceId,
    project: String,
    held: ServerId,
    /// When [`World::verify_everybody`] last did.
    verified_at: AtomicI64,
}

impl World {
    pub(super) async fn new() -> Self {
        let hub = TestHub::with_config(|config: &mut Config| config.requests_per_minute = 10_000_000).await;
        let owner = hub.owner().await;
        let stranger = hub.stranger().await;
        let workspace = workspace_of(&owner).await;
        let foreign = workspace_of(&stranger).await;
        let project = owner.post("/v1/projects", json!({ "name": "Shop" })).await.json();
        let project = project["id"].as_str().unwrap().to_owned();
        let held = add_server(&hub.hub, workspace, "held").await.server_id;
        let world = Self { hub, owner, stranger, workspace, foreign, project, held, verified_at: AtomicI64::new(0) };
        world.put_into_project(held).await;
        world
    }

    async fn put_into_project(&self, server: ServerId) {
        let path = format!("/v1/servers/{server}");
        let moved = self.owner.patch(&path, json!({ "project_id": self.project })).await;
        assert_eq!(moved.status, 200, "{}", moved.text());
    }

    pub(super) fn scope(&self, reach: Reach) -> Value {
        match reach {
            Reach::Workspace => json!({ "type": "workspace" }),
            Reach::Project => json!({ "type": "project", "id": self.project }),
            Reach::Server => json!({ "type": "server", "id": self.held }),
        }
    }

    /// Everybody who is to be told apart.
    pub(super) async fn people(&self) -> Vec<Somebody> {
        let nodes = |role: Role| role.nodes().iter().collect::<Vec<_>>();
        let mut people = vec![Somebody {
            name: "owner",
            client: self.owner.clone(),
            holds: vec![(Node::ALL.to_vec(), Reach::Workspace)],
            has_session: true,
        }];
        let invited = [
            ("admin", Role::Admin, Reach::Workspace),
            ("operator", Role::Operator, Reach::Workspace),
            ("moderator", Role::Moderator, Reach::Workspace),
            ("viewer", Role::Viewer, Reach::Workspace),
            ("admin of a project", Role::Admin, Reach::Project),
            ("operator of a project", Role::Operator, Reach::Project),
            ("operator of a server", Role::Operator, Reach::Server),
            ("customer", Role::Customer, Reach::Server),
        ];
        for (number, (name, role, reach)) in invited.into_iter().enumerate() {
            let email = format!("somebody{number}@example.org");
            let granted = json!({ "role": role });
            let client = self.hub.member(&self.owner, &email, granted, self.scope(reach)).await;
            people.push(Somebody { name, client, holds: vec![(nodes(role), reach)], has_session: true });
        }
        let few = vec![Node::ServersRead, Node::JobsRead, Node::ServersExec, Node::MembersRead];
        let names = few.iter().map(|node| node.as_str()).collect::<Vec<_>>();
        let granted = json!({ "permissions": names });
        let client = self.hub.member(&self.owner, "few@example.org", granted, self.scope(Reach::Workspace)).await;
        people.push(Somebody {
            name: "some permissions",
            client,
            holds: vec![(few, Reach::Workspace)],
            has_session: true,
        });

        let client = self
            .hub
            .member(&self.owner, "nobody@example.org", json!({ "role": "viewer" }), self.scope(Reach::Workspace))
            .await;
        self.verify_everybody().await;
        let id = user_of(&client).await;
        let path = format!("/v1/team/members/{id}/grants");
        assert_eq!(self.owner.put(&path, json!({ "grants": [] })).await.status, 200);
        people.push(Somebody { name: "a member without grants", client, holds: Vec::new(), has_session: true });

        let every = Node::ALL.iter().map(|node| node.as_str()).collect::<Vec<_>>();
        let keys = [
            ("a key of the owner", Node::ALL.to_vec(), every, Reach::Workspace),
            ("a narrow key", vec![Node::ServersRead, Node::JobsRead], vec!["servers.read", "jobs.read"], Reach::Server),
        ];
        for (name, nodes, names, reach) in keys {
            let form = json!({ "name": name, "permissions": names, "scope": self.scope(reach) });
            let made = self.owner.post("/v1/api-keys", form).await;
            assert_eq!(made.status, 201, "{}", made.text());
            let token = format!("Bearer {}", made.json()["token"].as_str().unwrap());
            let client = self.hub.anonymous().with_header("authorization", &token);
            people.push(Somebody { name, client, holds: vec![(nodes, reach)], has_session: false });
        }
        people
    }

    /// Everybody has just said again who they are: making people takes time, and this is about what they hold.
    pub(super) async fn verify_everybody(&self) {
        let now = self.hub.hub.now().as_ms();
        if self.verified_at.swap(now, Ordering::Relaxed) == now {
            return;
        }
        let mut tx = self.hub.hub.db.write().await.unwrap();
        let text = format!("update sessions set verified_at = {now}");
        tx.conn().query_built(text).execute().await.unwrap();
        tx.commit().await.unwrap();
    }

    /// A thing of this kind at that place, as if it had been there; its id, and `None` where the kind cannot lie there.
    pub(super) async fn make(&self, kind: Kind, target: Target) -> Option<String> {
        if target == Target::Unknown {
            return Some("01890000-0000-7000-8000-000000000000".to_owned());
        }
        self.verify_everybody().await;
        let client = if target == Target::Foreign { &self.stranger } else { &self.owner };
        let made = match kind {
            Kind::Server => return Some(self.server(target).await.to_string()),
            Kind::Job => {
                let server = self.server(target).await;
                let body = json!({ "server_id": server, "kind": "exec", "args": { "command": "true" } });
                client.post("/v1/jobs", body).await
            }
            Kind::Batch => {
                let server = self.server(target).await;
                let body = json!({
                    "selector": { "server_ids": [server] }, "kind": "exec", "args": { "command": "true" },
                });
                client.post("/v1/job-batches", body).await
            }
            Kind::InstallToken => {
                let body = match target {
                    Target::InProject => json!({ "project_id": self.project }),
                    Target::Held => json!({ "server_id": self.held }),
                    _ => json!({}),
                };
                client.post("/v1/servers/install-tokens", body).await
            }
            Kind::Project => match target {
                Target::InProject => return Some(self.project.clone()),
                Target::Held => return None,
                _ => client.post("/v1/projects", json!({ "name": format!("P{}", self.hub.hub.ids.uuid()) })).await,
            },
            // What concerns the whole workspace lies in no project.
            Kind::Member
            | Kind::Role
            | Kind::Invite
            | Kind::ApiKey
            | Kind::AuditRecord
            | Kind::Webhook
            | Kind::Delivery
                if matches!(target, Target::Held | Target::InProject) =>
            {
                return None;
            }
            Kind::AuditRecord => {
                let newest = client.get("/v1/audit?limit=1").await.json();
                return Some(newest["data"][0]["id"].as_str().unwrap().to_owned());
            }
            Kind::Webhook => return Some(Self::webhook(client).await),
            Kind::Delivery => {
                let webhook = Self::webhook(client).await;
                let made = client.post(&format!("/v1/outgoing-webhooks/{webhook}/test"), json!({})).await;
                assert_eq!(made.status, 202, "{}", made.text());
                return Some(made.json()["id"].as_str().unwrap().to_owned());
            }
            Kind::Member => {
                let email = format!("m{}@example.org", self.hub.hub.ids.uuid());
                let scope = json!({ "type": "workspace" });
                let member = self.hub.member(client, &email, json!({ "role": "customer" }), scope).await;
                self.verify_everybody().await;
                return Some(user_of(&member).await.to_string());
            }
            Kind::Role => {
                let name = format!("R{}", self.hub.hub.ids.uuid());
                client.post("/v1/team/roles", json!({ "name": name, "permissions": ["servers.read"] })).await
            }
            Kind::Invite => {
                let email = format!("i{}@example.org", self.hub.hub.ids.uuid());
                let scope = json!({ "type": "workspace" });
                let body = json!({ "email": email, "granted": { "role": "viewer" }, "scope": scope });
                client.post("/v1/team/invites", body).await
            }
            Kind::ApiKey => {
                let scope = json!({ "type": "workspace" });
                let body = json!({ "name": "x", "permissions": ["servers.read"], "scope": scope });
                client.post("/v1/api-keys", body).await
            }
        };
        assert_eq!(made.status, 201, "{kind:?} {target:?}: {}", made.text());
        Some(made.json()["id"].as_str().unwrap().to_owned())
    }

    /// A webhook; the newest of many goes, since a workspace may have twenty, and the older ones are others' to look at.
    async fn webhook(client: &Client) -> String {
        let all = client.get("/v1/outgoing-webhooks?limit=200").await.json();
        if all["data"].as_array().unwrap().len() > 10 {
            let path = format!("/v1/outgoing-webhooks/{}", all["data"][0]["id"].as_str().unwrap());
            assert_eq!(client.delete(&path).await.status, 204);
        }
        // Told of nothing that happens here.
        let body = json!({ "name": "x", "url": "https://hooks.example.com/x", "events": ["nothing.happens"] });
        let made = client.post("/v1/outgoing-webhooks", body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()["id"].as_str().unwrap().to_owned()
    }

    /// A new server there; the one that is held cannot be made twice.
    async fn server(&self, target: Target) -> ServerId {
        match target {
            Target::Held => self.held,
            Target::Foreign => add_server(&self.hub.hub, self.foreign, "foreign").await.server_id,
            _ => {
                let server = add_server(&self.hub.hub, self.workspace, "server").await.server_id;
                if target == Target::InProject {
                    self.put_into_project(server).await;
                }
                server
            }
        }
    }

    /// One of each kind at each place, for lists.
    pub(super) async fn furnish(&self) -> BTreeMap<(Kind, Target), String> {
        let mut things = BTreeMap::new();
        let kinds = [Kind::Server, Kind::Job, Kind::Batch, Kind::InstallToken, Kind::Project];
        for kind in kinds.into_iter().chain([Kind::Webhook, Kind::Delivery]) {
            for target in Target::ALL.into_iter().filter(|target| *target != Target::Unknown) {
                if let Some(id) = self.make(kind, target).await {
                    things.insert((kind, target), id);
                }
            }
        }
        things
    }
}

async fn workspace_of(client: &Client) -> WorkspaceId {
    client.get("/v1/auth/session").await.json()["workspace_id"].as_str().unwrap().parse().unwrap()
}

pub(super) async fn user_of(client: &Client) -> UserId {
    client.get("/v1/auth/session").await.json()["user"]["id"].as_str().unwrap().parse().unwrap()
}

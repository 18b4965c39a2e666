//! Promises of teams: nobody rises by themselves, a workspace keeps an owner, an invitation lets in one person once.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::access;
use crate::error::ErrorCode;
use crate::http::etag::IfMatch;
use crate::testing::{Client, OWNER_EMAIL, OWNER_PASSWORD, TestHub};

fn everywhere() -> Value {
    json!({ "type": "workspace" })
}

fn grants(granted: &[Value]) -> Value {
    let grants = granted.iter().map(|granted| json!({ "granted": granted, "scope": everywhere() })).collect::<Vec<_>>();
    json!({ "grants": grants })
}

async fn id_of(client: &Client) -> String {
    client.get("/v1/auth/session").await.json()["user"]["id"].as_str().unwrap().to_owned()
}

fn path(id: &str) -> String {
    format!("/v1/team/members/{id}")
}

fn role(name: &str) -> Value {
    json!({ "role": name })
}

async fn invite(by: &Client, email: &str, granted: Value) -> Value {
    let form = json!({ "email": email, "granted": granted, "scope": everywhere() });
    let made = by.post("/v1/team/invites", form).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    made.json()
}

async fn accept(hub: &TestHub, invite: &Value, password: &str) -> (Client, StatusCode) {
    let client = hub.anonymous();
    let form = json!({ "token": invite["token"], "password": password, "name": "Ann" });
    let status = client.post("/v1/invites/accept", form).await.status;
    (client, status)
}

#[tokio::test]
async fn nobody_gives_or_takes_what_they_do_not_hold() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let admin = hub.member(&owner, "admin@example.org", role("admin"), everywhere()).await;
        let member = hub.member(&owner, "ann@example.org", role("viewer"), everywhere()).await;
        let (owner_id, admin_id, member_id) = (id_of(&owner).await, id_of(&admin).await, id_of(&member).await);

        let risen = admin.put(&format!("{}/grants", path(&admin_id)), grants(&[role("owner")])).await;
        assert_eq!(risen.status, StatusCode::FORBIDDEN, "{}", risen.text());
        assert_eq!(risen.json()["error"]["details"]["missing"], json!(["workspace.close", "hub.manage"]));
        for (who, target, granted) in [
            (&admin, &member_id, role("owner")),
            (&admin, &owner_id, role("viewer")),
            (&member, &member_id, role("admin")),
        ] {
            let refused = who.put(&format!("{}/grants", path(target)), grants(&[granted])).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text());
        }
        assert_eq!(admin.delete(&path(&owner_id)).await.status, StatusCode::FORBIDDEN);
        let owners = json!({ "email": "new@example.org", "granted": role("owner"), "scope": everywhere() });
        assert_eq!(admin.post("/v1/team/invites", owners).await.status, StatusCode::FORBIDDEN);
        let wide = json!({ "name": "Everything", "permissions": ["workspace.close"] });
        assert_eq!(admin.post("/v1/team/roles", wide).await.status, StatusCode::FORBIDDEN);

        // Nor by a role that they hold and may edit.
        let team = json!({ "name": "Team", "permissions": ["members.read", "members.manage", "roles.manage"] });
        let made = owner.post("/v1/team/roles", team).await.json();
        let own_role = json!({ "role_id": made["id"] });
        assert_eq!(owner.put(&format!("{}/grants", path(&member_id)), grants(&[own_role])).await.status, 200);
        let edited = format!("/v1/team/roles/{}", made["id"].as_str().unwrap());
        let wider = json!({ "permissions": ["members.read", "members.manage", "roles.manage", "servers.exec"] });
        assert_eq!(member.patch(&edited, wider).await.status, StatusCode::FORBIDDEN);
        let narrower = json!({ "permissions": ["members.read", "members.manage", "roles.manage"], "name": "Crew" });
        assert_eq!(member.patch(&edited, narrower).await.status, StatusCode::OK);
        assert_eq!(owner.delete(&edited).await.status, StatusCode::CONFLICT, "somebody holds it");

        // What was refused changed nothing.
        let list = owner.get("/v1/team/members").await.json();
        let held = list["data"].as_array().unwrap().iter().map(|member| &member["grants"][0]["role_name"]);
        assert_eq!(held.collect::<Vec<_>>(), ["owner", "admin", "Crew"]);
    }
}

#[tokio::test]
async fn who_was_let_in_and_lost_the_right_meanwhile_changes_nothing() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let fallen = hub.member(&owner, "fallen@example.org", role("owner"), everywhere()).await;
        let (owner_id, fallen_id) = (id_of(&owner).await, id_of(&fallen).await);
        let made =
            owner.post("/v1/team/roles", json!({ "name": "Crew", "permissions": ["servers.read"] })).await.json();
        // Requests of theirs got past the door…
        let actor = fallen.actor().await;
        let member = async || access::authorize(&hub.hub, actor.clone(), owner_id.parse().unwrap()).await.unwrap();
        let (regranted, removed) = (member().await, member().await);
        let transferred = access::in_workspace(&hub.hub, actor.clone()).await.unwrap();
        let invited = access::in_workspace(&hub.hub, actor.clone()).await.unwrap();
        let id = made["id"].as_str().unwrap().parse().unwrap();
        let edited = access::authorize(&hub.hub, actor.clone(), id).await.unwrap();
        // … before they fell.
        let demoted = owner.put(&format!("{}/grants", path(&fallen_id)), grants(&[role("viewer")])).await;
        assert_eq!(demoted.status, StatusCode::OK, "{}", demoted.text());

        let wanted = serde_json::from_value(json!([{ "granted": role("viewer"), "scope": everywhere() }])).unwrap();
        let new = json!({ "email": "new@example.org", "granted": role("admin"), "scope": everywhere() });
        let new = serde_json::from_value(new).unwrap();
        let nodes = crate::access::NodeSet::ALL;
        let refused = [
            super::members::set_grants(&hub.hub, regranted, wanted).await.err(),
            super::members::remove(&hub.hub, removed).await.err(),
            super::members::transfer(&hub.hub, transferred, owner_id.parse().unwrap()).await.err(),
            super::invites::create(&hub.hub, invited, new).await.err(),
            super::roles::update(&hub.hub, edited, None, Some(nodes), IfMatch::any()).await.err(),
        ];
        for (index, error) in refused.into_iter().enumerate() {
            assert_eq!(error.expect("refused").code(), ErrorCode::Forbidden, "{index}");
        }
        let list = owner.get("/v1/team/members").await.json();
        let held = list["data"].as_array().unwrap().iter().map(|member| &member["grants"][0]["role_name"]);
        assert_eq!(held.collect::<Vec<_>>(), ["owner", "viewer"]);
    }
}

#[tokio::test]
async fn the_last_owner_cannot_vanish_and_a_workspace_can_be_handed_on() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let heir = hub.member(&owner, "heir@example.org", role("viewer"), everywhere()).await;
        let (owner_id, heir_id) = (id_of(&owner).await, id_of(&heir).await);
        let alone = owner.delete(&path(&owner_id)).await;
        assert_eq!(alone.status, StatusCode::CONFLICT, "{}", alone.text());
        let fallen = owner.put(&format!("{}/grants", path(&owner_id)), grants(&[role("admin")])).await;
        assert_eq!(fallen.status, StatusCode::CONFLICT);

        let form = |password: &str| json!({ "user_id": heir_id, "password": password });
        assert_eq!(owner.post("/v1/team/transfer", form("wrong")).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(heir.post("/v1/team/transfer", form(OWNER_PASSWORD)).await.status, StatusCode::FORBIDDEN);
        assert_eq!(owner.post("/v1/team/transfer", form(OWNER_PASSWORD)).await.status, StatusCode::NO_CONTENT);
        let held = async |id: &str| heir.get(&path(id)).await.json()["grants"][0]["role_name"].clone();
        assert_eq!((held(&heir_id).await, held(&owner_id).await), (json!("owner"), json!("admin")));
        assert_eq!(owner.delete(&path(&owner_id)).await.status, StatusCode::NO_CONTENT, "one may leave");
        assert_eq!(owner.get("/v1/servers").await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn two_owners_who_remove_each_other_at_once_leave_one() {
    for hub in TestHub::each_engine().await {
        let one = hub.owner().await;
        let other = hub.member(&one, "other@example.org", role("owner"), everywhere()).await;
        let (path_one, path_other) = (path(&id_of(&one).await), path(&id_of(&other).await));
        let (a, b) = tokio::join!(one.delete(&path_other), other.delete(&path_one));
        let gone = [a.status, b.status].iter().filter(|status| **status == StatusCode::NO_CONTENT).count();
        assert_eq!(gone, 1, "{} {}", a.text(), b.text());
        let left = if a.status == StatusCode::NO_CONTENT { &one } else { &other };
        assert_eq!(left.get("/v1/team/members").await.json()["data"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn an_invitation_lets_in_one_person_once() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let made = invite(&owner, "Ann@Example.org", role("viewer")).await;
        assert!(made["url"].as_str().unwrap().ends_with(made["token"].as_str().unwrap()));
        let offer = hub.anonymous().post("/v1/invites/look-up", json!({ "token": made["token"] })).await.json();
        assert_eq!(offer, json!({ "workspace": "Home", "email": "Ann@Example.org", "has_account": false }));
        let listed = owner.get("/v1/team/invites").await.json();
        assert!(listed["data"][0].get("token").is_none(), "{listed}");
        let twice = json!({ "email": "ann@example.org", "granted": role("viewer"), "scope": everywhere() });
        assert_eq!(owner.post("/v1/team/invites", twice).await.status, StatusCode::CONFLICT);

        assert_eq!(accept(&hub, &made, "short").await.1, StatusCode::UNPROCESSABLE_ENTITY);
        let (first, second) =
            tokio::join!(accept(&hub, &made, OWNER_PASSWORD), accept(&hub, &made, "another password of hers"));
        let mut statuses = [first.1.as_u16(), second.1.as_u16()];
        statuses.sort_unstable();
        assert!(matches!(statuses, [200, 401 | 409 | 410]), "{statuses:?}");
        let (_, again) = accept(&hub, &made, OWNER_PASSWORD).await;
        assert_eq!(again, StatusCode::GONE);
        let members = owner.get("/v1/team/members").await.json();
        assert_eq!(members["data"].as_array().unwrap().len(), 2);
        let joined = owner.get("/v1/audit?action=member.join").await.json();
        assert_eq!(joined["data"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn an_account_is_not_taken_over_by_an_invitation() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    let stranger = hub.stranger().await;
    // Whoever invites an address gets no way into the account behind it.
    let made = invite(&stranger, OWNER_EMAIL, role("viewer")).await;
    assert_eq!(accept(&hub, &made, "a password of the inviter").await.1, StatusCode::UNAUTHORIZED);
    assert_eq!(owner.get("/v1/servers").await.status, StatusCode::OK);
    let (client, status) = accept(&hub, &made, OWNER_PASSWORD).await;
    assert_eq!(status, StatusCode::OK);
    let session = client.get("/v1/auth/session").await.json();
    assert_eq!(session["workspaces"].as_array().unwrap().len(), 2);
    let there = session["workspace_id"].as_str().unwrap();
    assert_eq!(session["workspaces"][1]["id"], there, "it acts where it was invited");
    assert_eq!(client.get("/v1/audit").await.status, StatusCode::FORBIDDEN, "a viewer there, whatever at home");
    // Signed in anew it acts at home.
    let home = hub.anonymous();
    home.post("/v1/auth/login", json!({ "email": OWNER_EMAIL, "password": OWNER_PASSWORD })).await;
    assert_eq!(home.get("/v1/audit").await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_invitation_ends_by_time_by_hand_and_with_its_makers_rights() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let made = invite(&owner, "late@example.org", role("viewer")).await;
        hub.clock.advance(Duration::from_hours(7 * 24));
        let owner_again = hub.anonymous();
        let login = json!({ "email": OWNER_EMAIL, "password": OWNER_PASSWORD });
        assert_eq!(owner_again.post("/v1/auth/login", login).await.status, StatusCode::OK);
        let owner = owner_again;
        assert_eq!(accept(&hub, &made, OWNER_PASSWORD).await.1, StatusCode::GONE);
        super::sweep(&hub.hub).await.unwrap();
        assert_eq!(owner.get("/v1/team/invites").await.json()["data"], json!([]));

        let made = invite(&owner, "unwanted@example.org", role("viewer")).await;
        let withdrawn = format!("/v1/team/invites/{}", made["id"].as_str().unwrap());
        assert_eq!(owner.delete(&withdrawn).await.status, StatusCode::NO_CONTENT);
        assert_eq!(accept(&hub, &made, OWNER_PASSWORD).await.1, StatusCode::GONE);

        let admin = hub.member(&owner, "admin@example.org", role("admin"), everywhere()).await;
        let made = invite(&admin, "friend@example.org", role("admin")).await;
        let admin_id = id_of(&admin).await;
        let demoted = grants(&[json!({ "permissions": ["members.read", "members.manage", "servers.read"] })]);
        assert_eq!(owner.put(&format!("{}/grants", path(&admin_id)), demoted).await.status, StatusCode::OK);
        let (_, status) = accept(&hub, &made, OWNER_PASSWORD).await;
        assert_eq!(status, StatusCode::GONE, "nobody invites into more than they hold now");
        let made = invite(&admin, "reader@example.org", json!({ "permissions": ["servers.read"] })).await;
        assert_eq!(owner.delete(&path(&admin_id)).await.status, StatusCode::NO_CONTENT);
        assert_eq!(accept(&hub, &made, OWNER_PASSWORD).await.1, StatusCode::GONE, "gone with who made it");
    }
}

#[tokio::test]
async fn look_alikes_are_not_invited() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    // A Cyrillic a.
    for email in ["\u{430}nn@example.org", "ann@ex\u{430}mple.org", "a\u{200b}nn@example.org"] {
        let form = json!({ "email": email, "granted": role("viewer"), "scope": everywhere() });
        let refused = owner.post("/v1/team/invites", form).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{email}");
    }
}

#[tokio::test]
async fn guesses_at_invitations_are_slowed_down() {
    let hub = TestHub::sqlite().await;
    let _owner = hub.owner().await;
    let guess = json!({ "token": "rsv_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG" });
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(hub.anonymous().post("/v1/invites/look-up", guess.clone()).await.status.as_u16());
    }
    assert_eq!(statuses.first(), Some(&410));
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
}

#[tokio::test]
async fn roles_are_listed_changed_and_removed() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let known = owner.get("/v1/team/permissions").await.json();
        assert_eq!(known["roles"][0]["role"], "owner");
        assert!(known["permissions"].as_array().unwrap().iter().any(|node| node["name"] == "servers.exec"));
        let made = owner.post("/v1/team/roles", json!({ "name": "Deploy", "permissions": ["servers.exec"] })).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
        for bad in [
            json!({ "name": "DEPLOY", "permissions": ["servers.exec"] }),
            json!({ "name": "Admin", "permissions": ["servers.exec"] }),
            json!({ "name": "Empty", "permissions": [] }),
            json!({ "name": "Unknown", "permissions": ["servers.fly"] }),
        ] {
            let refused = owner.post("/v1/team/roles", bad.clone()).await.status;
            assert!(matches!(refused, StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY), "{bad}: {refused}");
        }
        let one = format!("/v1/team/roles/{}", made.json()["id"].as_str().unwrap());
        let stale = owner.with_header("if-match", "\"9\"").patch(&one, json!({ "name": "x" })).await;
        assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
        // A change acts on who holds it, at once.
        let granted = json!({ "role_id": made.json()["id"] });
        let ann = hub.member(&owner, "ann@example.org", granted, everywhere()).await;
        assert_eq!(ann.get("/v1/servers").await.status, StatusCode::FORBIDDEN);
        let wider = json!({ "permissions": ["servers.exec", "servers.read"] });
        assert_eq!(owner.patch(&one, wider).await.header("etag"), "\"2\"");
        assert_eq!(ann.get("/v1/servers").await.status, StatusCode::OK);
        let ann_id = id_of(&ann).await;
        assert_eq!(owner.put(&format!("{}/grants", path(&ann_id)), grants(&[])).await.status, StatusCode::OK);
        assert_eq!(owner.delete(&one).await.status, StatusCode::NO_CONTENT);
        assert_eq!(owner.get("/v1/team/roles").await.json()["data"], json!([]));
    }
}

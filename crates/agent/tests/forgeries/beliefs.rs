//! What a host believes, policy and key, is loosened by nobody but those who may.

use std::os::unix::fs::PermissionsExt as _;

use agent::work::wire::{Note, Op};
use protocol::job::RejectCode::{BadSignature, PolicyDenied};
use protocol::policy::{Rules, Tier};
use protocol::{Hex, signing};

use crate::support::{HubKey, new_id, signed_cmd};
use crate::{Scene, each_is_refused, job};

/// A host on which the hub may only look, by the file or by its own restriction.
fn closed_by_the_file() -> Scene {
    let scene = Scene::new();
    scene.host.policy("tiers = [\"read\"]\n");
    scene
}

fn closed() -> Rules {
    Rules { tiers: Some(vec![Tier::Read]), ..Rules::default() }
}

impl Scene {
    /// The hub closes this host, then this comes, then the order.
    fn loosened_by(&self, forged: Op) -> Vec<Op> {
        let close = self.host.hub.restrict(self.host.server_id, 5, closed());
        vec![Op::Restrict(close), forged, job(self.order())]
    }
}

#[tokio::test]
async fn no_forgery_loosens_a_policy() {
    each_is_refused(
        Scene::new,
        &[
            (
                "restrictions that were replaced since",
                |s| s.loosened_by(Op::Restrict(s.host.hub.restrict(s.host.server_id, 4, Rules::default()))),
                PolicyDenied,
            ),
            (
                "other restrictions of the same number",
                |s| s.loosened_by(Op::Restrict(s.host.hub.restrict(s.host.server_id, 5, Rules::default()))),
                PolicyDenied,
            ),
            (
                "another server's restrictions",
                |s| s.loosened_by(Op::Restrict(s.host.hub.restrict(new_id().parse().unwrap(), 6, Rules::default()))),
                PolicyDenied,
            ),
            (
                "a stranger's restrictions",
                |s| s.loosened_by(Op::Restrict(s.stranger.restrict(s.host.server_id, 6, Rules::default()))),
                PolicyDenied,
            ),
            (
                "unsigned restrictions",
                |s| {
                    let mut order = s.host.hub.restrict(s.host.server_id, 6, Rules::default());
                    order.sig = Hex([0; 64]);
                    s.loosened_by(Op::Restrict(order))
                },
                PolicyDenied,
            ),
            (
                "restrictions with another number",
                |s| {
                    let mut order = s.host.hub.restrict(s.host.server_id, 4, Rules::default());
                    order.body = order.body.replace("\"seq\":4", "\"seq\":6");
                    s.loosened_by(Op::Restrict(order))
                },
                PolicyDenied,
            ),
            (
                "an order that is used as restrictions",
                |s| {
                    let body = s.host.hub.restrict(s.host.server_id, 6, Rules::default()).body;
                    s.loosened_by(Op::Restrict(s.host.hub.sign(signing::CMD, body)))
                },
                PolicyDenied,
            ),
            (
                "restrictions in the relay's own directory",
                |s| {
                    let order = s.host.hub.restrict(s.host.server_id, 6, Rules::default());
                    let kept = serde_json::json!({"order": order}).to_string();
                    std::fs::write(s.host.paths.relay_dir().join("restrictions.json"), kept).unwrap();
                    s.loosened_by(Op::Describe)
                },
                PolicyDenied,
            ),
            (
                "restrictions that can be written by others",
                |s| {
                    let path = s.host.paths.restrictions_file();
                    let order = s.host.hub.restrict(s.host.server_id, 6, Rules::default());
                    std::fs::write(&path, serde_json::json!({"order": order}).to_string()).unwrap();
                    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
                    vec![job(s.order())]
                },
                PolicyDenied,
            ),
        ],
    )
    .await;
    each_is_refused(
        closed_by_the_file,
        &[(
            "the hub's own restrictions cannot lift the file's",
            |s| {
                let open = Rules { tiers: Some(Tier::ALL.to_vec()), ..Rules::default() };
                vec![Op::Restrict(s.host.hub.restrict(s.host.server_id, 1, open)), job(s.order())]
            },
            PolicyDenied,
        )],
    )
    .await;
}

#[tokio::test]
async fn no_forged_rotation_moves_the_pinned_key() {
    each_is_refused(
        Scene::new,
        &[
            (
                "a key that names itself",
                |s| vec![Op::Rotate(vec![s.stranger.rotate(&s.stranger)]), job(signed_cmd(&s.stranger, &s.body))],
                BadSignature,
            ),
            (
                "a key that names itself under the pinned one's name",
                |s| {
                    let mut rotation = s.stranger.rotate(&s.stranger);
                    rotation.key_id = s.order().signed.key_id;
                    vec![Op::Rotate(vec![rotation]), job(signed_cmd(&s.stranger, &s.body))]
                },
                BadSignature,
            ),
            (
                "a rotation of a key that is not pinned",
                |s| vec![Op::Rotate(vec![HubKey::new(9).rotate(&s.stranger)]), job(signed_cmd(&s.stranger, &s.body))],
                BadSignature,
            ),
            (
                "a chain out of order",
                |s| {
                    let middle = HubKey::new(9);
                    let chain =
                        vec![middle.rotate(&s.stranger), s.host.hub.rotate(&middle), s.stranger.rotate(&s.stranger)];
                    vec![Op::Rotate(chain), job(signed_cmd(&s.stranger, &s.body))]
                },
                BadSignature,
            ),
            (
                "a chain with a gap",
                |s| {
                    let chain = vec![s.host.hub.rotate(&HubKey::new(9)), HubKey::new(10).rotate(&s.stranger)];
                    vec![Op::Rotate(chain), job(signed_cmd(&s.stranger, &s.body))]
                },
                BadSignature,
            ),
            (
                "another successor than the one that was named",
                |s| {
                    let mut rotation = s.host.hub.rotate(&HubKey::new(9));
                    rotation.body = s.host.hub.rotate(&s.stranger).body;
                    vec![Op::Rotate(vec![rotation]), job(signed_cmd(&s.stranger, &s.body))]
                },
                BadSignature,
            ),
            (
                "an order that is used as a rotation",
                |s| {
                    let rotation = s.host.hub.sign(signing::CMD, s.host.hub.rotate(&s.stranger).body);
                    vec![Op::Rotate(vec![rotation]), job(signed_cmd(&s.stranger, &s.body))]
                },
                BadSignature,
            ),
            ("no rotation at all", |s| vec![Op::Rotate(vec![]), job(signed_cmd(&s.stranger, &s.body))], BadSignature),
        ],
    )
    .await;

    // After a rotation what the old key has signed is worth nothing, and it cannot name another successor.
    let scene = Scene::new();
    let new = HubKey::new(9);
    assert!(matches!(scene.tell(Op::Rotate(vec![scene.host.hub.rotate(&new)])).await, Note::Described(_)));
    let again = Op::Rotate(vec![scene.host.hub.rotate(&scene.stranger)]);
    for op in [again, job(scene.order()), job(signed_cmd(&scene.stranger, &scene.body))] {
        assert_eq!(scene.attempt(vec![op]).await, Some(BadSignature));
    }
    scene.assert_nothing_ran("after a rotation");
    scene.runs_once(signed_cmd(&new, &scene.body)).await;
}

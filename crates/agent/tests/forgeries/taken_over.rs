//! The attacker is the hub; what the host reserves for operators stays theirs.

use agent::work::wire::Op;
use protocol::exec::ExecArgs;
use protocol::job::CmdBody;
use protocol::job::RejectCode::{OperatorSignature, PolicyDenied};
use protocol::operator::{MAX_SIGNATURE, MAX_SIGNATURES};
use protocol::policy::{Rules, Tier};
use protocol::signing;
use serde_json::value::{RawValue, to_raw_value};

use crate::support::{self, HubKey, command, new_id, op_body, signed_cmd};
use crate::{Scene, each_is_refused, job};

/// The hub's process itself is the attacker's: everything here carries the hub's own good signature.
#[tokio::test]
async fn a_hub_that_was_taken_over_runs_nothing_that_is_reserved_for_operators() {
    each_is_refused(
        Scene::reserved,
        &[
            ("no operator's signature", |s| vec![job(s.order())], OperatorSignature),
            ("the body to sign, and no signature", |s| s.with_sigs(|_| vec![]), OperatorSignature),
            ("rubbish", |s| s.with_sigs(|_| vec!["rubbish".to_owned()]), OperatorSignature),
            ("a key that the host does not list", |s| s.with_sigs(|text| vec![s.eve.sign(text)]), OperatorSignature),
            (
                "a signature for another purpose",
                |s| {
                    s.with_sigs(|text| {
                        vec![s.ada.sign_as("file", 1, "sha512", text), s.ada.sign_as("git", 1, "sha512", text)]
                    })
                },
                OperatorSignature,
            ),
            (
                "a signature of another version",
                |s| s.with_sigs(|text| vec![s.ada.sign_as("roadstead-job", 2, "sha512", text)]),
                OperatorSignature,
            ),
            (
                "a signature over another digest",
                |s| s.with_sigs(|text| vec![s.ada.sign_as("roadstead-job", 1, "sha1", text)]),
                OperatorSignature,
            ),
            (
                "a signature with one character changed",
                |s| {
                    s.with_sigs(|text| {
                        let mut sig = s.ada.sign(text).into_bytes();
                        let at = sig.len() - 50;
                        sig[at] = if sig[at] == b'A' { b'B' } else { b'A' };
                        vec![String::from_utf8(sig).unwrap()]
                    })
                },
                OperatorSignature,
            ),
            (
                "half a signature",
                |s| s.with_sigs(|text| vec![s.ada.sign(text).chars().take(150).collect()]),
                OperatorSignature,
            ),
            (
                "a good signature behind too many others",
                |s| {
                    s.with_sigs(|text| {
                        let rubbish = std::iter::repeat_n("rubbish".to_owned(), MAX_SIGNATURES);
                        rubbish.chain([s.ada.sign(text)]).collect()
                    })
                },
                OperatorSignature,
            ),
            (
                "a good signature with a long tail",
                |s| {
                    let tail = "x".repeat(MAX_SIGNATURE);
                    s.with_sigs(|text| vec![format!("{}{tail}", s.ada.sign(text))])
                },
                OperatorSignature,
            ),
            (
                "what an operator signed for another job",
                |s| {
                    let other = op_body(&s.host.body(&command("true")));
                    vec![job(s.host.cmd_with(&s.body, &other, vec![s.ada.sign(&other)]))]
                },
                OperatorSignature,
            ),
            (
                "a signature of another job under this one's body",
                |s| {
                    let other = op_body(&s.host.body(&command("true")));
                    s.with_sigs(|_| vec![s.ada.sign(&other)])
                },
                OperatorSignature,
            ),
            (
                "other arguments than the signed ones",
                |s| s.after_signing(|body| body.args = to_raw_value(&command("true; true")).unwrap()),
                OperatorSignature,
            ),
            (
                "the same arguments in other bytes",
                |s| {
                    s.after_signing(|body| {
                        body.args = RawValue::from_string(body.args.get().replacen('{', "{ ", 1)).unwrap();
                    })
                },
                OperatorSignature,
            ),
            (
                "another user than the signed one",
                |s| {
                    let args = ExecArgs { user: Some("nobody".to_owned()), ..command("true") };
                    s.after_signing(|body| body.args = to_raw_value(&args).unwrap())
                },
                OperatorSignature,
            ),
            (
                "a later expiry than the signed one",
                |s| s.after_signing(|body| body.expires_at_ms += 1),
                OperatorSignature,
            ),
            ("more time than was signed", |s| s.after_signing(|body| body.timeout_s += 1), OperatorSignature),
            (
                "other limits than the signed ones",
                |s| s.after_signing(|body| body.limits.nice = Some(-20)),
                OperatorSignature,
            ),
            (
                "the signed job under another id, to run it twice",
                |s| s.after_signing(|body| body.job_id = new_id().parse().unwrap()),
                OperatorSignature,
            ),
            (
                "a signed text that is no job",
                |s| vec![job(s.host.cmd_with(&s.body, "please", vec![s.ada.sign("please")]))],
                OperatorSignature,
            ),
            (
                "a signed text that names a field twice",
                |s| {
                    let text = op_body(&s.body).replacen('{', "{\"kind\":\"exec\",", 1);
                    vec![job(s.host.cmd_with(&s.body, &text, vec![s.ada.sign(&text)]))]
                },
                OperatorSignature,
            ),
            (
                "a secret that the signer could not see",
                |s| {
                    let secret_env = support::env(&[("TOKEN", "hunter2-hunter2")]);
                    let body = CmdBody {
                        args: to_raw_value(&ExecArgs { secret_env, ..command("true") }).unwrap(),
                        ..s.body.clone()
                    };
                    let text = op_body(&body);
                    vec![job(s.host.cmd_with(&body, &text, vec![s.ada.sign(&text)]))]
                },
                PolicyDenied,
            ),
            (
                "restrictions that ask for no signature",
                |s| vec![Op::Restrict(s.host.hub.restrict(s.host.server_id, 9, Rules::default())), job(s.order())],
                OperatorSignature,
            ),
            (
                "restrictions that name an operator",
                |s| {
                    let body = s.host.hub.restrict(s.host.server_id, 9, Rules::default()).body;
                    let named =
                        body.replacen("\"rules\":{", &format!("\"rules\":{{\"operators\":[{:?}]", s.eve.line()), 1);
                    assert_ne!(named, body);
                    let restrict = Op::Restrict(s.host.hub.sign(signing::RESTRICT, named));
                    let mut ops = vec![restrict];
                    ops.extend(s.with_sigs(|text| vec![s.eve.sign(text)]));
                    ops
                },
                OperatorSignature,
            ),
            (
                "a new key of the hub",
                |s| {
                    let rotated = signed_cmd(&s.host.hub, &s.body);
                    vec![Op::Rotate(vec![s.host.hub.rotate(&HubKey::new(7))]), job(rotated)]
                },
                OperatorSignature,
            ),
        ],
    )
    .await;

    // What the operator did sign runs, once.
    let scene = Scene::reserved();
    let text = op_body(&scene.body);
    scene.runs_once(scene.host.cmd_with(&scene.body, &text, vec![scene.ada.sign(&text)])).await;
}

/// Where the hub has asked for signatures itself, nobody signs until the host's own file says who can.
#[tokio::test]
async fn a_hub_cannot_name_the_operators_that_it_asks_for() {
    let scene = Scene::new();
    let asks = Rules { require_operator_signature: vec![Tier::Root], ..Rules::default() };
    scene.tell(Op::Restrict(scene.host.hub.restrict(scene.host.server_id, 1, asks))).await;
    let ops = scene.with_sigs(|text| vec![scene.ada.sign(text)]);
    assert_eq!(scene.attempt(ops).await, Some(OperatorSignature));
    scene.assert_nothing_ran("no operators");
}

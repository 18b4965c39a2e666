//! Orders that the hub did not give, or not here, not now, not again.

use agent::trust::claims::Claims;
use agent::work::wire::{JobOrder, Note, Op, Request, VERSION};
use protocol::job::RejectCode::{BadArguments, BadSignature, Expired, WrongServer};
use protocol::job::{Cancel, Cmd, CmdAck, CmdBody, CmdOutcome, EndState, SpoolState};
use protocol::{Hex, signing};

use crate::support::{self, command, new_id, now_ms, op_body, read, signed_cmd};
use crate::{Scene, each_is_refused, job};

#[tokio::test]
async fn no_forged_order_runs() {
    each_is_refused(
        Scene::new,
        &[
            (
                "a flipped bit of the signature",
                |s| {
                    let mut cmd = s.order();
                    cmd.signed.sig.0[40] ^= 0x10;
                    vec![job(cmd)]
                },
                BadSignature,
            ),
            (
                "no signature",
                |s| {
                    let mut cmd = s.order();
                    cmd.signed.sig = Hex([0; 64]);
                    vec![job(cmd)]
                },
                BadSignature,
            ),
            ("another key", |s| vec![job(signed_cmd(&s.stranger, &s.body))], BadSignature),
            (
                "another key under the pinned one's name",
                |s| {
                    let mut cmd = signed_cmd(&s.stranger, &s.body);
                    cmd.signed.key_id = s.order().signed.key_id;
                    vec![job(cmd)]
                },
                BadSignature,
            ),
            (
                "the pinned key under another's name",
                |s| {
                    let mut cmd = s.order();
                    cmd.signed.key_id = Hex([1; 8]);
                    vec![job(cmd)]
                },
                BadSignature,
            ),
            ("changed arguments", |s| s.altered("echo ran", "echo Ran"), BadSignature),
            ("one more argument", |s| s.altered("\"args\":{", "\"args\":{\"user\":\"root\","), BadSignature),
            ("another kind", |s| s.altered("\"kind\":\"exec\"", "\"kind\":\"shell\""), BadSignature),
            ("another time limit", |s| s.altered("\"timeout_s\":300", "\"timeout_s\":900"), BadSignature),
            ("extended expiry", |s| s.altered("\"expires_at_ms\":1", "\"expires_at_ms\":9"), BadSignature),
            ("another job id, to run it twice", |s| s.altered(&s.body.job_id.to_string(), &new_id()), BadSignature),
            ("the same order with a space more", |s| s.altered(",", ", "), BadSignature),
            (
                "another server's order",
                |s| {
                    let server_id = new_id().parse().unwrap();
                    vec![job(s.host.cmd(&CmdBody { server_id, ..s.body.clone() }))]
                },
                WrongServer,
            ),
            (
                "another server's order with this server's id put in",
                |s| {
                    let foreign = new_id();
                    let mut cmd = s.host.cmd(&CmdBody { server_id: foreign.parse().unwrap(), ..s.body.clone() });
                    cmd.signed.body = cmd.signed.body.replace(&foreign, &s.host.server_id.to_string());
                    vec![job(cmd)]
                },
                BadSignature,
            ),
            ("a cancel that is used as an order", |s| s.for_another_purpose(signing::CANCEL), BadSignature),
            ("a welcome that is used as an order", |s| s.for_another_purpose(signing::WELCOME), BadSignature),
            ("a licence that is used as an order", |s| s.for_another_purpose(signing::LICENSE), BadSignature),
            ("restrictions that are used as an order", |s| s.for_another_purpose(signing::RESTRICT), BadSignature),
            ("a rotation that is used as an order", |s| s.for_another_purpose(signing::KEY_ROTATION), BadSignature),
            ("a signature without a purpose", |s| s.for_another_purpose(""), BadSignature),
            ("an order that is handed over as a cancel", |s| vec![Op::Cancel(Cancel(s.order().signed))], BadArguments),
            (
                "an operators' body that the hub knows nothing of",
                |s| vec![job(Cmd { op_body: Some(op_body(&s.body)), ..s.order() })],
                BadSignature,
            ),
            (
                "an operators' body that was left out",
                |s| vec![job(Cmd { op_body: None, ..s.host.cmd_with(&s.body, "{}", vec![]) })],
                BadSignature,
            ),
            ("an expired order", |s| vec![s.expired()], Expired),
        ],
    )
    .await;
    Scene::new().runs_once_untouched().await;
}

#[tokio::test]
async fn no_other_version_or_shape_of_a_line_runs() {
    let scene = Scene::new();
    let line = String::from_utf8(Request { v: VERSION, op: job(scene.order()) }.to_line().unwrap()).unwrap();
    let sig = scene.order().signed.sig.to_string();
    for (name, line) in [
        ("a version before the first", line.replacen("\"v\":1", "\"v\":0", 1)),
        ("a version of the future", line.replacen("\"v\":1", "\"v\":2", 1)),
        ("no version", line.replacen("\"v\":1,", "", 1)),
        ("a version twice", line.replacen("\"v\":1", "\"v\":1,\"v\":1", 1)),
        ("half a signature", line.replace(&sig, &sig[..64])),
        ("an unknown wish", line.replacen("\"job\"", "\"run\"", 1)),
        ("two wishes", line.replacen("{\"job\"", "{\"cancel\":{},\"job\"", 1)),
    ] {
        let answer = scene.tell_line(line.as_bytes()).await;
        assert!(answer.starts_with("{\"refused\""), "{name}: {answer}");
        scene.assert_nothing_ran(name);
    }
    scene.runs_once_untouched().await;
}

#[tokio::test]
async fn no_old_or_foreign_welcome_revives_an_order() {
    let hour = 3_600_000;
    for (name, forge) in [
        (
            "an older welcome",
            (|s| s.welcome(&s.host.hub, signing::WELCOME, s.host.server_id, now_ms() - 3_600_000)) as fn(&Scene) -> Op,
        ),
        ("another server's welcome", |s| s.welcome(&s.host.hub, signing::WELCOME, new_id(), now_ms() - 3_600_000)),
        ("a stranger's welcome", |s| s.welcome(&s.stranger, signing::WELCOME, s.host.server_id, now_ms() - 3_600_000)),
        ("a licence that is used as a welcome", |s| {
            s.welcome(&s.host.hub, signing::LICENSE, s.host.server_id, now_ms() - 3_600_000)
        }),
    ] {
        let scene = Scene::new();
        let genuine = scene.welcome(&scene.host.hub, signing::WELCOME, scene.host.server_id, now_ms());
        assert!(matches!(scene.tell(genuine).await, Note::Described(_)));
        scene.tell(forge(&scene)).await;
        // Also where the order itself brings it along.
        let Op::Welcome(welcome) = forge(&scene) else { unreachable!() };
        let Op::Job(order) = scene.expired() else { unreachable!() };
        let op = Op::Job(Box::new(JobOrder { welcome: Some(welcome), ..*order }));
        assert_eq!(scene.attempt(vec![op]).await, Some(Expired), "{name}");
        scene.assert_nothing_ran(name);
    }
    // Only what the hub signed for this server moves its time: the others' future expires nothing.
    let scene = Scene::new();
    for op in [
        scene.welcome(&scene.host.hub, signing::WELCOME, new_id(), now_ms() + hour),
        scene.welcome(&scene.stranger, signing::WELCOME, scene.host.server_id, now_ms() + hour),
    ] {
        scene.tell(op).await;
    }
    scene.runs_once_untouched().await;
}

#[tokio::test]
async fn no_replay_runs_whatever_the_relay_does_to_its_own_files() {
    let scene = Scene::new();
    let order = scene.order();
    scene.runs_once(order.clone()).await;
    let paths = &scene.host.paths;
    let wipe_spool = || std::fs::remove_dir_all(paths.spool_dir().join(scene.body.job_id.to_string())).unwrap();
    let replay = async |name: &str| {
        let Note::Ack(CmdAck { outcome: CmdOutcome::Already(already), .. }) = scene.tell(job(order.clone())).await
        else {
            panic!("{name}")
        };
        assert_eq!(already.state, SpoolState::Succeeded, "{name}");
        assert_eq!(read(&scene.mark), "ran\n", "{name}");
    };
    replay("the same order again").await;
    wipe_spool();
    replay("after the spool was emptied").await;
    assert!(matches!(scene.tell(Op::Sweep).await, Note::Swept(_)));
    replay("after a sweep: a claim is kept until its order has expired").await;
    for name in ["restrictions.json", "hub.json", "hub-time.json", "policy.toml"] {
        std::fs::write(paths.relay_dir().join(name), "{}").unwrap();
    }
    replay("with files of the relay's own that bear the names of trusted ones").await;
}

/// The host is restored from a copy that was made before the job ran. Nothing on it knows of the job any more, so what
/// holds is the expiry of orders, and that alone: one that has not expired yet can run a second time.
#[tokio::test]
async fn on_a_restored_disk_only_unexpired_orders_could_run_again() {
    let scene = Scene::new();
    let order = scene.order();
    scene.runs_once(order.clone()).await;
    let restore = || {
        for dir in [scene.host.paths.claims_dir(), scene.host.paths.spool_dir()] {
            std::fs::remove_dir_all(&dir).unwrap();
            std::fs::create_dir(&dir).unwrap();
        }
        let _ = std::fs::remove_file(scene.host.paths.trust_dir().join("hub-time.json"));
    };
    restore();
    assert_eq!(scene.attempt(vec![scene.expired()]).await, Some(Expired), "an expired one never");
    // The hub's time, once it is heard again, ends what this host's clock might let pass.
    let later = scene.welcome(&scene.host.hub, signing::WELCOME, scene.host.server_id, scene.body.expires_at_ms);
    scene.tell(later).await;
    assert_eq!(scene.attempt(vec![job(order.clone())]).await, Some(Expired));
    assert_eq!(read(&scene.mark), "ran\n");
    // What is not promised.
    restore();
    let (ack, running) = scene.host.workers.submit(scene.body.job_id, order, None).await.unwrap();
    scene.host.finish(&mut running.unwrap_or_else(|| panic!("{ack:?}"))).await;
    let claims = Claims::open(&scene.host.paths).unwrap();
    support::wait_for("the end of the worker", || (!claims.is_alive(scene.body.job_id)).then_some(()));
    assert_eq!(read(&scene.mark), "ran\nran\n");
}

#[tokio::test]
async fn no_forged_cancel_ends_a_job() {
    let scene = Scene::new();
    let body = scene.host.body(&command("sleep 1000"));
    let _job = scene.host.start(&body).await;
    let mut control = scene.host.attach(body.job_id).await;
    let good = scene.host.cancel(body.job_id).0;
    let mut flipped = good.clone();
    flipped.sig.0[3] ^= 4;
    let foreign = good.body.replace(&scene.host.server_id.to_string(), &new_id());
    for (name, forged) in [
        ("a flipped bit", flipped),
        ("the order itself", scene.host.cmd(&body).signed),
        ("a cancel under the order's purpose", scene.host.hub.sign(signing::CMD, good.body.clone())),
        ("a stranger's", scene.stranger.sign(signing::CANCEL, good.body.clone())),
        ("another server's", scene.host.hub.sign(signing::CANCEL, foreign)),
        ("another job's", scene.host.cancel(new_id().parse().unwrap()).0),
    ] {
        control.cancel(&Cancel(forged)).await.unwrap();
        loop {
            match control.next().await.unwrap() {
                Some(Note::Refused(_)) => break,
                Some(Note::Spooled(_)) => {}
                other => panic!("{name}: {other:?}"),
            }
        }
    }
    control.cancel(&Cancel(good)).await.unwrap();
    assert_eq!(scene.host.finish(&mut control).await.done.state, EndState::Cancelled);
}

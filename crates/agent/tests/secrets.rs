//! Secret variables reach the process and nothing that the process writes shows them.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at the machine directly, and fail loudly"
)]

mod support;

use std::os::unix::fs::PermissionsExt as _;

use protocol::exec::ExecArgs;
use protocol::job::EndState;
use support::{Host, command, env, output};

const SECRET: &str = "s3cr3t-value";

fn with_secret(text: &str) -> ExecArgs {
    ExecArgs { secret_env: env(&[("TOKEN", SECRET), ("KEY", "line-one\nline-two\n")]), ..command(text) }
}

/// Every byte of the spool, whatever file it lies in.
fn spooled(host: &Host) -> Vec<u8> {
    let mut files = vec![host.paths.spool_dir()];
    let mut bytes = Vec::new();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            bytes.extend(std::fs::read(path).unwrap());
        }
    }
    bytes
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

#[tokio::test]
async fn the_process_has_them_and_its_output_does_not() {
    let host = Host::new();
    let script = r#"test "$TOKEN" = s3cr3t-value || exit 9
        echo "out $TOKEN$TOKEN end"; echo "err $TOKEN" >&2; printf '%s' "$KEY"; printf 's3cr3t'; printf '%s' '-val'"#;
    let finished = host.run(&with_secret(script)).await;
    assert_eq!((finished.done.state, finished.done.exit_code), (EndState::Succeeded, Some(0)));
    assert_eq!(finished.log.out(), "out ****** end\n***\ns3cr3t-val");
    assert_eq!(finished.log.err(), "err ***\n");
    assert!(!has(&spooled(&host), SECRET) && !has(&spooled(&host), "line-one"));

    // The order itself is evidence, and only root may look at it.
    let claim = host.paths.claims_dir().join(finished.done.job_id.to_string());
    assert_eq!(claim.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(has(&std::fs::read(claim).unwrap(), SECRET));
}

#[tokio::test]
async fn a_secret_that_is_written_in_pieces_is_hidden() {
    let host = Host::new();
    let script = "for part in s 3cr 3t-va lue; do printf %s $part; sleep 0.05; done; seq 1 200000; echo $TOKEN";
    let finished = host.run(&with_secret(script)).await;
    let numbers: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
    assert!(finished.log.out() == format!("***{numbers}***\n"), "much output with secrets at both ends differs");
}

#[tokio::test]
async fn a_prompt_that_ends_like_a_secret_begins_is_not_held_for_ever() {
    let host = Host::new();
    let mut job = host.start(&host.body(&with_secret("printf 'yes'; cat; sleep 600"))).await;
    assert_eq!(output(&host, &mut job, "yes").await, "yes");
    job.cancel(&host.cancel(job.job_id())).await.unwrap();
    assert_eq!(host.finish(&mut job).await.done.state, EndState::Cancelled);
}

//! Operators' signatures: what this agent takes, `ssh-keygen -Y verify` takes too.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at the machine directly, and fail loudly"
)]

mod support;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use agent::operators::{Operator, OperatorSignatureError, verify};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::job::RejectCode;
use support::{Host, OperatorKey, command, op_body, rejection};

/// OpenSSH's own program, with a directory for its files.
struct SshKeygen {
    dir: tempfile::TempDir,
}

impl SshKeygen {
    /// `None` where it is not installed.
    fn find() -> Option<Self> {
        let found = Command::new("ssh-keygen").arg("-?").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
        found.then(|| Self { dir: tempfile::tempdir().unwrap() })
    }

    fn run(&self, arguments: &[&str]) {
        let output = Command::new("ssh-keygen").args(arguments).current_dir(self.dir.path()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A new key; gives its public line.
    fn key(&self, name: &str, kind: &str) -> String {
        self.run(&["-q", "-t", kind, "-N", "", "-C", "ada@laptop", "-f", name]);
        support::read(&self.path(&format!("{name}.pub"))).trim().to_owned()
    }

    fn sign(&self, key: &str, namespace: &str, hash: &str, message: &str) -> String {
        std::fs::write(self.path("message"), message).unwrap();
        let _ = std::fs::remove_file(self.path("message.sig"));
        let hash = format!("hashalg={hash}");
        self.run(&["-q", "-Y", "sign", "-f", key, "-n", namespace, "-O", &hash, "message"]);
        support::read(&self.path("message.sig"))
    }

    fn verifies(&self, signature: &str, message: &str) -> bool {
        std::fs::write(self.path("checked.sig"), signature).unwrap();
        std::fs::write(self.path("checked"), message).unwrap();
        let status = Command::new("ssh-keygen")
            .args(["-Y", "verify", "-f", "allowed", "-I", "ada", "-n", "roadstead-job", "-s", "checked.sig"])
            .current_dir(self.dir.path())
            .stdin(std::fs::File::open(self.path("checked")).unwrap())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.unwrap().success()
    }

    fn allow(&self, line: &str) {
        std::fs::write(self.path("allowed"), format!("ada namespaces=\"roadstead-job\" {line}\n")).unwrap();
    }
}

#[test]
fn signatures_count_exactly_where_ssh_keygen_says_so() {
    let Some(ssh) = SshKeygen::find() else { return };
    let line = ssh.key("ada", "ed25519");
    let stranger = ssh.key("eve", "ed25519");
    ssh.key("old", "ecdsa");
    ssh.allow(&line);
    let operators = [Operator::parse(&line).unwrap()];
    let message = r#"{"job_id":"1","kind":"exec"}"#;
    let good = ssh.sign("ada", "roadstead-job", "sha512", message);
    let (body, crlf) = (good.clone(), good.replace('\n', "\r\n"));
    let cases = [
        ("good", body, true),
        ("sha256", ssh.sign("ada", "roadstead-job", "sha256", message), true),
        ("line ends of Windows", crlf, false),
        ("one line", one_line(&good), true),
        ("something behind it", format!("{good}more\n"), true),
        ("another namespace", ssh.sign("ada", "file", "sha512", message), false),
        ("another key", ssh.sign("eve", "roadstead-job", "sha512", message), false),
        ("another kind of key", ssh.sign("old", "roadstead-job", "sha512", message), false),
        ("another message", ssh.sign("ada", "roadstead-job", "sha512", "{}"), false),
        ("something before it", format!(" {good}"), false),
        ("no end", good.replace("-----END", "-----"), false),
        ("nothing", String::new(), false),
        ("a key", line, false),
        ("a version of the future", of_blob(&good, |blob| blob[9] = 2), false),
        ("other magic", of_blob(&good, |blob| blob[0] ^= 1), false),
        ("cut short", of_blob(&good, |blob| blob.truncate(blob.len() - 1)), false),
        ("too long", of_blob(&good, |blob| blob.push(0)), false),
    ];
    for (what, signature, counts) in cases {
        assert_eq!(ssh.verifies(&signature, message), counts, "ssh-keygen: {what}");
        assert_eq!(verify(&signature, message.as_bytes(), &operators).is_ok(), counts, "{what}");
    }
    let unlisted = verify(&ssh.sign("eve", "roadstead-job", "sha512", message), message.as_bytes(), &operators);
    let Err(OperatorSignatureError::NotListed(fingerprint)) = unlisted else { panic!("{unlisted:?}") };
    assert_eq!(fingerprint, Operator::parse(&stranger).unwrap().fingerprint());
    let listed = Command::new("ssh-keygen").arg("-lf").arg(ssh.path("eve.pub")).output().unwrap();
    assert!(String::from_utf8(listed.stdout).unwrap().contains(&fingerprint));

    // Flipped bits: as OpenSSH says, but for a version below the first, which it takes.
    let length = blob_of(&good).len();
    for (at, bit) in (0..length * 8).step_by(7).map(|index| (index / 8, index % 8)) {
        let mutated = of_blob(&good, |blob| blob[at] ^= 1 << bit);
        let (ours, theirs) =
            (verify(&mutated, message.as_bytes(), &operators).is_ok(), ssh.verifies(&mutated, message));
        assert!(ours == theirs || (!ours && (6..10).contains(&at)), "byte {at}, bit {bit}: {ours} {theirs}");
    }
}

#[test]
fn what_the_tests_sign_is_what_ssh_keygen_takes() {
    let Some(ssh) = SshKeygen::find() else { return };
    let ada = OperatorKey::new(1);
    ssh.allow(&ada.line());
    assert!(ssh.verifies(&ada.sign("x"), "x"));
    assert!(ssh.verifies(&ada.sign_as("roadstead-job", 1, "sha256", "x"), "x"));
    assert!(!ssh.verifies(&ada.sign("x"), "y"));
}

#[tokio::test]
async fn a_job_that_ssh_keygen_signed_runs_and_one_that_it_did_not_is_refused() {
    let Some(ssh) = SshKeygen::find() else { return };
    let host = Host::new();
    host.policy(&format!(
        "require_operator_signature = [\"root\"]\noperators = [{:?}, {:?}]\n",
        OperatorKey::new(1).line(),
        ssh.key("ada", "ed25519"),
    ));
    let summary = host.workers.describe().await.unwrap().policy;
    assert_eq!(summary.operators.len(), 2);
    let body = host.body(&command("echo signed"));
    let (ack, _) = host.submit(&body).await;
    assert_eq!(rejection(&ack), Some(RejectCode::OperatorSignature));
    assert!(format!("{ack:?}").contains("ssh-keygen -Y sign -n roadstead-job"), "{ack:?}");
    let text = op_body(&body);
    // One of several is enough.
    let sigs = vec!["rubbish".to_owned(), ssh.sign("ada", "roadstead-job", "sha512", &text)];
    let (ack, job) = host.workers.submit(body.job_id, host.cmd_with(&body, &text, sigs), None).await.unwrap();
    let mut job = job.unwrap_or_else(|| panic!("{ack:?}"));
    assert_eq!(host.finish(&mut job).await.log.out(), "signed\n");
}

fn blob_of(armoured: &str) -> Vec<u8> {
    let base64: String = armoured.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(base64).unwrap()
}

/// The same signature with its base64 in one line.
fn one_line(armoured: &str) -> String {
    of_blob(armoured, |_| ())
}

fn of_blob(armoured: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut blob = blob_of(armoured);
    change(&mut blob);
    format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", STANDARD.encode(blob))
}

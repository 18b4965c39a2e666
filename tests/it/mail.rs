//! Mail through a real mail server, with STARTTLS and a password.
//!
//! `ROADSTEAD_TEST_MAIL_PYTHON` names a Python that has aiosmtpd (`cargo xtask test` installs it).

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use support::hub::{Hub, HubOptions, OWNER_EMAIL, free_port};
use support::process::Process;
use support::{secrets, wait};

const SOON: Duration = Duration::from_secs(30);
const USER: &str = "hub@example.test";

/// The mail server, and where it keeps what it took.
struct MailServer {
    _process: Process,
    dir: tempfile::TempDir,
    port: u16,
    password: String,
}

#[expect(clippy::print_stdout, reason = "a test that steps aside says so in its output")]
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("ROADSTEAD_TEST_MAIL_PYTHON").map(PathBuf::from);
    if python.is_none() {
        println!("skipped: ROADSTEAD_TEST_MAIL_PYTHON is not set (`cargo xtask test` sets it)");
    }
    python
}

impl MailServer {
    async fn start(python: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(path("cert.pem"), issued.cert.pem()).unwrap();
        std::fs::write(path("key.pem"), issued.signing_key.serialize_pem()).unwrap();
        std::fs::create_dir(path("letters")).unwrap();
        let (port, password) = (free_port(), secrets::new_password());
        std::fs::write(path("password"), &password).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/it/mail_server.py");
        let args = [
            script.to_owned(),
            port.to_string(),
            path("letters"),
            path("cert.pem"),
            path("key.pem"),
            USER.to_owned(),
            password.clone(),
        ];
        let mut process = Process::start(python, &args, &[], Path::new(&path("log")));
        wait::until("the mail server to answer", SOON, async || {
            assert!(!process.has_ended(), "the mail server ended:\n{}", process.log_tail());
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await
        })
        .await;
        Self { _process: process, dir, port, password }
    }

    /// Settings that lead here.
    fn args(&self) -> Vec<String> {
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        let settings = [
            ("--mail-host", "localhost".to_owned()),
            ("--mail-port", self.port.to_string()),
            ("--mail-username", USER.to_owned()),
            ("--mail-password-file", path("password")),
            ("--mail-from", "Roadstead <hub@example.test>".to_owned()),
            ("--trusted-ca-file", path("cert.pem")),
        ];
        settings.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
    }

    /// The letter with this number, from 1.
    async fn letter(&self, number: usize) -> Value {
        let path = self.dir.path().join(format!("letters/{number}.json"));
        let text = wait::until("a letter", SOON, async || std::fs::read_to_string(&path)).await;
        serde_json::from_str(&text).unwrap()
    }

    fn count(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("letters")).unwrap().count()
    }
}

fn token(letter: &Value, prefix: &str) -> String {
    let text = letter["text"].as_str().unwrap();
    let token = text.split(prefix).nth(1).unwrap_or_else(|| panic!("no {prefix} in {text}"));
    let token = token.split_whitespace().next().unwrap().to_owned();
    secrets::issued(&token);
    token
}

#[tokio::test]
async fn a_forgotten_password_is_chosen_anew_and_an_invitation_arrives() {
    let Some(python) = python() else { return };
    let server = MailServer::start(&python).await;
    let hub = Hub::start_with(HubOptions { args: server.args(), ..HubOptions::default() }).await;
    let nobody = hub.api();
    for email in ["nobody@example.test", OWNER_EMAIL] {
        let asked = nobody.post("/v1/auth/password-reset", &json!({ "email": email })).await.unwrap();
        assert_eq!(asked.expect(202), json!({}));
    }
    let letter = server.letter(1).await;
    assert_eq!(
        (&letter["tls"], &letter["authenticated"], &letter["to"]),
        (&json!(true), &json!(true), &json!([OWNER_EMAIL]))
    );
    let link = format!("{}/reset-password#", hub.public_url());
    let token_ = token(&letter, &link);
    assert!(letter["html"].as_str().unwrap().contains(&format!("{link}{token_}")), "{letter}");
    let password = secrets::new_password();
    let form = json!({ "token": token_, "password": password });
    nobody.post("/v1/auth/password-reset/complete", &form).await.unwrap().expect(200);
    nobody.post("/v1/auth/password-reset/complete", &form).await.unwrap().expect(410);
    assert_eq!(server.letter(2).await["subject"], "Your Roadstead password was changed");

    let mut owner = hub.api();
    let login = json!({ "email": OWNER_EMAIL, "password": password });
    let answer = owner.post("/v1/auth/login", &login).await.unwrap();
    answer.expect(200);
    owner.keep_session(&answer);
    let form = json!({
        "email": "ann@example.org", "granted": { "role": "viewer" }, "scope": { "type": "workspace" },
    });
    let made = owner.post("/v1/team/invites", &form).await.unwrap().expect(201);
    assert_eq!(made["mailed"], true);
    let invitation = server.letter(3).await;
    let invited = token(&invitation, &format!("{}/invite#", hub.public_url()));
    let accept = json!({ "token": invited, "name": "Ann", "password": secrets::new_password() });
    nobody.post("/v1/invites/accept", &accept).await.unwrap().expect(200);
    assert_eq!(server.count(), 3, "nobody else got mail");
    let tested = owner.post("/v1/installation/mail-test", &json!({ "to": "olga@example.org" })).await.unwrap();
    assert!(tested.expect(200)["response"].as_str().unwrap().starts_with("250"), "{}", tested.text);
    let shown = owner.get("/v1/installation").await.unwrap();
    assert!(!shown.text.contains(&server.password), "{}", shown.text);
}

#[tokio::test]
async fn a_mail_server_that_nobody_vouches_for_gets_neither_password_nor_letter() {
    let Some(python) = python() else { return };
    let server = MailServer::start(&python).await;
    let mut args = server.args();
    args.truncate(args.len() - 2);
    let hub = Hub::start_with(HubOptions { args, ..HubOptions::default() }).await;
    let owner = hub.owner().await;
    let tested = owner.post("/v1/installation/mail-test", &json!({ "to": "olga@example.org" })).await.unwrap();
    assert_eq!(tested.status, 503, "{}", tested.text);
    assert!(tested.text.contains("certificate"), "{}", tested.text);
    assert_eq!(server.count(), 0);
}

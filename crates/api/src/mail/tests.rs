//! Promises of mail, and a mail server that keeps what it is told.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::clock::Timestamp;
use crate::config::{Config, MailTls};
use crate::testing::{OWNER_EMAIL, TestHub};

/// A letter as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) to: Vec<String>,
    /// Headers and body, with what quoted-printable hides taken out.
    pub(crate) text: String,
}

impl Received {
    /// The first link of the hub in it.
    pub(crate) fn link(&self) -> String {
        let mut lines = self.text.lines();
        let link = lines.find(|line| line.starts_with("http://") && line.contains('#'));
        link.unwrap_or_else(|| panic!("no link in {}", self.text)).to_owned()
    }

    pub(crate) fn subject(&self) -> String {
        let line = self.text.lines().find(|line| line.starts_with("Subject: ")).unwrap();
        line.trim_start_matches("Subject: ").to_owned()
    }
}

/// Takes mail on loopback.
pub(crate) struct Catcher {
    pub(crate) port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    /// What it says to RCPT instead of 250.
    refusal: Arc<Mutex<Option<&'static str>>>,
    _task: AbortOnDropHandle<()>,
}

impl Catcher {
    #[expect(clippy::disallowed_methods, reason = "a test's own server")]
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (received, refusal) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(None)));
        let (kept, refused) = (Arc::clone(&received), Arc::clone(&refusal));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, Arc::clone(&kept), Arc::clone(&refused)));
            }
        });
        Self { port, received, refusal, _task: AbortOnDropHandle::new(task) }
    }

    /// Settings that lead here.
    pub(crate) fn configure(&self, config: &mut Config) {
        config.mail = Some(Mail {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            tls: MailTls::Off,
            login: None,
            from: "Roadstead <hub@example.com>".parse().unwrap(),
        });
    }

    pub(crate) fn refuse(&self, answer: Option<&'static str>) {
        *self.refusal.lock().unwrap() = answer;
    }

    /// What has arrived since the last time.
    pub(crate) fn take(&self) -> Vec<Received> {
        std::mem::take(&mut *self.received.lock().unwrap())
    }
}

async fn converse(
    stream: TcpStream,
    received: Arc<Mutex<Vec<Received>>>,
    refusal: Arc<Mutex<Option<&'static str>>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 catcher ESMTP\r\n").await?;
    let mut to = Vec::new();
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.trim_end().to_owned();
        let answer = match command.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => "250-catcher\r\n250-8BITMIME\r\n250 SMTPUTF8",
            "RCPT" => match *refusal.lock().unwrap() {
                Some(refusal) => refusal,
                None => {
                    to.push(command.split(['<', '>']).nth(1).unwrap_or_default().to_owned());
                    "250 ok"
                }
            },
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
        if command == "DATA" {
            let mut data = String::new();
            loop {
                line.clear();
                stream.read_line(&mut line).await?;
                if line == ".\r\n" {
                    break;
                }
                data.push_str(line.strip_prefix('.').unwrap_or(&line));
            }
            received.lock().unwrap().push(Received { to: std::mem::take(&mut to), text: unquoted(&data) });
            stream.write_all(b"250 kept as number 1\r\n").await?;
        }
    }
}

/// Takes soft line breaks and `=XX` out.
fn unquoted(text: &str) -> String {
    let joined = text.replace("=\r\n", "").replace("\r\n", "\n");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'=', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Tries everything that is due, until nothing is.
pub(crate) async fn deliver(hub: &TestHub) {
    loop {
        let attempts = deliveries::reconcile(&hub.hub).await.unwrap();
        if attempts.is_empty() {
            return;
        }
        for attempt in attempts {
            attempt.await.unwrap();
        }
    }
}

fn every_notice() -> Vec<Notice<'static>> {
    let expires = Timestamp::from_ms(0);
    vec![
        Notice::PasswordReset { link: "https://hub.example/reset-password#x", ip: "192.0.2.1" },
        Notice::Invitation { workspace: "Home", inviter: "Olga", link: "https://hub.example/invite#x", expires },
        Notice::PasswordChanged { how: "by hand" },
        Notice::EmailChanged { old: "a@example.com", new: "b@example.com", ip: "192.0.2.1" },
        Notice::EmailChangeLink { link: "https://hub.example/change-email#x", ip: "192.0.2.1" },
        Notice::EmailChangeAsked { new: "b@example.com", ip: "192.0.2.1" },
        Notice::TotpEnabled,
        Notice::TotpDisabled { how: "by hand" },
        Notice::RecoveryCodeUsed { left: 2 },
        Notice::PasskeyAdded { passkey: "Phone" },
        Notice::PasskeyRemoved { passkey: "Phone" },
        Notice::PasskeysRemoved { count: 2, how: "by hand" },
        Notice::IdentityLinked { provider: "Company", identity: "ann@example.net" },
        Notice::IdentityUnlinked { provider: "Company", identity: "ann@example.net" },
        Notice::NewSignIn { ip: "192.0.2.1", agent: "" },
        Notice::ApiKeyMade { key: "ci", workspace: "Home", ip: "192.0.2.1" },
        Notice::WebhookDisabled { webhook: "Chat", workspace: "Home", reason: "it is gone" },
        Notice::Test,
    ]
}

#[tokio::test]
async fn every_template_is_filled_and_every_file_used() {
    let hub = TestHub::sqlite().await;
    let to = Recipient { email: "ann@example.com", name: "Ann", person: None };
    let mut used = Vec::new();
    for notice in every_notice() {
        let (name, template) = notice.template();
        assert!(template.starts_with("Subject: "), "{name}");
        let letter = letter(&hub.hub, &to, &notice);
        for part in [&letter.subject, &letter.text] {
            assert!(!part.contains(['{', '}']) && !part.is_empty(), "{name}: {part}");
        }
        assert!(!letter.subject.contains('\n') && letter.html.starts_with("<!doctype html>"), "{name}");
        used.push(format!("{name}.txt"));
    }
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/mail/templates")).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    used.sort();
    assert_eq!(files, used);
}

#[tokio::test]
async fn names_and_addresses_break_out_of_nothing() {
    let catcher = Catcher::new().await;
    let hub = TestHub::with_config(|config| catcher.configure(config)).await;
    hub.owner().await;
    let mut unit = hub.hub.begin().await.unwrap();
    let evil = "Ann\r\nBcc: all@example.com\r\n\r\n<b>hi</b>";
    let to = Recipient { email: "ann@example.com", name: evil, person: None };
    let notice = Notice::WebhookDisabled { webhook: evil, workspace: "\"; DROP", reason: "\n.\r\nRCPT TO:<x@y.z>" };
    notify(&hub.hub, &mut unit, &to, &notice).await.unwrap();
    for address in ["ann@example.com\r\nRCPT TO:<all@example.com>", "ann@example.com>,<b@example.com", "ann", "@"] {
        let to = Recipient { email: address, name: "Ann", person: None };
        notify(&hub.hub, &mut unit, &to, &Notice::TotpEnabled).await.unwrap();
    }
    unit.commit().await.unwrap();
    deliver(&hub).await;
    let received = catcher.take();
    assert_eq!(received.len(), 1, "what is no address is written to nobody: {received:?}");
    assert_eq!(received[0].to, ["ann@example.com"]);
    let headers = received[0].text.split("\n\n").next().unwrap();
    assert!(headers.lines().all(|line| !line.starts_with("Bcc") && !line.starts_with("RCPT")), "{headers}");
    assert!(headers.contains("Auto-Submitted: auto-generated"), "{headers}");
    let html = received[0].text.split("text/html").nth(1).unwrap();
    assert!(html.contains("&lt;b&gt;hi") && !html.contains("<b>"), "{html}");
}

#[tokio::test]
async fn a_letter_waits_sealed_and_is_forgotten_once_it_has_arrived() {
    let catcher = Catcher::new().await;
    for hub in TestHub::each_engine_with(|config| catcher.configure(config)).await {
        let owner = hub.owner().await;
        catcher.refuse(Some("451 later"));
        let mut unit = hub.hub.begin().await.unwrap();
        let to = Recipient { email: OWNER_EMAIL, name: "Olga", person: None };
        let notice = Notice::PasswordReset { link: "https://hub.example/reset-password#rspr_secret", ip: "192.0.2.1" };
        notify(&hub.hub, &mut unit, &to, &notice).await.unwrap();
        unit.commit().await.unwrap();
        deliver(&hub).await;
        let stored = stored_payload(&hub).await.unwrap();
        assert!(!stored.contains("rspr_secret") && !stored.contains("owner@"), "{stored}");
        let listed = owner.get("/v1/deliveries?channel=mail").await.json();
        let shown = &listed["data"][0];
        assert_eq!(
            (&shown["state"], &shown["to"], &shown["event"], &shown["last_attempt"]["status"]),
            (&json!("waiting"), &json!("o…@example.com"), &json!("password_reset"), &json!(451))
        );
        let detail = owner.get(&format!("/v1/deliveries/{}", shown["id"].as_str().unwrap())).await.json();
        assert!(detail["payload"].is_null() && detail["attempts_made"].as_array().unwrap().len() == 1, "{detail}");

        catcher.refuse(None);
        hub.clock.advance(std::time::Duration::from_secs(60));
        deliver(&hub).await;
        let received = catcher.take();
        assert_eq!(received.len(), 1);
        assert!(received[0].text.contains("https://hub.example/reset-password#rspr_secret"), "{}", received[0].text);
        assert_eq!(stored_payload(&hub).await, None);
        let path = format!("/v1/deliveries/{}/retry", shown["id"].as_str().unwrap());
        assert_eq!(owner.post(&path, json!({})).await.status, 409, "what it said is not kept");
    }
}

#[tokio::test]
async fn an_account_makes_fifty_letters_a_day_and_links_for_a_password_beside() {
    let catcher = Catcher::new().await;
    for hub in TestHub::each_engine_with(|config| catcher.configure(config)).await {
        let owner = hub.owner().await;
        let id = owner.get("/v1/auth/session").await.json()["user"]["id"].as_str().unwrap().parse().unwrap();
        let write = async |person: Option<UserId>, notice: Notice<'_>| {
            let mut unit = hub.hub.begin().await.unwrap();
            let to = Recipient { email: OWNER_EMAIL, name: "Olga", person };
            let written = notify(&hub.hub, &mut unit, &to, &notice).await.unwrap();
            unit.commit().await.unwrap();
            written
        };
        let link = Notice::PasswordReset { link: "https://hub.example/x#y", ip: "192.0.2.1" };
        assert!(write(Some(id), link).await);
        let mut written = 0;
        for _ in 0..60 {
            written += u32::from(write(Some(id), Notice::TotpEnabled).await);
        }
        assert_eq!(written, 50);
        assert!(write(Some(id), link).await, "who forgot their password gets in");
        assert!(write(None, Notice::TotpEnabled).await, "others are not counted with them");
        hub.clock.advance(std::time::Duration::from_hours(25));
        assert!(write(Some(id), Notice::TotpEnabled).await);
    }
}

async fn stored_payload(hub: &TestHub) -> Option<String> {
    let mut session = hub.hub.db.read().await.unwrap();
    let text = "select payload from deliveries where channel = 'mail' order by id desc limit 1".to_owned();
    let (payload,): (Option<String>,) = session.conn().query_built(text).fetch_one().await.unwrap();
    payload
}

#[tokio::test]
async fn what_a_server_refuses_for_good_is_not_tried_again() {
    let catcher = Catcher::new().await;
    let hub = TestHub::with_config(|config| catcher.configure(config)).await;
    let owner = hub.owner().await;
    catcher.refuse(Some("550 no such user"));
    let mut unit = hub.hub.begin().await.unwrap();
    notify(&hub.hub, &mut unit, &Recipient { email: "x@example.com", name: "", person: None }, &Notice::TotpEnabled)
        .await
        .unwrap();
    unit.commit().await.unwrap();
    deliver(&hub).await;
    let listed = owner.get("/v1/deliveries").await.json();
    let shown = &listed["data"][0];
    assert_eq!((&shown["state"], &shown["attempts"]), (&json!("failed"), &json!(1)), "{shown}");
    assert!(shown["last_attempt"]["error"].as_str().unwrap().contains("no such user"), "{shown}");
}

#[tokio::test]
async fn a_hub_that_lost_its_sealing_key_says_so_and_goes_on() {
    let catcher = Catcher::new().await;
    let hub = TestHub::with_config(|config| catcher.configure(config)).await;
    let owner = hub.owner().await;
    let mut unit = hub.hub.begin().await.unwrap();
    notify(&hub.hub, &mut unit, &Recipient { email: "x@example.com", name: "", person: None }, &Notice::TotpEnabled)
        .await
        .unwrap();
    unit.commit().await.unwrap();
    let again = hub.restarted_without_sealing_key();
    for attempt in deliveries::reconcile(&again).await.unwrap() {
        attempt.await.unwrap();
    }
    let listed = owner.get("/v1/deliveries").await.json();
    let error = listed["data"][0]["last_attempt"]["error"].as_str().unwrap().to_owned();
    assert!(error.contains("lost the key") && catcher.take().is_empty(), "{error}");
}

#[test]
fn masks_show_enough_and_no_more() {
    for (address, shown) in [("ann@example.com", "a…@example.com"), ("@x", "…@x"), ("é@x.y", "é…@x.y"), ("", "…@")]
    {
        assert_eq!(masked(address), shown);
    }
}

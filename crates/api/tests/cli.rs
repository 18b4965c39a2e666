//! Promises of the command line, on the real program.
#![expect(clippy::disallowed_methods, reason = "tests start the program as its users do")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const PASSWORD: &str = "correct horse battery";

fn roadstead() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roadstead"));
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> Output {
    roadstead().args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Exit code and what was said on standard error.
fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let output = run(arguments);
    (output.status.code(), text(&output.stderr))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A running hub; killed when dropped.
struct Hub {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
}

impl Hub {
    fn start(data_dir: &str, port: u16) -> Self {
        let listen = format!("127.0.0.1:{port}");
        let mut child = roadstead().args(["serve", "--data-dir", data_dir, "--listen", &listen]).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self { child, log }
    }

    /// The next line of the log that holds `wanted`.
    fn wait_for(&mut self, wanted: &str) -> String {
        let mut said = String::new();
        loop {
            let mut line = String::new();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "the hub ended without saying {wanted}: {said}");
            if line.contains(wanted) {
                return line;
            }
            said.push_str(&line);
        }
    }

    /// Asks it to stop; what it still said.
    fn stop(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        rest
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn create_owner(data_dir: &str, email: &str, password: &str) -> Output {
    let mut command = roadstead();
    command.args(["admin", "create-owner", "--data-dir", data_dir, "--email", email, "--password-stdin"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
    child.wait_with_output().unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_program_says_what_it_is() {
    assert_eq!(text(&run(&["version"]).stdout), format!("roadstead {}\n", env!("CARGO_PKG_VERSION")));
    let document: serde_json::Value = serde_json::from_slice(&run(&["openapi"]).stdout).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(run(&[]).status.code(), Some(2));
    assert_eq!(run(&["serve", "--colour", "blue"]).status.code(), Some(2));
}

#[test]
fn somebody_who_forgot_a_password_or_lost_an_app_is_helped() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let email = "ann@example.com";
    assert!(create_owner(path(&data_dir), email, PASSWORD).status.success());

    let reset = run(&["admin", "reset-password", "Ann@Example.com", "--data-dir", path(&data_dir)]);
    let said = text(&reset.stdout);
    assert!(reset.status.success(), "{}", text(&reset.stderr));
    assert!(said.starts_with("ann@example.com has another password now; 0 sessions of theirs were ended\n"), "{said}");
    let password = said.lines().find_map(|line| line.strip_prefix("password: ")).unwrap();
    assert_eq!(password.len(), 24, "{password}");

    let mut command = roadstead();
    command.args(["admin", "reset-password", email, "--password-stdin", "--data-dir", path(&data_dir)]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "short").unwrap();
    let short = child.wait_with_output().unwrap();
    assert!(!short.status.success() && text(&short.stderr).contains("at least 12 characters"));

    let (code, said) = refused(&["admin", "reset-password", "bob@example.com", "--data-dir", path(&data_dir)]);
    assert_eq!((code, said.as_str()), (Some(1), "roadstead: no such account with this e-mail address\n"));
    let off = run(&["admin", "disable-totp", email, "--data-dir", path(&data_dir)]);
    assert_eq!(text(&off.stdout), "ann@example.com had no one-time codes; nothing was changed\n");
    let removed = run(&["admin", "remove-passkeys", email, "--data-dir", path(&data_dir)]);
    assert_eq!(text(&removed.stdout), "ann@example.com had no passkeys; nothing was changed\n");
}

#[test]
fn a_misspelt_key_is_refused_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("roadstead.toml");
    std::fs::write(&file, "# settings\nlisten_on = \"127.0.0.1:1\"\npublic_ulr = \"x\"\n").unwrap();
    for command in [&["config", "check"] as &[_], &["serve"]] {
        let (code, said) = refused(&[command, &["--data-dir", path(dir.path())]].concat());
        let place = format!("roadstead: {}:2: unknown key listen_on", file.display());
        assert_eq!(code, Some(1));
        assert!(said.starts_with(&place), "{said}");
    }
}

#[test]
fn config_check_shows_what_is_in_force_and_hides_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = roadstead();
    command.args(["config", "check", "--data-dir", path(dir.path()), "--listen", "127.0.0.1:9999"]);
    command
        .env("ROADSTEAD_DATABASE", "postgres://ann:hunter2@db.example/roadstead")
        .env("ROADSTEAD_METRICS_TOKEN", "hunter3");
    let output = command.output().unwrap();
    let said = text(&output.stdout);
    assert!(output.status.success());
    assert!(
        said.lines().any(|line| line.starts_with("listen ") && line.ends_with("= 127.0.0.1:9999  # --listen")),
        "{said}"
    );
    assert!(
        said.lines()
            .any(|line| line.contains("postgres://db.example/roadstead") && line.ends_with("# ROADSTEAD_DATABASE")),
        "{said}"
    );
    assert!(!said.contains("hunter"), "{said}");
}

#[test]
fn a_hub_starts_tells_its_set_up_code_and_stops() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut hub = Hub::start(path(dir.path()), port);
    assert!(hub.wait_for("the hub is up").contains(&format!("http://127.0.0.1:{port}")));
    let line = hub.wait_for("set-up code");
    let code = line.split("set-up code ").nth(1).unwrap();
    assert_eq!(code.as_bytes()[4], b'-', "{line}");

    // Beside it: an owner can be made, a second hub cannot run.
    let data_dir = path(dir.path());
    let created = create_owner(data_dir, "ann@example.com", PASSWORD);
    assert_eq!(created.status.code(), Some(0), "{}", text(&created.stderr));
    let exists = create_owner(data_dir, "ANN@example.com", PASSWORD);
    assert_eq!(exists.status.code(), Some(3));
    assert!(text(&exists.stderr).contains("account with this e-mail already"));
    for (email, password, problem) in [
        ("ann", PASSWORD, "--email must be an e-mail address"),
        ("bob@example.com", "short", "the password must have at least 12 characters"),
        ("bob@example.com", "", "no password came on standard input"),
    ] {
        let output = create_owner(data_dir, email, password);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(problem), "{}", text(&output.stderr));
    }
    let (code, said) = refused(&["serve", "--data-dir", data_dir, "--listen", &format!("127.0.0.1:{}", free_port())]);
    assert_eq!(code, Some(1));
    assert!(said.contains("another hub runs on the data directory"), "{said}");

    let other = tempfile::tempdir().unwrap();
    let (code, said) = refused(&["serve", "--data-dir", path(other.path()), "--listen", &format!("127.0.0.1:{port}")]);
    assert_eq!(code, Some(1));
    assert!(said.contains("is in use by another program"), "{said}");

    let rest = hub.stop();
    assert!(rest.contains("stopping: SIGTERM") && rest.trim_end().ends_with("stopped"), "{rest}");
    assert!(dir.path().join("audit-head.json").exists(), "the audit log was not chained to its end");

    // Owned now: no more set-up code.
    let mut hub = Hub::start(data_dir, port);
    hub.wait_for("the hub is up");
    assert!(!hub.stop().contains("set-up code"));
}

#[test]
fn a_directory_that_cannot_be_used_is_refused() {
    let (code, said) = refused(&["serve", "--data-dir", "/proc/roadstead"]);
    assert_eq!(code, Some(1));
    assert!(
        said.starts_with("roadstead: choose another data directory with --data-dir: cannot make the directory"),
        "{said}"
    );
}

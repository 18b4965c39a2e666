//! Promises of the settings.

mod oidc;

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::data_dir::write_private;

struct Given {
    dir: tempfile::TempDir,
    sources: Sources,
}

fn given(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Given {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("roadstead.toml");
    write_private(&path, file.as_bytes()).unwrap();
    let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let mut flags = map(flags);
    flags.entry("data_dir".to_owned()).or_insert_with(|| dir.path().display().to_string());
    Given { sources: Sources { flags, env: map(env) }, dir }
}

fn load(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Config {
    Config::load(&given(file, env, flags).sources).unwrap().config
}

/// The message, with the file's directory left out.
fn refused(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> String {
    let given = given(file, env, flags);
    let error = Config::load(&given.sources).unwrap_err();
    format!("{error:#}").replace(&format!("{}/", given.dir.path().display()), "")
}

#[test]
fn nothing_said_means_loopback_and_sqlite() {
    let given = given("", &[], &[]);
    let config = Config::load(&given.sources).unwrap().config;
    let dir = given.dir.path();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.public_url.as_str(), "http://127.0.0.1:8080");
    assert_eq!(config.tls, Tls::Off);
    assert_eq!((config.keys_dir, config.agents_dir), (dir.join("keys"), dir.join("agents")));
    let DbOptions::Sqlite(main) = config.database else { panic!("not SQLite") };
    let DbOptions::Sqlite(history) = config.history else { panic!("not SQLite") };
    assert_eq!((main, history), (dir.join("roadstead.db"), dir.join("history.db")));
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file() {
    let file = "heartbeat_interval_s = 10\n[log]\nformat = \"json\"\n";
    let interval = |env: &[(&str, &str)], flags: &[(&str, &str)]| load(file, env, flags).heartbeat_interval_s;
    let env = ("ROADSTEAD_HEARTBEAT_INTERVAL_S", "20");
    assert_eq!(interval(&[], &[]), 10);
    assert_eq!(interval(&[env], &[]), 20);
    assert_eq!(interval(&[env], &[("heartbeat_interval_s", "40")]), 40);
    assert_eq!(interval(&[("ROADSTEAD_HEARTBEAT_INTERVAL_S", "")], &[]), 10);
    assert_eq!(load(file, &[], &[]).log.format, LogFormat::Json);
}

#[test]
fn misspelt_keys_are_refused_with_their_line() {
    for (file, message) in [
        ("\n\nlisen = \"[::1]:1\"\n", "roadstead.toml:3: unknown key lisen; did you mean listen?"),
        ("[tls]\nmode = \"auto\"\nmodus = 1", "roadstead.toml:3: unknown key tls.modus; did you mean tls.mode?"),
        ("[[tsl]]\n", "roadstead.toml:1: unknown key tsl"),
        ("colour = 1", "roadstead.toml:1: unknown key colour"),
        ("\nlisten = 1 2", "roadstead.toml:2: "),
        (
            "heartbeat_interval_s = \"often\"",
            "roadstead.toml:1: heartbeat_interval_s is \"often\", but must be a number from 1 to 3600",
        ),
        ("\nheartbeat_interval_s = 0", "roadstead.toml:2: heartbeat_interval_s must be a number from 1 to 3600"),
        ("public_url = true", "roadstead.toml:1: public_url must be a text, a number or a list of texts"),
        ("[log]\nlevel = \"a=b=c\"", "roadstead.toml:2: log.level cannot be understood"),
        ("[log]\nformat = \"xml\"", "roadstead.toml:2: log.format must be text or json"),
        (
            "trusted_proxies = [\"10.0.0.0/8\", \"proxy\"]",
            "roadstead.toml:1: trusted_proxies: \"proxy\" is not an address range",
        ),
    ] {
        let found = refused(file, &[], &[]);
        assert!(found.starts_with(message), "{file}: {found}");
    }
    let message = "unknown environment variable ROADSTEAD_LISTN; did you mean ROADSTEAD_LISTEN?";
    assert_eq!(refused("", &[("ROADSTEAD_LISTN", "x")], &[]), message);
    let message = "ROADSTEAD_LISTEN: listen is \"8080\", but must be an address such as 127.0.0.1:8080 or [::]:443";
    assert_eq!(refused("", &[("ROADSTEAD_LISTEN", "8080")], &[]), message);
}

#[test]
fn foreign_variables_do_no_harm() {
    let env = [("ROADSTEAD_TEST_POSTGRES", "x"), ("ROADSTEAD_PORT_443_TCP", "x"), ("PATH", "x")];
    let loaded = Config::load(&given("", &env, &[]).sources).unwrap();
    assert_eq!(loaded.warnings, ["the environment variable ROADSTEAD_PORT_443_TCP is no setting of the hub"]);
}

#[test]
fn plain_http_is_for_loopback_and_proxies() {
    let network = |flags: &[(&str, &str)]| {
        let config = load("", &[], flags);
        (config.listen.to_string(), config.public_url.as_str().to_owned(), config.tls)
    };
    let expect = |listen: &str, url: &str, tls: Tls| (listen.to_owned(), url.to_owned(), tls);
    let url = ("public_url", "https://hub.example.com");
    let proxies = ("trusted_proxies", "127.0.0.1, 10.0.0.0/8");
    assert_eq!(network(&[url]), expect("0.0.0.0:443", "https://hub.example.com", Tls::SelfSigned));
    assert_eq!(network(&[url, proxies]), expect("127.0.0.1:8080", "https://hub.example.com", Tls::Off));
    let listen = ("listen", "192.0.2.7:8443");
    assert_eq!(network(&[listen]), expect("192.0.2.7:8443", "https://192.0.2.7:8443", Tls::SelfSigned));
    assert_eq!(network(&[listen, url]), expect("192.0.2.7:8443", "https://hub.example.com", Tls::SelfSigned));
    let url = ("public_url", "https://[2001:db8::1]:8443");
    assert_eq!(network(&[url]), expect("[::]:8443", "https://[2001:db8::1]:8443", Tls::SelfSigned));
    let url = ("public_url", "http://localhost:9000");
    assert_eq!(network(&[url]), expect("127.0.0.1:9000", "http://localhost:9000", Tls::Off));
    let loopback = [("listen", "127.0.0.1:8443"), ("tls.mode", "self_signed")];
    assert_eq!(network(&loopback), expect("127.0.0.1:8443", "https://127.0.0.1:8443", Tls::SelfSigned));
    let files = [("listen", "127.0.0.1:8443"), ("tls.cert", "/c.pem"), ("tls.key", "/k.pem")];
    let tls = Tls::Files { cert: "/c.pem".into(), key: "/k.pem".into() };
    assert_eq!(network(&files), expect("127.0.0.1:8443", "https://127.0.0.1:8443", tls));

    let everywhere = ("listen", "0.0.0.0:8443");
    let url = ("public_url", "https://hub.example.com");
    for (flags, message) in [
        (&[everywhere] as &[_], "the hub listens on every address (0.0.0.0:8443)"),
        (&[("listen", "127.0.0.1:0")], "--listen: listen must name a port"),
        (&[proxies], "the hub stands behind a proxy"),
        (&[everywhere, url, ("tls.mode", "off")], "--tls-mode: tls.mode off would send passwords in the clear"),
        (&[everywhere, ("public_url", "http://hub.example.com")], "--public-url: public_url must be https://"),
        (
            &[("public_url", "http://127.0.0.1:8080"), ("tls.mode", "self_signed")],
            "public_url is http://127.0.0.1:8080, but",
        ),
        (&[("tls.mode", "files")], "--tls-mode: tls.mode files needs both"),
        (&[("tls.cert", "/c.pem")], "tls.cert and tls.key belong together"),
        (&[("tls.mode", "on")], "--tls-mode: tls.mode must be"),
    ] {
        let found = refused("", &[], flags);
        assert!(found.starts_with(message), "{flags:?}: {found}");
    }
}

#[test]
fn databases_are_named_by_scheme() {
    let DbOptions::Sqlite(path) = load("database = \"sqlite:db/x.db\"", &[], &[]).database else { panic!() };
    assert!(path.is_absolute() && path.ends_with("db/x.db"), "{}", path.display());
    let DbOptions::Sqlite(path) = load("", &[], &[("database", "sqlite:///x.db")]).database else { panic!() };
    assert_eq!(path, Path::new("/x.db"));
    let url = "postgres://ann:hunter2@db.example/roadstead?password=hunter3";
    let DbOptions::Postgres(secret) = load("", &[("ROADSTEAD_DATABASE", url)], &[]).database else { panic!() };
    assert_eq!(secret.reveal(), url);
    for bad in ["mysql://ann:hunter2@x/y", "roadstead.db", "sqlite:", "sqlite:/x/history.db"] {
        let found = refused("", &[("ROADSTEAD_DATABASE", bad)], &[]);
        assert!(found.starts_with("ROADSTEAD_DATABASE: database") && !found.contains("hunter2"), "{found}");
    }
}

#[test]
fn secrets_come_from_files_and_are_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        write_private(&path, text.as_bytes()).unwrap();
        path.display().to_string()
    };
    let (url, token) = (write("url", "postgres://ann:hunter2@db.example/roadstead\n"), write("token", "hunter4\n"));
    let env = [("ROADSTEAD_DATABASE_FILE", url.as_str()), ("ROADSTEAD_METRICS_TOKEN_FILE", token.as_str())];
    let loaded = Config::load(&given("metrics_token = \"hunter5\"", &env, &[]).sources).unwrap();
    assert_eq!(loaded.config.metrics_token.as_ref().map(Secret::reveal), Some("hunter4"));
    let shown = format!("{:?} {:?}", loaded.config, loaded.effective);
    assert!(shown.contains("postgres://db.example/roadstead") && !shown.contains("hunter"), "{shown}");

    let both = [("ROADSTEAD_METRICS_TOKEN", "hunter6"), ("ROADSTEAD_METRICS_TOKEN_FILE", token.as_str())];
    let found = refused("", &both, &[]);
    assert!(found.contains("either metrics_token or metrics_token_file") && !found.contains("hunter6"), "{found}");
    let found = refused("", &[("ROADSTEAD_METRICS_TOKEN_FILE", "/does/not/exist")], &[]);
    assert!(found.contains("there is no file /does/not/exist"), "{found}");
    let found = refused("metrics_tokn = \"hunter7\"", &[], &[]);
    assert!(!found.contains("hunter7"), "{found}");
    let found = refused("metrics_token = \"hunter8", &[], &[]);
    assert!(!found.contains("hunter8"), "{found}");
}

#[test]
fn mail_is_all_or_nothing_and_keeps_its_password() {
    let mail = |file: &str| load(file, &[], &[]).mail;
    assert!(mail("").is_none());
    let smallest = mail("[mail]\nhost = \"mail.example\"\nfrom = \"hub@example.com\"").unwrap();
    assert_eq!((smallest.port, smallest.tls, smallest.login.is_none()), (587, MailTls::StartTls, true));
    let full = "[mail]\nhost = \"::1\"\ntls = \"none\"\nfrom = \"Hub <hub@example.com>\"\nusername = \"hub\"";
    let loaded = Config::load(&given(full, &[("ROADSTEAD_MAIL_PASSWORD", "hunter2")], &[]).sources).unwrap();
    let mail = loaded.config.mail.as_ref().unwrap();
    assert_eq!((mail.port, mail.from.to_string().as_str()), (25, "Hub <hub@example.com>"));
    assert_eq!(mail.login.as_ref().unwrap().password.reveal(), "hunter2");
    assert!(!format!("{:?} {:?}", loaded.config, loaded.effective).contains("hunter2"));
    let start = "[mail]\nhost = \"mail.example\"\nfrom = \"hub@example.com\"\n";
    for (file, message) in [
        ("[mail]\nfrom = \"hub@example.com\"", "roadstead.toml:2: mail.from is of no use without mail.host"),
        ("[mail]\npassword = \"x\"", "roadstead.toml:2: mail.password is of no use without mail.host"),
        ("[mail]\nhost = \"mail.example\"", "roadstead.toml:2: mail.from is missing"),
        ("[mail]\nhost = \"smtp://mail\"", "roadstead.toml:2: mail.host must be"),
        ("[mail]\nhost = \"mail\\r\\nRCPT\"", "roadstead.toml:2: mail.host must be"),
        (&format!("{start}tls = \"ssl\""), "roadstead.toml:4: mail.tls must be"),
        (&format!("{start}port = 70000"), "roadstead.toml:4: mail.port must be"),
        (&format!("{start}username = \"hub\""), "roadstead.toml:4: mail.username and mail.password belong together"),
        (
            &format!("{start}tls = \"none\"\nusername = \"hub\"\npassword = \"x\""),
            "roadstead.toml:2: mail.tls none would send the password",
        ),
        (
            "[mail]\nhost = \"mail\"\nfrom = \"Hub\\nBcc: x@y.z <hub@example.com>\"",
            "roadstead.toml:3: mail.from must be",
        ),
    ] {
        let found = refused(file, &[], &[]);
        assert!(found.starts_with(message), "{file}: {found}");
    }
}

#[test]
fn the_file_is_found_or_named() {
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("other.toml");
    write_private(&other, b"heartbeat_interval_s = 7").unwrap();
    let other = other.display().to_string();
    assert_eq!(load("heartbeat_interval_s = 9", &[], &[("config", &other)]).heartbeat_interval_s, 7);
    assert_eq!(load("", &[("ROADSTEAD_CONFIG", &other)], &[]).heartbeat_interval_s, 7);
    assert!(refused("", &[], &[("config", "/missing.toml")]).contains("no configuration file /missing.toml"));
}

#[test]
fn every_setting_is_read_and_shown() {
    let loaded = Config::load(&given("", &[], &[]).sources).unwrap();
    let shown: Vec<_> = loaded.effective.iter().map(|shown| shown.key).collect();
    for setting in settings::SETTINGS {
        let only_when_given = matches!(setting.key, "tls.cert" | "tls.key") || setting.key.ends_with("_file");
        assert!(only_when_given || shown.contains(&setting.key), "{} is never read", setting.key);
    }
}

//! Promises of `[oidc.<id>]`.

use super::*;
use crate::access::Role;

const FILE: &str = r#"
[oidc.company]
issuer = "https://id.example.com/realms/main"
client_id = "roadstead"
client_secret_file = "secret"
groups_claim = "roles"
second_factor = "provider"
mappings = [{ group = "ops", workspace = "Home", role = "operator" }]

[oidc.local]
issuer = "http://127.0.0.1:9000"
client_id = "hub"
scopes = ["profile"]
"#;

#[test]
fn providers_are_read_from_the_file_and_the_environment() {
    let given = given(
        FILE,
        &[("ROADSTEAD_OIDC_LOCAL_NAME", "Next door"), ("ROADSTEAD_OIDC_LOCAL_CLIENT_ID", "roadstead")],
        &[],
    );
    write_private(&given.dir.path().join("secret"), b"hunter2\n").unwrap();
    let loaded = Config::load(&given.sources).unwrap();
    let [company, local] = loaded.config.oidc.as_slice() else { panic!("{:?}", loaded.config.oidc) };
    assert_eq!((company.id.as_str(), company.name.as_str()), ("company", "company"));
    assert_eq!(company.issuer, "https://id.example.com/realms/main");
    assert_eq!(company.client_secret.as_ref().map(Secret::reveal), Some("hunter2"));
    assert_eq!(company.scopes, ["openid", "email", "profile"]);
    assert_eq!((company.groups_claim.as_str(), company.both_factors), ("roles", true));
    let expected = GroupMapping { group: "ops".to_owned(), workspace: "Home".to_owned(), role: Role::Operator };
    assert_eq!(company.mappings, [expected]);
    assert_eq!((local.name.as_str(), local.client_id.as_str()), ("Next door", "roadstead"));
    assert_eq!(local.scopes, ["openid", "profile"]);
    assert!(local.client_secret.is_none() && !local.both_factors);
    let shown = format!("{:?} {:?}", loaded.config, loaded.effective);
    assert!(shown.contains("company: https://id.example.com/realms/main (1 mappings)") && !shown.contains("hunter"));

    let env = [
        ("ROADSTEAD_OIDC_ONE_ISSUER", "https://one.example.com"),
        ("ROADSTEAD_OIDC_ONE_CLIENT_ID", "a"),
        ("ROADSTEAD_OIDC_ONE_CLIENT_SECRET", "hunter3"),
    ];
    let loaded = load("[oidc.one]\nclient_secret = \"hunter4\"\n", &env, &[]);
    assert_eq!(loaded.oidc[0].client_secret.as_ref().map(Secret::reveal), Some("hunter3"));
    let loaded = load("[oidc.one]\nclient_secret_file = \"missing\"\n", &env, &[]);
    assert_eq!(loaded.oidc[0].client_secret.as_ref().map(Secret::reveal), Some("hunter3"), "nearer than the file");
}

#[test]
fn what_a_provider_cannot_be_is_refused_where_it_stands() {
    let section = |more: &str| format!("[oidc.one]\nissuer = \"https://one.example.com\"\nclient_id = \"a\"\n{more}\n");
    for (more, expected) in [
        ("isuer = \"x\"", "roadstead.toml:4: unknown key oidc.one.isuer; did you mean issuer?"),
        ("second_factor = \"none\"", "second_factor must be ours or provider"),
        ("scopes = [1.5]", "must be a text or a list of texts"),
        ("mappings = 1", "mappings must be a list of tables"),
        (
            "mappings = [{ group = \"a\", workspace = \"Home\", role = \"owner\" }]",
            "nobody becomes an owner by a group",
        ),
        ("mappings = [{ group = \"a\", workspace = \"Home\", role = \"king\" }]", "there is no role \"king\""),
        ("mappings = [{ group = \"a\", role = \"admin\" }]", "workspace is missing"),
        ("mappings = [{ group = \"a\", workspace = \"b\", role = \"admin\", more = 1 }]", "unknown key more"),
        ("client_secret_file = \"missing\"", "there is no file"),
        ("client_secret = \"hunter2\"\nclient_secret_file = \"x\"", "either client_secret or client_secret_file"),
    ] {
        let found = refused(&section(more), &[], &[]);
        assert!(found.contains(expected) && !found.contains("hunter"), "{more}: {found}");
    }
    for issuer in [
        "http://id.example.com",
        "ftp://127.0.0.1",
        "id.example.com",
        "https://id.example.com/?a=b",
        "https://a:b@id.example.com",
    ] {
        let found = refused(&format!("[oidc.one]\nissuer = \"{issuer}\"\nclient_id = \"a\"\n"), &[], &[]);
        assert!(found.contains("issuer must"), "{issuer}: {found}");
    }
    assert!(refused("[oidc.one]\nissuer = \"https://a.example\"\n", &[], &[]).contains("client_id is missing"));
    assert!(refused("[oidc]\none = 1\n", &[], &[]).contains("write a section [oidc.one]"));
    assert!(refused("[oidc.One]\n", &[], &[]).contains("characters a-z"));
    assert!(refused("", &[("ROADSTEAD_OIDC_ONE_COLOUR", "x")], &[]).contains("unknown environment variable"));
    for other in ["https://one.example.com", "https://one.example.com/"] {
        let twice = format!("{}[oidc.two]\nissuer = \"{other}\"\nclient_id = \"b\"\n", section(""));
        let found = refused(&twice, &[], &[]);
        assert!(found.contains("[oidc.two] has the issuer of [oidc.one]"), "{found}");
    }
    let many: String =
        (0..21).map(|n| format!("[oidc.p{n}]\nissuer = \"https://a.example\"\nclient_id = \"a\"\n")).collect();
    assert!(refused(&many, &[], &[]).contains("at most 20 providers"));
}

//! What must not be believed.

use super::*;

const FAILED: &str = "/sign-in#error=oidc_failed&return_to=%2Fservers";

async fn one_hub(provider: &Arc<Provider>) -> TestHub {
    let hub = TestHub::with_config(|config| {
        let mut settings = provider.settings("company");
        settings.mappings = vec![mapping("ops", "Home", Role::Operator)];
        config.oidc.push(settings);
    });
    let hub = hub.await;
    provider.follow(hub.clock.clone());
    in_group(provider, &json!(["ops"]));
    hub
}

#[tokio::test]
async fn no_lie_of_a_token_is_believed() {
    let provider = Provider::start().await;
    let hub = one_hub(&provider).await;
    let _owner = hub.owner().await;
    let now = hub.hub.now().as_s();
    let client = hub.anonymous();
    for lies in [
        json!({ "nonce": "another" }),
        json!({ "nonce": null }),
        json!({ "iss": "http://127.0.0.1:1" }),
        json!({ "aud": "another client" }),
        json!({ "aud": ["roadstead", "another client"] }),
        json!({ "exp": now - 61 }),
        json!({ "exp": null }),
        json!({ "iat": now + 600 }),
        json!({ "sub": null }),
    ] {
        hub.clock.advance(Duration::from_millis(6500));
        provider.change(|script| script.lies = lies.clone());
        assert_eq!(sign_in(&client, &provider).await, FAILED, "{lies}");
    }
    provider.change(|script| script.lies = json!({}));
    for algorithm in ["none", "HS256", "ES384"] {
        next_minute(&hub);
        provider.change(|script| script.algorithm = algorithm);
        assert_eq!(sign_in(&client, &provider).await, FAILED, "{algorithm}");
    }
    provider.change(|script| (script.algorithm, script.foreign_key) = ("ES256", true));
    assert_eq!(sign_in(&client, &provider).await, FAILED, "a key that it does not publish");
    provider.change(|script| script.foreign_key = false);
    assert_eq!(client.get("/v1/auth/session").await.status, StatusCode::UNAUTHORIZED);
    // The one of the truth.
    assert_eq!(sign_in(&client, &provider).await, "/servers");
    // And one of a new key, which the hub asks for.
    next_minute(&hub);
    provider.rotate();
    assert_eq!(sign_in(&hub.anonymous(), &provider).await, "/servers");
}

#[tokio::test]
async fn userinfo_is_of_the_same_person() {
    let provider = Provider::start().await;
    let hub = one_hub(&provider).await;
    let _owner = hub.owner().await;
    let told = json!({ "sub": "ann", "email": "ann@example.net", "groups": ["ops"] });
    provider.change(|script| {
        script.claims = json!({ "sub": "ann" });
        script.userinfo = told.clone();
        script.userinfo["sub"] = json!("bob");
    });
    assert_eq!(sign_in(&hub.anonymous(), &provider).await, FAILED);
    provider.change(|script| script.userinfo = told);
    assert_eq!(sign_in(&hub.anonymous(), &provider).await, "/servers");
}

#[tokio::test]
async fn an_answer_belongs_to_one_question_of_one_browser() {
    let provider = Provider::start().await;
    let hub = one_hub(&provider).await;
    let _owner = hub.owner().await;
    let (client, other) = (hub.anonymous(), hub.anonymous());
    let start = "/v1/auth/oidc/company/start?return_to=/servers";
    // A browser that asked nothing.
    let back = provider.agree(&begin(&client, start).await);
    assert_eq!(goes_to(&other.get(&back).await), "/sign-in#error=oidc_expired");
    // One that asked something else.
    begin(&other, start).await;
    assert_eq!(goes_to(&other.get(&back).await), FAILED);
    // The same twice.
    assert_eq!(goes_to(&client.get(&back).await), "/servers");
    assert_eq!(goes_to(&client.get(&back).await), "/sign-in#error=oidc_expired");
    // A code that was used, in a flow that is right.
    next_minute(&hub);
    let asked = begin(&client, start).await;
    let back = provider.agree(&asked);
    let replayed = back.replace("code=code-1", "code=code-0");
    assert_ne!(back, replayed);
    assert_eq!(goes_to(&client.get(&replayed).await), FAILED);
    // Too late, and a refusal of the provider.
    let back = provider.agree(&begin(&client, start).await);
    hub.clock.advance(Duration::from_mins(10));
    assert_eq!(goes_to(&client.get(&back).await), "/sign-in#error=oidc_expired");
    let asked = begin(&client, start).await;
    let state =
        url::Url::parse(&asked).unwrap().query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let denied = format!("/v1/auth/oidc/company/callback?error=access_denied&state={state}");
    assert_eq!(goes_to(&client.get(&denied).await), "/sign-in#error=oidc_denied&return_to=%2Fservers");
}

#[tokio::test]
async fn two_providers_are_not_mixed_up() {
    let (honest, evil) = (Provider::start().await, Provider::start().await);
    let hub = TestHub::with_config(|config| {
        for (provider, id) in [(&honest, "company"), (&evil, "evil")] {
            let mut settings = provider.settings(id);
            settings.mappings = vec![mapping("ops", "Home", Role::Operator)];
            config.oidc.push(settings);
        }
    });
    let hub = hub.await;
    let _owner = hub.owner().await;
    for provider in [&honest, &evil] {
        provider.follow(hub.clock.clone());
        in_group(provider, &json!(["ops"]));
    }
    let client = hub.anonymous();
    // The code of one, brought to the callback of the other.
    let asked = begin(&client, "/v1/auth/oidc/company/start?return_to=/servers").await;
    let back = honest.agree(&asked).replace("/company/", "/evil/");
    assert_eq!(goes_to(&client.get(&back).await), FAILED);
    // An answer that says that it is of the other.
    let asked = begin(&client, "/v1/auth/oidc/company/start?return_to=/servers").await;
    let back = honest.agree(&asked).replace(&honest.issuer, &evil.issuer);
    assert_eq!(goes_to(&client.get(&back).await), FAILED);
    // The same subject of another provider is another person.
    assert_eq!(sign_in(&client, &honest).await, "/servers");
    evil.change(|script| script.claims["email"] = json!("ann@evil.example"));
    let other = hub.anonymous();
    let asked = begin(&other, "/v1/auth/oidc/evil/start").await;
    assert_eq!(goes_to(&other.get(&evil.agree(&asked)).await), "/");
    let id = async |client: &Client| client.get("/v1/account").await.json()["id"].clone();
    assert_ne!(id(&client).await, id(&other).await);
}

#[tokio::test]
async fn nobody_is_sent_elsewhere_and_a_provider_that_is_away_is_no_error() {
    let hub = TestHub::with_config(|config| {
        config.oidc.push(OidcProvider {
            id: "company".to_owned(),
            name: "Company".to_owned(),
            issuer: "http://127.0.0.1:1".to_owned(),
            client_id: "roadstead".to_owned(),
            client_secret: None,
            scopes: Vec::new(),
            groups_claim: "groups".to_owned(),
            both_factors: false,
            mappings: Vec::new(),
        });
    });
    let hub = hub.await;
    let client = hub.anonymous();
    for path in ["https://evil.example", "//evil.example", "servers"] {
        let refused = client.get(&format!("/v1/auth/oidc/company/start?return_to={path}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{path}");
    }
    assert_eq!(client.get("/v1/auth/oidc/nobody/start").await.status, StatusCode::NOT_FOUND);
    assert_eq!(client.get("/v1/auth/oidc/company/start?step_up=true").await.status, StatusCode::UNAUTHORIZED);
    let away = client.get("/v1/auth/oidc/company/start?return_to=/servers").await;
    assert_eq!(goes_to(&away), FAILED);
    assert!(!away.text().contains("script") && away.header("content-security-policy").contains("default-src 'none'"));
}

#[tokio::test]
async fn the_cookies_are_sealed_and_theirs_alone() {
    let provider = Provider::start().await;
    let hub = one_hub(&provider).await;
    let client = hub.anonymous();
    let sent = client.get("/v1/auth/oidc/company/start").await;
    let cookie = sent.header("set-cookie");
    assert!(cookie.starts_with("roadstead_oidc=") && cookie.contains("HttpOnly; SameSite=Lax"), "{cookie}");
    let nonce = sent.header("location").split("nonce=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    assert!(!cookie.contains(&nonce), "what it holds is sealed");
    // A flow that another hub sealed, or nobody.
    let back = provider.agree(&sent.header("location"));
    let elsewhere = client.at(hub.restarted_without_sealing_key());
    assert_eq!(goes_to(&elsewhere.get(&back).await), "/sign-in#error=oidc_expired");
}

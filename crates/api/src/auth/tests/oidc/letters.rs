//! Who gets into an account is told to whose it is, and recorded as theirs.

use serde_json::json;

use super::super::passkeys::{ORIGIN, enrolled};
use super::super::provider::Provider;
use super::linked;
use crate::auth::remove_passkeys;
use crate::config::{Config, PublicUrl};
use crate::mail::tests::{Catcher, deliver};
use crate::testing::{OWNER_EMAIL, TestHub};

#[tokio::test]
async fn another_way_into_an_account_and_one_less_are_told_to_its_owner() {
    let (catcher, provider) = (Catcher::new().await, Provider::start().await);
    let configure = |config: &mut Config| {
        config.public_url = PublicUrl::parse(ORIGIN).unwrap();
        config.oidc.push(provider.settings("company"));
        catcher.configure(config);
    };
    for hub in TestHub::each_engine_with(configure).await {
        provider.follow(hub.clock.clone());
        let owner = hub.owner().await;
        let told = async |subject: &str| {
            deliver(&hub).await;
            let letters = catcher.take();
            let letter = letters.iter().find(|letter| letter.subject() == subject);
            let letter = letter.unwrap_or_else(|| panic!("no {subject:?} in {letters:?}"));
            assert!(letter.to.iter().any(|to| to.contains(OWNER_EMAIL)), "{letter:?}");
            letter.text.clone()
        };
        let identity = linked(&hub, &owner, &provider).await;
        let letter = told("An identity was added to your Roadstead account").await;
        assert!(letter.contains("ann@example.net") && letter.contains("Company"), "{letter}");
        let id = owner.get("/v1/auth/session").await.json()["user"]["id"].clone();
        let record = owner.get("/v1/audit?action=identity.link").await.json()["data"][0].clone();
        assert_eq!(record["actor"], json!({ "type": "user", "id": id, "name": "Olga Owner" }), "{record}");

        owner.step_up().await;
        let gone = owner.delete(&format!("/v1/account/identities/{identity}")).await;
        assert_eq!(gone.status, 204, "{}", gone.text());
        let letter = told("An identity was taken off your Roadstead account").await;
        assert!(letter.contains("ann@example.net") && letter.contains("Company"), "{letter}");

        enrolled(&owner).await;
        remove_passkeys(&hub.hub, &OWNER_EMAIL.to_owned().try_into().unwrap()).await.unwrap();
        told("The passkeys of your Roadstead account were removed").await;
    }
}

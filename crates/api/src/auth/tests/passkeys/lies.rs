//! Answers that must not be believed, and how many can wait.

use super::*;

/// How a device is made to lie about a passkey that it has.
type Lie = (&'static str, fn(&mut Device));

const LIES: [Lie; 6] = [
    ("passkey: it was used on another site", |device| device.origin = "http://localhost:8081".to_owned()),
    ("passkey: it was used on another site", |device| device.origin = "http://sub.localhost:8080".to_owned()),
    ("passkey: it is for another site", |device| device.rp_id = "example.com".to_owned()),
    ("passkey: it answers another challenge", |device| device.challenge = Some("AAAA".to_owned())),
    ("passkey: the device did not verify its user", |device| device.verifies = false),
    ("passkey: it names another person", |device| device.user_handle = vec![7; 16]),
];

fn make_honest(device: &mut Device, user_handle: &[u8]) {
    (device.origin, device.rp_id) = (ORIGIN.to_owned(), "localhost".to_owned());
    (device.verifies, device.challenge, device.user_handle) = (true, None, user_handle.to_vec());
}

#[tokio::test]
async fn no_lie_signs_in() {
    for hub in hubs().await {
        let owner = hub.owner().await;
        let (mut device, _) = enrolled(&owner).await;
        let handle = device.user_handle.clone();
        for (reason, lie) in LIES {
            next_minute(&hub);
            lie(&mut device);
            let refused = sign_in(&hub.anonymous(), &mut device).await;
            assert_eq!((refused.status, refused.code().as_str()), (StatusCode::UNAUTHORIZED, "invalid_credentials"));
            assert!(!refused.text().contains("site"), "strangers are not told why: {}", refused.text());
            assert_eq!(reasons(&owner).await[0], reason);
            make_honest(&mut device, &handle);
        }
        // Somebody who knows what the passkey is called, and has a key of their own.
        next_minute(&hub);
        let mut forger = Device::new(ORIGIN);
        (forger.credential_id, forger.user_handle) = (device.credential_id.clone(), handle.clone());
        forger.counter = 100;
        assert_eq!(sign_in(&hub.anonymous(), &mut forger).await.code(), "invalid_credentials");
        assert_eq!(reasons(&owner).await[0], "passkey: wrong signature");
        let mut unknown = Device::new(ORIGIN);
        unknown.user_handle = handle;
        assert_eq!(sign_in(&hub.anonymous(), &mut unknown).await.code(), "invalid_credentials");
        assert_eq!(reasons(&owner).await[0], "passkey: nobody has it");
        // Signed without saying whose it is.
        device.user_handle = Vec::new();
        assert_eq!(sign_in(&hub.anonymous(), &mut device).await.code(), "invalid_credentials");
    }
}

#[tokio::test]
async fn no_lie_makes_a_passkey() {
    let hub = one_hub().await;
    let owner = hub.owner().await;
    for (_, lie) in LIES.into_iter().take(5) {
        let mut device = Device::new(ORIGIN);
        lie(&mut device);
        let refused = add(&owner, &mut device).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text());
    }
    // A signature is not a new passkey, and a new passkey no signature.
    let (mut device, _) = enrolled(&owner).await;
    let begun = begin(&owner, "/v1/account/passkeys/begin").await;
    let mut asked = begun["options"].clone();
    asked["userVerification"] = json!("required");
    let refused = owner.post("/v1/account/passkeys", answer(&begun, &device.get(&asked))).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(owner.get("/v1/account/passkeys").await.json()["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_counts_once_for_five_minutes_and_for_what_was_asked() {
    for hub in hubs().await {
        let owner = hub.owner().await;
        let (mut device, _) = enrolled(&owner).await;
        let post = async |path: &str, form: Value| hub.anonymous().post(path, form).await.status;

        let begun = begin(&hub.anonymous(), "/v1/auth/passkey/begin").await;
        let form = answer(&begun, &device.get(&begun["options"]));
        assert_eq!(post("/v1/auth/passkey", form.clone()).await, StatusCode::OK);
        assert_eq!(post("/v1/auth/passkey", form).await, StatusCode::GONE, "a replay");

        let begun = begin(&hub.anonymous(), "/v1/auth/passkey/begin").await;
        let form = answer(&begun, &device.get(&begun["options"]));
        hub.clock.advance(FIVE_MINUTES);
        assert_eq!(post("/v1/auth/passkey", form).await, StatusCode::GONE, "too late");

        // A refused answer uses the question up as well.
        let begun = begin(&hub.anonymous(), "/v1/auth/passkey/begin").await;
        device.verifies = false;
        let lie = answer(&begun, &device.get(&begun["options"]));
        device.verifies = true;
        let truth = answer(&begun, &device.get(&begun["options"]));
        assert_eq!(post("/v1/auth/passkey", lie).await, StatusCode::UNAUTHORIZED);
        assert_eq!(post("/v1/auth/passkey", truth).await, StatusCode::GONE);

        let begun = begin(&hub.anonymous(), "/v1/auth/passkey/begin").await;
        let proof = answer(&begun, &device.get(&begun["options"]));
        let wrong_place = owner.post("/v1/auth/step-up", json!({ "passkey": proof })).await;
        assert_eq!(wrong_place.status, StatusCode::GONE, "a sign-in is no step-up");
        let none = json!({ "ceremony_id": "01890000-0000-7000-8000-000000000000", "credential": proof["credential"] });
        assert_eq!(post("/v1/auth/passkey", none).await, StatusCode::GONE);

        // The challenge of another ceremony.
        next_minute(&hub);
        let (one, two) = (begin(&owner, "/v1/auth/passkey/begin").await, begin(&owner, "/v1/auth/passkey/begin").await);
        let crossed = answer(&one, &device.get(&two["options"]));
        assert_eq!(post("/v1/auth/passkey", crossed).await, StatusCode::UNAUTHORIZED);
        assert_eq!(reasons(&owner).await[0], "passkey: it answers another challenge");
    }
}

#[tokio::test]
async fn a_counter_that_went_back_is_refused_and_recorded() {
    for hub in hubs().await {
        let owner = hub.owner().await;
        let (mut device, _) = enrolled(&owner).await;
        assert_eq!(sign_in(&hub.anonymous(), &mut device).await.status, StatusCode::OK);
        device.counter -= 1;
        assert_eq!(sign_in(&hub.anonymous(), &mut device).await.code(), "invalid_credentials", "the same count again");
        device.counter = 1;
        assert_eq!(sign_in(&hub.anonymous(), &mut device).await.code(), "invalid_credentials");
        device.counter = 0;
        assert_eq!(sign_in(&hub.anonymous(), &mut device).await.code(), "invalid_credentials", "it counted before");
        let expected = "passkey: its counter went back; there may be a copy of it";
        assert_eq!(reasons(&owner).await, [expected; 3]);
        device.counter = 50;
        assert_eq!(sign_in(&hub.anonymous(), &mut device).await.status, StatusCode::OK);

        // Password managers do not count, and sign any number of times.
        let mut manager = Device::new(ORIGIN);
        (manager.counter, manager.backed_up) = (0, true);
        assert_eq!(add(&owner, &mut manager).await.status, StatusCode::CREATED);
        for _ in 0..2 {
            next_minute(&hub);
            assert_eq!(sign_in(&hub.anonymous(), &mut manager).await.status, StatusCode::OK);
        }
    }
}

#[tokio::test]
async fn another_accounts_passkey_is_no_second_factor_of_mine() {
    for hub in hubs().await {
        let owner = hub.owner().await;
        let stranger = hub.stranger().await;
        enrolled(&owner).await;
        let (mut foreign, _) = enrolled(&stranger).await;
        let begun =
            login(&hub.anonymous(), OWNER_EMAIL, OWNER_PASSWORD).await.json()["error"]["details"]["passkey"].clone();
        let proof = answer(&begun, &foreign.get(&begun["options"]));
        let refused = login_as(&hub.anonymous(), OWNER_EMAIL, ("passkey", proof)).await;
        assert_eq!((refused.status, refused.code().as_str()), (StatusCode::UNAUTHORIZED, "invalid_credentials"));
        assert_eq!(reasons(&owner).await[0], "passkey: it is another person's");
        // Nor can what the owner was asked be answered in the stranger's name.
        let begun =
            login(&hub.anonymous(), OWNER_EMAIL, OWNER_PASSWORD).await.json()["error"]["details"]["passkey"].clone();
        let proof = answer(&begun, &foreign.get(&begun["options"]));
        let crossed = login_as(&hub.anonymous(), "stranger@example.org", ("passkey", proof)).await;
        assert_eq!(crossed.status, StatusCode::GONE);

        // A device that was registered by one account cannot be by another.
        let begun = begin(&owner, "/v1/account/passkeys/begin").await;
        let again = owner.post("/v1/account/passkeys", answer(&begun, &foreign.create(&begun["options"]))).await;
        assert_eq!(again.status, StatusCode::CONFLICT, "{}", again.text());
        // Nor can one session finish what another began.
        let other = hub.anonymous();
        next_minute(&hub);
        let begun = begin(&owner, "/v1/account/passkeys/begin").await;
        let mut device = Device::new(ORIGIN);
        let form = answer(&begun, &device.create(&begun["options"]));
        assert_eq!(other.post("/v1/account/passkeys", form.clone()).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(stranger.post("/v1/account/passkeys", form).await.status, StatusCode::GONE);
    }
}

#[tokio::test]
async fn guesses_with_passkeys_are_counted_by_address() {
    let hub = one_hub().await;
    let _owner = hub.owner().await;
    next_minute(&hub);
    let mut unknown = Device::new(ORIGIN);
    unknown.user_handle = vec![1; 16];
    for _ in 0..10 {
        assert_eq!(sign_in(&hub.anonymous(), &mut unknown).await.code(), "invalid_credentials");
    }
    assert_eq!(sign_in(&hub.anonymous(), &mut unknown).await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn no_more_fit_than_there_is_room_for() {
    let hub = one_hub().await;
    let owner = hub.owner().await;
    let client = hub.anonymous();
    let mut begun = Vec::new();
    for _ in 0..12 {
        begun.push(begin(&client, "/v1/auth/passkey/begin").await);
        hub.clock.advance(Duration::from_millis(1));
    }
    assert_eq!(hub.hub.auth.ceremonies.len(), (10, 0), "of strangers in one network");
    let (mut device, _) = enrolled(&owner).await;
    let oldest = answer(&begun[1], &device.get(&begun[1]["options"]));
    assert_eq!(client.post("/v1/auth/passkey", oldest).await.status, StatusCode::GONE);
    let newest = answer(&begun[11], &device.get(&begun[11]["options"]));
    assert_eq!(client.post("/v1/auth/passkey", newest).await.status, StatusCode::OK);
    for _ in 0..12 {
        begin(&owner, "/v1/auth/step-up/begin").await;
    }
    assert_eq!(hub.hub.auth.ceremonies.len(), (9, 10), "of one person");
    hub.clock.advance(FIVE_MINUTES);
    crate::auth::sweep(&hub.hub).await.unwrap();
    assert_eq!(hub.hub.auth.ceremonies.len(), (0, 0));

    for _ in 1..20 {
        enrolled(&owner).await;
    }
    let full = owner.post("/v1/account/passkeys/begin", json!({})).await;
    assert_eq!(full.status, StatusCode::CONFLICT, "{}", full.text());

    let begun = begin(&client, "/v1/auth/passkey/begin").await;
    for credential in [json!({}), json!("text"), json!({ "id": "x".repeat(70_000) })] {
        let refused = client.post("/v1/auth/passkey", answer(&begun, &credential)).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text());
        assert!(refused.json()["error"]["details"]["fields"]["credential"].is_array(), "{}", refused.text());
    }
}

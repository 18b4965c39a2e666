//! Nothing a peer can send may panic, and damage is named for what it is.

use proptest::prelude::*;
use protocol::{BinaryFrame, DecodeError, Envelope, MAX_TEXT_FRAME, Message};

const HEADER: &str = r#""id":"019a1f2e-7c55-7d3a-9f10-000000000007","ts":1,"#;

fn decode(text: &str) -> Result<Message, DecodeError> {
    Envelope::decode(text)?.message()
}

#[test]
fn damage_is_named() {
    let cases = [
        ("not json", 1007),
        ("[]", 1007),
        ("{}", 1007),
        (r#"{"v":1}"#, 1007),
        (r#"{"v":2}"#, 1002),
        (r#"{"v":2,"id":"x","new_shape":true}"#, 1002),
        (r#"{"v":1,"id":"x","ts":1,"type":"bye","payload":{}}"#, 1007),
    ];
    for (text, close) in cases {
        let error = decode(text).unwrap_err();
        assert_eq!(error.close_code(), Some(close), "{text}: {error}");
    }
    let unknown = decode(&format!(r#"{{"v":1,{HEADER}"type":"dance","payload":{{}}}}"#)).unwrap_err();
    assert!(matches!(&unknown, DecodeError::UnknownType(_, kind) if kind == "dance"));
    assert!(unknown.close_code().is_none() && unknown.offender().is_some());
    let bad = decode(&format!(r#"{{"v":1,{HEADER}"type":"watch","payload":{{"interval_ms":-1}}}}"#)).unwrap_err();
    assert!(matches!(bad, DecodeError::BadPayload(..)));
    assert!(bad.close_code().is_none() && bad.offender().is_some());
    let large = " ".repeat(MAX_TEXT_FRAME + 1);
    assert_eq!(decode(&large).unwrap_err().close_code(), Some(1009));
}

#[test]
fn deep_nesting_is_refused_not_followed() {
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let text = format!(r#"{{"v":1,{HEADER}"type":"event","payload":{nested}}}"#);
    assert!(decode(&text).is_err());
}

#[test]
fn foreign_text_in_errors_is_short() {
    let text = format!(r#"{{"v":1,{HEADER}"type":"{}","payload":{{}}}}"#, "x".repeat(500_000));
    assert!(decode(&text).unwrap_err().to_string().len() < 400);
}

proptest! {
    #[test]
    fn any_text_is_taken_or_refused(text in "\\PC{0,400}") {
        let _ = decode(&text);
    }

    #[test]
    fn any_payload_of_any_type_is_taken_or_refused(
        kind in prop::sample::select(Message::KINDS),
        payload in any_json(),
    ) {
        let _ = decode(&format!(r#"{{"v":1,{HEADER}"type":"{kind}","payload":{payload}}}"#));
    }

    #[test]
    fn any_bytes_are_a_frame_or_not(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let plain = BinaryFrame::parse(&bytes);
        prop_assert_eq!(plain.is_ok(), bytes.len() >= 4);
        prop_assert_eq!(BinaryFrame::parse_tagged(&bytes).is_ok(), bytes.len() >= 20);
        if let Ok(frame) = plain {
            prop_assert_eq!(frame.encode(), bytes);
        }
    }
}

/// JSON whose keys are often real field names, so that generation reaches deep into the types.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<f32>().prop_filter("finite", |value| value.is_finite()).prop_map(|value| value.to_string()),
        "[a-z0-9-]{0,40}".prop_map(|value| format!("\"{value}\"")),
        Just("\"019a1f2e-7c55-7d3a-9f10-000000000007\"".to_owned()),
    ];
    let key = prop::sample::select(
        &[
            "job_id",
            "body",
            "sig",
            "key_id",
            "offset",
            "s",
            "at_ms",
            "text",
            "bytes",
            "state",
            "cpu",
            "load",
            "code",
            "event_id",
            "kind",
            "accepted",
            "rejected",
            "already",
            "next_offset",
            "nonce",
            "host",
            "agent",
            "protocol",
        ][..],
    );
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::btree_map(key.clone(), inner, 0..6).prop_map(|fields| {
                let fields: Vec<_> = fields.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

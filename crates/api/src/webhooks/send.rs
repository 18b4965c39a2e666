//! One attempt to call a webhook, as the Standard Webhooks specification says.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::model::{SigningSecret, Webhook};
use super::{TEST_EVENT, purpose, store};
use crate::deliveries::{Due, Tried, Verdict};
use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::outbound::{Answer, Failure, Request};

/// For all of it.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Of the answer.
const MAX_ANSWER: usize = 64 << 10;
const EXCERPT_BYTES: usize = 1024;

/// Sends a delivery to its webhook.
///
/// # Errors
/// When the database cannot be read; what the other side does is no error.
pub async fn send(hub: &Hub, due: &Due) -> Result<Tried> {
    let webhook = {
        let id = due.webhook_id.as_deref().and_then(|id| id.parse().ok());
        let id = id.ok_or_else(|| Error::internal("a delivery whose webhook cannot be read"))?;
        let mut session = hub.db.read().await?;
        store::by_id(&mut session.conn(), id).await?
    };
    let Some(webhook) = webhook else { return Ok(Tried::never("the webhook is gone")) };
    if !webhook.enabled && due.event != TEST_EVENT {
        return Ok(Tried::never("the webhook is disabled"));
    }
    let Some(body) = due.payload.clone() else { return Ok(Tried::never("there is nothing left to send")) };
    // The rules may have changed since the URL was taken.
    let target = match webhook.target() {
        Ok(target) => target,
        Err(problem) => return Ok(Tried::never(format!("the URL {problem}"))),
    };
    let Some(headers) = headers(hub, &webhook, due, &body) else {
        return Ok(Tried::never("the hub lost the key that the secret was sealed with; rotate the webhook's secret"));
    };
    let request =
        Request { method: Method::POST, headers, body: Bytes::from(body), timeout: TIMEOUT, max_answer: MAX_ANSWER };
    Ok(judged(hub.outbound.send(&target, request).await))
}

fn headers(hub: &Hub, webhook: &Webhook, due: &Due, body: &str) -> Option<HeaderMap> {
    let (id, timestamp) = (due.id.to_string(), hub.now().as_s());
    let old = webhook.old_secret_until.filter(|until| hub.now() < *until).and(webhook.sealed_old_secret.as_deref());
    let mut signatures = Vec::new();
    for sealed in [Some(webhook.sealed_secret.as_str()), old].into_iter().flatten() {
        // The old one may have been sealed with a key that is lost: that of the hub, before somebody rotated.
        if let Ok(secret) = hub.sealing.unseal(&purpose(webhook.id), sealed) {
            signatures.extend(SigningSecret::of(secret).sign(&id, timestamp, body));
        }
    }
    if signatures.is_empty() {
        return None;
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in
        [("webhook-id", id), ("webhook-timestamp", timestamp.to_string()), ("webhook-signature", signatures.join(" "))]
    {
        headers.insert(name, HeaderValue::from_str(&value).ok()?);
    }
    Some(headers)
}

fn judged(answer: Result<Answer, Failure>) -> Tried {
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => return Tried::again(failure.to_string()),
    };
    let status = Some(answer.status.as_u16());
    let excerpt = excerpt(&answer.body);
    let tried = |verdict, error: Option<String>| Tried { verdict, status, error, excerpt };
    if answer.status.is_success() {
        return tried(Verdict::Done, None);
    }
    if answer.status == StatusCode::GONE {
        return tried(Verdict::Never, Some("the receiver answered 410 Gone: it wants no more of these".to_owned()));
    }
    let error = match answer.status.is_redirection() {
        true => "the receiver answered with a redirect, which is not followed; write the final URL".to_owned(),
        false => format!("the receiver answered {}", answer.status),
    };
    tried(Verdict::Again { after_s: retry_after(&answer.headers) }, Some(error))
}

/// Seconds only: a date would need trust in the other side's clock.
fn retry_after(headers: &HeaderMap) -> u64 {
    let value = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    value.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// How an answer begins, as text; none when it is empty.
fn excerpt(body: &[u8]) -> Option<String> {
    let start = body.get(..EXCERPT_BYTES).unwrap_or(body);
    let text = String::from_utf8_lossy(start);
    // Control characters could do things to terminals, and a database may not hold a NUL.
    let text: String = text.chars().map(|char| if char.is_control() && char != '\n' { ' ' } else { char }).collect();
    (!text.is_empty()).then_some(text)
}

//! What a provider says of itself, and of people: asked over the hub's way out, believed when it is signed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreClientAuthMethod, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreRevocableToken,
    CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, AsyncHttpClient, AuthType, AuthenticationFlow, AuthorizationCode, ClaimsVerificationError,
    Client, ClientId, ClientSecret, CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, IdTokenClaims, IdTokenFields, IssuerUrl, Nonce, OAuth2TokenResponse as _,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, StandardErrorResponse, StandardTokenResponse,
    TokenResponse as _, UserInfoClaims,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::flow::Flow;
use crate::clock::Timestamp;
use crate::config::{OidcProvider, is_protected};
use crate::hub::Hub;
use crate::outbound::{Outbound, Request, Target};

/// What a provider says of itself is believed for so long.
const MAX_AGE: Duration = Duration::from_secs(3600);
/// While it does not answer, for so long.
const MAX_AGE_ALONE: Duration = Duration::from_secs(86_400);
/// Between two questions for it, right or wrong.
const PAUSE: Duration = Duration::from_secs(10);
/// For each question.
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// How far the provider's clock may be from ours.
const SKEW: Duration = Duration::from_secs(60);
const MAX_GROUPS: usize = 1000;
/// What tokens may be signed with: never with nothing, and never with a secret that both sides have.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// Why a provider's word is not taken; for the log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Failed(String);

impl Failed {
    pub(super) fn new(what: &str, error: &dyn std::error::Error) -> Self {
        let mut text = format!("{what}: {error}");
        let mut next = error.source();
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        Self(text)
    }
}

/// What a provider says of somebody.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) subject: String,
    /// An address that the provider does not call unverified.
    pub(super) email: Option<String>,
    pub(super) name: Option<String>,
    pub(super) groups: Vec<String>,
    /// When it asked the person who they are, as far as it says so and that can be; never later than now.
    pub(super) auth_time: Option<Timestamp>,
}

/// Claims that are not standard.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Extra(Map<String, Value>);

impl AdditionalClaims for Extra {}

type Fields = IdTokenFields<
    Extra,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Oidc = Client<
    Extra,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// What is known of each provider.
#[derive(Debug, Default)]
pub(in crate::auth) struct Providers(Mutex<HashMap<String, Arc<tokio::sync::Mutex<Known>>>>);

#[derive(Debug, Default)]
struct Known {
    metadata: Option<(Timestamp, Arc<CoreProviderMetadata>)>,
    asked_at: Option<Timestamp>,
}

/// What the provider says of itself; `again`: what is known did not do.
async fn metadata(hub: &Hub, provider: &OidcProvider, again: bool) -> Result<Arc<CoreProviderMetadata>, Failed> {
    let known = {
        let mut all = hub.auth.providers.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(provider.id.clone()).or_default())
    };
    let mut known = known.lock().await;
    let now = hub.now();
    let age = known.metadata.as_ref().map(|(at, _)| now.since(*at));
    let may_ask = known.asked_at.is_none_or(|asked| now.since(asked) >= PAUSE);
    let is_wanted = again || age.is_none_or(|age| age >= MAX_AGE);
    if is_wanted && may_ask {
        known.asked_at = Some(now);
        match discover(hub, provider).await {
            Ok(metadata) => known.metadata = Some((now, Arc::new(metadata))),
            Err(error) => {
                tracing::warn!(provider = provider.id, %error, "an identity provider does not say what it is");
            }
        }
    }
    let current = known.metadata.as_ref().filter(|(at, _)| now.since(*at) < MAX_AGE_ALONE);
    current.map(|(_, metadata)| Arc::clone(metadata)).ok_or_else(|| {
        Failed("the provider cannot be reached, or does not say what it is; the log says more".to_owned())
    })
}

async fn discover(hub: &Hub, provider: &OidcProvider) -> Result<CoreProviderMetadata, Failed> {
    let issuer = IssuerUrl::new(provider.issuer.clone()).map_err(|error| Failed::new("issuer", &error))?;
    let http = Http(hub.outbound.clone());
    let metadata = CoreProviderMetadata::discover_async(issuer, &http).await;
    let metadata = metadata.map_err(|error| Failed::new("discovery", &error))?;
    if !is_protected(metadata.authorization_endpoint().url()) {
        return Err(Failed("its sign-in page is not at https://".to_owned()));
    }
    Ok(metadata)
}

fn client(hub: &Hub, provider: &OidcProvider, metadata: &CoreProviderMetadata) -> Result<Oidc, Failed> {
    let redirect = format!("{}/v1/auth/oidc/{}/callback", hub.config.public_url, provider.id);
    let redirect = RedirectUrl::new(redirect).map_err(|error| Failed::new("callback", &error))?;
    let secret = provider.client_secret.as_ref().map(|secret| ClientSecret::new(secret.reveal().to_owned()));
    let only_in_body = metadata.token_endpoint_auth_methods_supported().is_some_and(|methods| {
        methods.contains(&CoreClientAuthMethod::ClientSecretPost)
            && !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
    });
    let auth_type = if only_in_body { AuthType::RequestBody } else { AuthType::BasicAuth };
    let client = Oidc::from_provider_metadata(metadata.clone(), ClientId::new(provider.client_id.clone()), secret);
    Ok(client.set_auth_type(auth_type).set_redirect_uri(redirect))
}

/// Where the browser goes to sign in.
pub(super) async fn sign_in_url(hub: &Hub, provider: &OidcProvider, flow: &Flow) -> Result<String, Failed> {
    let metadata = metadata(hub, provider, false).await?;
    let client = client(hub, provider, &metadata)?;
    let (state, nonce) = (CsrfToken::new(flow.state.clone()), Nonce::new(flow.nonce.clone()));
    let verifier = PkceCodeVerifier::new(flow.verifier.clone());
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
    let code = AuthenticationFlow::<openidconnect::core::CoreResponseType>::AuthorizationCode;
    let mut request = client.authorize_url(code, || state, || nonce).set_pkce_challenge(challenge);
    // The library asks for `openid` itself.
    for scope in provider.scopes.iter().filter(|scope| *scope != "openid") {
        request = request.add_scope(Scope::new(scope.clone()));
    }
    if flow.purpose.wants_fresh() {
        request = request.add_prompt(CoreAuthPrompt::Login).set_max_age(Duration::ZERO);
    }
    Ok(request.url().0.into())
}

/// Whom the provider gave the code for.
pub(super) async fn claimed(hub: &Hub, provider: &OidcProvider, flow: &Flow, code: String) -> Result<Claimed, Failed> {
    let known = metadata(hub, provider, false).await?;
    let client = client(hub, provider, &known)?;
    let http = Http(hub.outbound.clone());
    let request = client.exchange_code(AuthorizationCode::new(code));
    let request = request.map_err(|error| Failed::new("the provider has no place for codes", &error))?;
    let request = request.set_pkce_verifier(PkceCodeVerifier::new(flow.verifier.clone()));
    let answer = request.request_async(&http).await.map_err(|error| Failed::new("the code", &error))?;
    let token = answer.id_token().ok_or_else(|| Failed("the provider gave no id token".to_owned()))?;
    let nonce = Nonce::new(flow.nonce.clone());
    let claims = match token.claims(&verifier(hub, &client, flow), &nonce) {
        // The provider may have new keys.
        Err(ClaimsVerificationError::SignatureVerification(_)) => {
            let fresh = metadata(hub, provider, true).await?;
            let client = self::client(hub, provider, &fresh)?;
            token.claims(&verifier(hub, &client, flow), &nonce)
        }
        claims => claims,
    };
    let claims = claims.map_err(|error| Failed::new("the id token", &error))?;
    let mut claimed = Claimed {
        subject: claims.subject().to_string(),
        email: trusted(claims.email().map(|email| email.to_string()), claims.email_verified()),
        name: name_of(claims),
        groups: groups(claims.additional_claims(), &provider.groups_claim),
        auth_time: claims.auth_time().and_then(|at| possible(at.timestamp_millis(), hub.now())),
    };
    if known.userinfo_endpoint().is_some() && (claimed.email.is_none() || claimed.groups.is_empty()) {
        let request = client.user_info(answer.access_token().clone(), Some(claims.subject().clone()));
        let request = request.map_err(|error| Failed::new("userinfo", &error))?;
        let more: UserInfoClaims<Extra, CoreGenderClaim> =
            request.request_async(&http).await.map_err(|error| Failed::new("userinfo", &error))?;
        if claims.email().is_none() {
            claimed.email = trusted(more.email().map(|email| email.to_string()), more.email_verified());
        }
        if claimed.groups.is_empty() {
            claimed.groups = groups(more.additional_claims(), &provider.groups_claim);
        }
        if claimed.name.is_none() {
            claimed.name = more.name().and_then(|name| name.get(None)).map(|name| name.to_string());
        }
    }
    Ok(claimed)
}

type Verifier<'c> = openidconnect::IdTokenVerifier<'c, CoreJsonWebKey>;

/// Issuer, audience and nonce the library checks by itself; here is what else must be right.
fn verifier<'c>(hub: &Hub, client: &'c Oidc, flow: &Flow) -> Verifier<'c> {
    let now = hub.now();
    let latest = now.plus(SKEW).as_s();
    let moment = UNIX_EPOCH + Duration::from_secs(u64::try_from(now.minus(SKEW).as_s()).unwrap_or_default());
    let signed_in_after = flow.purpose.wants_fresh().then(|| Timestamp::from_ms(flow.began).minus(SKEW).as_s());
    client
        .id_token_verifier()
        .set_allowed_algs(ALGORITHMS)
        .set_time_fn(move || moment.into())
        .set_issue_time_verifier_fn(move |issued| {
            if issued.timestamp() <= latest { Ok(()) } else { Err("it was issued in the future".to_owned()) }
        })
        .set_auth_time_verifier_fn(move |at| match (signed_in_after, at) {
            (None, _) => Ok(()),
            (Some(after), Some(at)) if at.timestamp() >= after => Ok(()),
            (Some(_), _) => Err("it does not say that the person has just signed in".to_owned()),
        })
}

fn name_of(claims: &IdTokenClaims<Extra, CoreGenderClaim>) -> Option<String> {
    let name = claims.name().and_then(|name| name.get(None)).map(|name| name.to_string());
    name.or_else(|| claims.preferred_username().map(|name| name.to_string()))
}

/// A moment that a provider names, in milliseconds; its clock may be a little ahead.
fn possible(at_ms: i64, now: Timestamp) -> Option<Timestamp> {
    (at_ms <= now.plus(SKEW).as_ms()).then(|| Timestamp::from_ms(at_ms).min(now))
}

/// Providers that say nothing of an address have checked it in their own way.
fn trusted(email: Option<String>, verified: Option<bool>) -> Option<String> {
    email.filter(|_| verified != Some(false))
}

fn groups(claims: &Extra, name: &str) -> Vec<String> {
    match claims.0.get(name) {
        Some(Value::String(group)) => vec![group.clone()],
        Some(Value::Array(groups)) => {
            groups.iter().filter_map(Value::as_str).take(MAX_GROUPS).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// The hub's way out in the library's terms. Providers are named by whoever runs the hub, so they may be near.
#[derive(Clone)]
struct Http(Outbound);

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = Failed;
    type Future = BoxFuture<'static, Result<HttpResponse, Failed>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        let outbound = self.0.clone();
        async move { send(&outbound, request).await }.boxed()
    }
}

async fn send(outbound: &Outbound, request: HttpRequest) -> Result<HttpResponse, Failed> {
    let (parts, body) = request.into_parts();
    let url = parts.uri.to_string();
    let target = Target::private(&url).map_err(|error| Failed::new(&url, &error))?;
    if !url::Url::parse(&url).is_ok_and(|url| is_protected(&url)) {
        return Err(Failed(format!("{url} is not at https://, so nobody can believe it")));
    }
    let request = Request {
        method: parts.method,
        headers: parts.headers,
        body: Bytes::from(body),
        timeout: TIMEOUT,
        max_answer: MAX_ANSWER_BYTES,
    };
    let answer = outbound.send(&target, request).await.map_err(|error| Failed::new(&url, &error))?;
    if answer.cut {
        return Err(Failed(format!("{url} answers more than {MAX_ANSWER_BYTES} bytes")));
    }
    let mut response = HttpResponse::new(answer.body.to_vec());
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok(response)
}

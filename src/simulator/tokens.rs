//! The authorization server of a simulated member: SMART Backend Services, and OAuth 2.0 client
//! credentials with a secret.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, http::header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::faults::TokenFault;

/// SMART: an assertion is good for five minutes at most.
const ASSERTION_SECONDS_MAX: i64 = 300;
/// Tokens and assertions remembered at once; those that expired go first.
const REMEMBERED_MAX: usize = 10_000;
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Who is given tokens, and how. With it, nothing but metadata is served without a token.
#[derive(Clone)]
pub struct TokenRules {
    /// The one client that is known.
    pub client_id: String,
    /// How it proves who it is.
    pub proof: ClientProof,
    /// How long a token is good for, in seconds.
    pub lifetime_s: u64,
}

/// How a client proves who it is.
#[derive(Clone)]
pub enum ClientProof {
    /// By a secret, with HTTP Basic authentication.
    Secret(String),
    /// By an assertion that it signed; the public key in PEM.
    Key {
        /// `kid` of the key.
        key_id: String,
        /// ES384 or RS384.
        algorithm: Algorithm,
        /// PEM of the public key.
        public_key: String,
    },
}

impl fmt::Debug for TokenRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenRules({})", self.client_id)
    }
}

/// The tokens that were given out, and the assertions that were seen, until they expire.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    given: Mutex<HashMap<String, i64>>,
    seen: Mutex<HashMap<String, i64>>,
    requests: Mutex<u64>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: i64,
    #[serde(default)]
    jti: String,
}

impl Tokens {
    /// `.well-known/smart-configuration`.
    pub(super) fn configuration(origin: &str) -> HttpResponse {
        HttpResponse::Ok().json(json!({
            "token_endpoint": format!("{origin}/token"),
            "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic"],
            "token_endpoint_auth_signing_alg_values_supported": ["ES384", "RS384"],
            "grant_types_supported": ["client_credentials"],
            "scopes_supported": ["system/*.rs"],
            "code_challenge_methods_supported": ["S256"],
            "capabilities": ["client-confidential-asymmetric", "permission-v2"],
        }))
    }

    /// How often a token was asked for.
    pub(super) fn requests(&self) -> u64 {
        *lock(&self.requests)
    }

    /// `POST /token`.
    pub(super) fn give(
        &self,
        rules: &TokenRules,
        request: &HttpRequest,
        form: &str,
        origin: &str,
        fault: TokenFault,
    ) -> HttpResponse {
        *lock(&self.requests) += 1;
        if fault == TokenFault::Unavailable {
            return HttpResponse::ServiceUnavailable().finish();
        }
        let form: HashMap<String, String> =
            url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
        let told = |name: &str| form.get(name).map_or("", String::as_str);
        if told("grant_type") != "client_credentials" {
            return refuse("unsupported_grant_type");
        }
        let proven = match &rules.proof {
            ClientProof::Secret(secret) => {
                let basic = STANDARD.encode(format!("{}:{secret}", rules.client_id));
                bearer(request, "Basic ") == Some(&basic)
            }
            ClientProof::Key { .. } => {
                told("client_assertion_type") == JWT_BEARER
                    && self.is_proven(rules, told("client_assertion"), &format!("{origin}/token"))
            }
        };
        if !proven || fault == TokenFault::Refused {
            return refuse("invalid_client");
        }
        let token = Uuid::new_v4().to_string();
        if fault != TokenFault::Worthless {
            let until = now() + rules.lifetime_s as i64;
            remember(&mut lock(&self.given), token.clone(), until);
        }
        HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(json!({
            "access_token": token,
            "token_type": "bearer",
            "expires_in": rules.lifetime_s,
            "scope": told("scope"),
        }))
    }

    /// Whether an assertion is this client's, for this endpoint, fresh, and seen for the first time
    /// (RFC 7523 §3, SMART Backend Services).
    fn is_proven(&self, rules: &TokenRules, assertion: &str, endpoint: &str) -> bool {
        let ClientProof::Key { key_id, algorithm, public_key } = &rules.proof else { return false };
        let key = match algorithm {
            Algorithm::RS384 => DecodingKey::from_rsa_pem(public_key.as_bytes()),
            _ => DecodingKey::from_ec_pem(public_key.as_bytes()),
        };
        let mut wanted = Validation::new(*algorithm);
        wanted.leeway = 0;
        wanted.set_audience(&[endpoint]);
        wanted.set_issuer(&[&rules.client_id]);
        wanted.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        let Ok(read) = key.and_then(|key| decode::<Claims>(assertion, &key, &wanted)) else {
            return false;
        };
        let claims = read.claims;
        let whole = read.header.kid.as_ref() == Some(key_id)
            && claims.iss == claims.sub
            && !claims.jti.is_empty()
            && claims.exp <= now() + ASSERTION_SECONDS_MAX;
        whole && remember(&mut lock(&self.seen), claims.jti, claims.exp)
    }

    /// Whether a request bears a token that is good now.
    pub(super) fn admits(&self, request: &HttpRequest) -> bool {
        let Some(token) = bearer(request, "Bearer ") else { return false };
        lock(&self.given).get(token).is_some_and(|until| *until > now())
    }

    /// Takes every token back.
    pub(super) fn revoke_all(&self) {
        lock(&self.given).clear();
    }
}

/// What a request without a good token is told.
pub(super) fn unauthorized() -> HttpResponse {
    HttpResponse::Unauthorized()
        .insert_header((header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\""))
        .finish()
}

fn refuse(error: &str) -> HttpResponse {
    HttpResponse::build(StatusCode::BAD_REQUEST).json(json!({ "error": error }))
}

fn bearer<'a>(request: &'a HttpRequest, scheme: &str) -> Option<&'a str> {
    request.headers().get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix(scheme)
}

/// Notes something until it expires; false where it was there already.
fn remember(kept: &mut HashMap<String, i64>, what: String, until: i64) -> bool {
    if kept.len() >= REMEMBERED_MAX {
        kept.retain(|_, until| *until > now());
    }
    kept.len() < REMEMBERED_MAX && kept.insert(what, until).is_none()
}

fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

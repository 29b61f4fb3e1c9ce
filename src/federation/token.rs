//! Tokens with which a member lets the gateway in: fetched once for all who wait, kept until
//! shortly before they expire, and sent to the member's own origin alone.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::{
    Client, Response,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, time::Instant};
use url::{Url, form_urlencoded};
use uuid::Uuid;

use super::{
    http::{cause, read_body},
    member_base::MemberBase,
    member_client::TransportError,
};
use crate::{
    directory::{Authorization, SigningAlgorithm, is_token_endpoint},
    domain::Clock,
};

/// Configurations and tokens stay far below this.
const BODY_BYTES_MAX: usize = 64 << 10;
/// How long an assertion is good for: SMART allows five minutes.
const ASSERTION_LIFE: Duration = Duration::from_mins(4);
/// What SMART recommends where a server does not say how long a token is good for.
const TOKEN_LIFE_DEFAULT_S: u64 = 300;
/// No token is kept longer, whatever the server says.
const TOKEN_LIFE_MAX_S: u64 = 3_600;
/// A secret or a key is a small file.
const SECRET_BYTES_MAX: usize = 64 << 10;
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Gets tokens for one member.
pub(super) struct TokenSource {
    client_id: String,
    proof: Proof,
    endpoint: Option<Url>,
    scope: String,
    base: MemberBase,
    http: Client,
    clock: Arc<dyn Clock>,
    current: Mutex<Option<Token>>,
}

enum Proof {
    Secret(String),
    Key { key: EncodingKey, key_id: String, algorithm: Algorithm },
}

struct Token {
    bearer: HeaderValue,
    good_until: Instant,
}

/// Why a member's authorization cannot be used. Names no secret.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnusableSecret(pub(super) &'static str);

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource(…)")
    }
}

impl TokenSource {
    /// Reads what a member's authorization needs; `None` where the certificate is enough.
    pub(super) fn of(
        authorization: &Authorization,
        base: &MemberBase,
        http: Client,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Self>, UnusableSecret> {
        let (client_id, proof, endpoint, scope) = match authorization {
            Authorization::None => return Ok(None),
            Authorization::ClientCredentials { client_id, secret_file, token_url, scope } => {
                let secret = read_secret(secret_file)?.trim_end().to_owned();
                (client_id, Proof::Secret(secret), Some(token_url), scope)
            }
            Authorization::PrivateKeyJwt {
                client_id,
                key_file,
                key_id,
                algorithm,
                token_url,
                scope,
            } => {
                let pem = read_secret(key_file)?;
                let (algorithm, key) = match algorithm {
                    SigningAlgorithm::ES384 => {
                        (Algorithm::ES384, EncodingKey::from_ec_pem(pem.as_bytes()))
                    }
                    SigningAlgorithm::RS384 => {
                        (Algorithm::RS384, EncodingKey::from_rsa_pem(pem.as_bytes()))
                    }
                };
                let key = key.map_err(|_| UnusableSecret("its key file holds no such key"))?;
                let proof = Proof::Key { key, key_id: key_id.clone(), algorithm };
                (client_id, proof, token_url.as_ref(), scope)
            }
        };
        let endpoint = endpoint
            .map(|url| Url::parse(url).map_err(|_| UnusableSecret("its token URL is not usable")))
            .transpose()?;
        Ok(Some(Self {
            client_id: client_id.clone(),
            proof,
            endpoint,
            scope: scope.clone(),
            base: base.clone(),
            http,
            clock,
            current: Mutex::default(),
        }))
    }

    /// A token for a request to `url`, with its scheme; none for what is not below the member's
    /// base. Whoever comes while one is fetched waits for it.
    pub(super) async fn bearer(&self, url: &Url) -> Result<Option<HeaderValue>, TransportError> {
        if self.base.follow(url, url.as_str()).is_err() {
            return Ok(None);
        }
        let mut current = self.current.lock().await;
        if let Some(token) = current.as_ref().filter(|token| Instant::now() < token.good_until) {
            return Ok(Some(token.bearer.clone()));
        }
        *current = None;
        let token = self.fetch().await?;
        let bearer = token.bearer.clone();
        *current = Some(token);
        Ok(Some(bearer))
    }

    /// Forgets a token that the member did not honor.
    pub(super) async fn forget(&self, bearer: &HeaderValue) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|token| token.bearer == *bearer) {
            *current = None;
        }
    }

    async fn fetch(&self) -> Result<Token, TransportError> {
        let endpoint = match &self.endpoint {
            Some(told) => told.clone(),
            None => self.discover().await?,
        };
        let (form, basic) = self.form(&endpoint)?;
        let mut request = self.http.post(endpoint).header(ACCEPT, "application/json");
        if let Some(basic) = basic {
            request = request.header(AUTHORIZATION, basic);
        }
        let response = request
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .await
            .map_err(|error| cause(&error))?;
        let told: TokenAnswer = read_json(response).await?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", told.access_token))
            .map_err(|_| TransportError::LoginRefused)?;
        bearer.set_sensitive(true);
        if !told.token_type.eq_ignore_ascii_case("bearer") {
            return Err(TransportError::LoginRefused);
        }
        let life = told.expires_in.unwrap_or(TOKEN_LIFE_DEFAULT_S).min(TOKEN_LIFE_MAX_S);
        // A tenth is left for the request that it is sent with.
        let good_until = Instant::now() + Duration::from_secs(life).mul_f64(0.9);
        Ok(Token { bearer, good_until })
    }

    /// What is posted for a token, and the header that proves who asks, where one does.
    fn form(&self, endpoint: &Url) -> Result<(String, Option<HeaderValue>), TransportError> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials").append_pair("scope", &self.scope);
        let basic = match &self.proof {
            Proof::Secret(secret) => {
                // RFC 6749 §2.3.1: both halves are form-encoded before they are joined.
                let encoded = |text: &str| -> String {
                    form_urlencoded::byte_serialize(text.as_bytes()).collect()
                };
                let pair = format!("{}:{}", encoded(&self.client_id), encoded(secret));
                let basic = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)));
                let mut basic = basic.map_err(|_| TransportError::LoginRefused)?;
                basic.set_sensitive(true);
                Some(basic)
            }
            Proof::Key { key, key_id, algorithm } => {
                let assertion = self.assertion(endpoint, key, key_id, *algorithm)?;
                form.append_pair("client_assertion_type", JWT_BEARER)
                    .append_pair("client_assertion", &assertion);
                None
            }
        };
        Ok((form.finish(), basic))
    }

    /// `token_endpoint` of `.well-known/smart-configuration` (SMART App Launch 2.2).
    async fn discover(&self) -> Result<Url, TransportError> {
        let url = self.base.below(&[".well-known", "smart-configuration"]);
        let request = self.http.get(url).header(ACCEPT, "application/json");
        let response = request.send().await.map_err(|error| cause(&error))?;
        let told: SmartConfiguration = read_json(response).await?;
        if !is_token_endpoint(&told.token_endpoint) {
            return Err(TransportError::LoginRefused);
        }
        Url::parse(&told.token_endpoint).map_err(|_| TransportError::LoginRefused)
    }

    /// RFC 7523, as SMART Backend Services narrows it.
    fn assertion(
        &self,
        endpoint: &Url,
        key: &EncodingKey,
        key_id: &str,
        algorithm: Algorithm,
    ) -> Result<String, TransportError> {
        let now = self.clock.now().unix_timestamp();
        let claims = Claims {
            iss: &self.client_id,
            sub: &self.client_id,
            aud: endpoint.as_str(),
            iat: now,
            exp: now + ASSERTION_LIFE.as_secs() as i64,
            jti: Uuid::new_v4().to_string(),
        };
        let header = Header { kid: Some(key_id.to_owned()), ..Header::new(algorithm) };
        encode(&header, &claims, key).map_err(|_| TransportError::LoginRefused)
    }
}

async fn read_json<T: for<'de> Deserialize<'de>>(response: Response) -> Result<T, TransportError> {
    match response.status().as_u16() {
        200..=299 => {}
        429 | 500..=599 => return Err(TransportError::Broken),
        _ => return Err(TransportError::LoginRefused),
    }
    let body = read_body(response, BODY_BYTES_MAX).await?;
    serde_json::from_slice(&body).map_err(|_| TransportError::LoginRefused)
}

fn read_secret(path: &Path) -> Result<String, UnusableSecret> {
    let text = std::fs::read_to_string(path)
        .map_err(|_| UnusableSecret("the file of its secret or key cannot be read"))?;
    if text.trim().is_empty() || text.len() > SECRET_BYTES_MAX {
        return Err(UnusableSecret("the file of its secret or key is empty or too long"));
    }
    Ok(text)
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: String,
}

#[derive(Deserialize)]
struct SmartConfiguration {
    token_endpoint: String,
}

/// RFC 6749 §5.1. No `Debug`: it holds a token.
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    #[serde(default = "bearer")]
    token_type: String,
    expires_in: Option<u64>,
}

fn bearer() -> String {
    "bearer".to_owned()
}

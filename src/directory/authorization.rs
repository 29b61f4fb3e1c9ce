use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

use super::InvalidMember;

/// The longest file name, client id or scope, in bytes.
const TEXT_BYTES_MAX: usize = 1_024;

/// How the gateway is let in at a member, beside its certificate. Secrets and keys stay in files:
/// the directory, its history and what an operator is shown hold their names only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Authorization {
    /// The certificate is enough.
    #[default]
    None,
    /// OAuth 2.0 client credentials with a secret (RFC 6749 §4.4, HTTP Basic).
    ClientCredentials {
        /// As registered at the member.
        client_id: String,
        /// A file that holds the secret and nothing else.
        secret_file: PathBuf,
        /// Where tokens are given out.
        token_url: String,
        /// What is asked for.
        #[serde(default = "scope_default")]
        scope: String,
    },
    /// SMART Backend Services: an assertion signed with the gateway's key (RFC 7523).
    PrivateKeyJwt {
        /// As registered at the member.
        client_id: String,
        /// The private key, PEM (PKCS#8).
        key_file: PathBuf,
        /// `kid` of the key, as registered.
        key_id: String,
        /// How assertions are signed.
        #[serde(default)]
        algorithm: SigningAlgorithm,
        /// Where tokens are given out; `.well-known/smart-configuration` says so where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_url: Option<String>,
        /// What is asked for.
        #[serde(default = "scope_default")]
        scope: String,
    },
}

/// How assertions are signed (SMART: a client supports both).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SigningAlgorithm {
    /// ECDSA on P-384.
    #[default]
    ES384,
    /// RSA, PKCS#1 v1.5.
    RS384,
}

fn scope_default() -> String {
    "system/*.rs".to_owned()
}

impl Authorization {
    pub(super) fn check(&self) -> Result<(), InvalidMember> {
        let text = |key: &'static str, value: &str| {
            let whole = !value.trim().is_empty()
                && value.len() <= TEXT_BYTES_MAX
                && !value.contains(char::is_control);
            if whole { Ok(()) } else { Err(InvalidMember::Authorization { key }) }
        };
        let file = |key, path: &Path| text(key, &path.to_string_lossy());
        let endpoint = |url: &String| {
            let whole = url.len() <= TEXT_BYTES_MAX && is_token_endpoint(url);
            let key = "token_url";
            if whole { Ok(()) } else { Err(InvalidMember::Authorization { key }) }
        };
        match self {
            Self::None => Ok(()),
            Self::ClientCredentials { client_id, secret_file, token_url, scope } => {
                text("client_id", client_id)?;
                file("secret_file", secret_file)?;
                text("scope", scope)?;
                endpoint(token_url)
            }
            Self::PrivateKeyJwt { client_id, key_file, key_id, token_url, scope, .. } => {
                text("client_id", client_id)?;
                file("key_file", key_file)?;
                text("key_id", key_id)?;
                text("scope", scope)?;
                token_url.as_ref().map_or(Ok(()), endpoint)
            }
        }
    }
}

/// Whether a text is the URL of an endpoint that a secret may be sent to.
pub fn is_token_endpoint(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        url.scheme() == "https"
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
    })
}

//! Where an exchange's database is: a file, or a PostgreSQL server.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::Deserialize;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use thiserror::Error;
use url::Url;

/// Where an exchange's database is. Shows itself without the password.
#[derive(Clone)]
pub enum DatabaseAddress {
    /// A SQLite file.
    File(PathBuf),
    /// A database on a PostgreSQL server.
    Server(ServerAddress),
}

/// A database on a PostgreSQL server, and how to log in there. Shows itself without the password.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct ServerAddress(Box<PgConnectOptions>);

/// Why an address cannot be used. Never repeats the address, which may hold a password.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum InvalidAddress {
    /// Not `postgres://user@host:port/database?…`.
    #[error("not a PostgreSQL URL such as postgres://tessera@db.example.org/tessera")]
    Url,
    /// The server would not be checked, and it is not on this machine.
    #[error(
        "sslmode must be verify-full or verify-ca where the database is on another machine; \
         sslrootcert=FILE names an authority of your own"
    )]
    Unverified,
    /// No database is named.
    #[error("the URL names no database: postgres://user@host/DATABASE")]
    NoDatabase,
}

impl DatabaseAddress {
    /// The file, where it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Server(_) => None,
        }
    }
}

impl FromStr for DatabaseAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return text.parse().map(Self::Server);
        }
        Ok(Self::File(PathBuf::from(text)))
    }
}

impl From<PathBuf> for DatabaseAddress {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl From<&Path> for DatabaseAddress {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<&PathBuf> for DatabaseAddress {
    fn from(path: &PathBuf) -> Self {
        Self::File(path.clone())
    }
}

impl fmt::Display for DatabaseAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(server) => server.fmt(f),
        }
    }
}

impl fmt::Debug for DatabaseAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ServerAddress {
    type Err = InvalidAddress;

    /// Parses a URL. What it leaves out comes from libpq's variables (`PGPASSWORD`, `PGPASSFILE`,
    /// …); but a server on another machine is checked by certificate and name unless the URL says
    /// `verify-ca`, and nothing turns that off.
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let url = Url::parse(text).map_err(|_| InvalidAddress::Url)?;
        if !["postgres", "postgresql"].contains(&url.scheme()) {
            return Err(InvalidAddress::Url);
        }
        let options = PgConnectOptions::from_str(text).map_err(|_| InvalidAddress::Url)?;
        if options.get_database().is_none() {
            return Err(InvalidAddress::NoDatabase);
        }
        let told = url.query_pairs().any(|(key, _)| key == "sslmode" || key == "ssl-mode");
        let options = match (is_this_machine(&options), told) {
            (true, true) => options,
            (true, false) => options.ssl_mode(PgSslMode::Prefer),
            (false, false) => options.ssl_mode(PgSslMode::VerifyFull),
            (false, true) => match options.get_ssl_mode() {
                PgSslMode::VerifyCa | PgSslMode::VerifyFull => options,
                _ => return Err(InvalidAddress::Unverified),
            },
        };
        Ok(Self(Box::new(options)))
    }
}

impl TryFrom<String> for ServerAddress {
    type Error = InvalidAddress;

    fn try_from(text: String) -> Result<Self, InvalidAddress> {
        text.parse()
    }
}

impl ServerAddress {
    /// The same with this password.
    #[must_use]
    pub fn with_password(self, password: &str) -> Self {
        Self(Box::new(self.0.password(password)))
    }

    pub(super) fn options(&self) -> &PgConnectOptions {
        &self.0
    }
}

fn is_this_machine(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
    options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || ip.is_ok_and(|ip| ip.is_loopback())
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (self.0.get_host(), self.0.get_port());
        let database = self.0.get_database().unwrap_or_default();
        match self.0.get_socket() {
            Some(socket) => write!(f, "postgres://{}/{database}", socket.display()),
            None => write!(f, "postgres://{host}:{port}/{database}"),
        }
    }
}

impl fmt::Debug for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(text: &str) -> Result<PgSslMode, InvalidAddress> {
        match text.parse()? {
            DatabaseAddress::Server(server) => Ok(server.0.get_ssl_mode()),
            DatabaseAddress::File(path) => panic!("a file: {}", path.display()),
        }
    }

    #[test]
    fn a_server_elsewhere_is_verified_whatever_the_url_says() {
        for here in ["localhost", "127.0.0.1", "127.8.9.1:5433", "[::1]", "%2Frun%2Fpostgresql"] {
            let found = mode(&format!("postgres://t@{here}/t"));
            assert!(matches!(found, Ok(PgSslMode::Prefer)), "{here}: {found:?}");
        }
        for elsewhere in ["db.example.org", "10.0.0.1", "[2001:db8::1]", "localhost.example.org"] {
            let url = format!("postgresql://t@{elsewhere}/t");
            assert!(matches!(mode(&url), Ok(PgSslMode::VerifyFull)), "{url}");
            assert!(matches!(mode(&format!("{url}?sslmode=verify-ca")), Ok(PgSslMode::VerifyCa)));
            for weak in ["disable", "allow", "prefer", "require"] {
                let refused = mode(&format!("{url}?sslmode={weak}")).err();
                assert_eq!(refused, Some(InvalidAddress::Unverified), "{url} {weak}");
            }
        }
        // The host in the query is the one that counts.
        let hidden = mode("postgres://t@localhost/t?host=db.example.org&sslmode=disable");
        assert_eq!(hidden.err(), Some(InvalidAddress::Unverified));
    }

    #[test]
    fn an_address_never_shows_its_password() {
        let address: DatabaseAddress =
            "postgres://t:s3cret@127.0.0.1:5433/tessera".parse().expect("a URL");
        let shown = format!("{address} {address:?}");
        assert!(!shown.contains("s3cret") && shown.contains("127.0.0.1:5433/tessera"), "{shown}");
    }

    #[test]
    fn what_is_no_url_is_a_file() {
        let address: DatabaseAddress = "data/tessera.db".parse().expect("a path");
        assert_eq!(address.file(), Some(Path::new("data/tessera.db")));
        assert_eq!("postgres://[".parse::<DatabaseAddress>().err(), Some(InvalidAddress::Url));
        let nameless = "postgres://t@127.0.0.1".parse::<DatabaseAddress>().err();
        assert_eq!(nameless, Some(InvalidAddress::NoDatabase));
    }
}

//! An HL7 v2 sender on the wire: MLLP over mutual TLS.

use std::{net::SocketAddr, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::{Value, json};
use tessera::{
    domain::MemberCode,
    tls::{Credentials, MemberTls, client_config},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    people::anne,
    process::Process,
    world::{PATIENCE, Site, Stage, World, record_numbers},
};

/// Anne, whose messages call her record numbers `ANNE`.
pub(crate) fn anne_by_messages() -> Site {
    anne().told("authority", json!([{"namespace": "ANNE", "system": record_numbers("anne")}]))
}

/// Settings of a gateway that takes messages.
pub(crate) fn takes_messages(settings: &mut Value) {
    settings["mllp"] = json!({"address": "127.0.0.1:0"});
}

/// A gateway that takes messages of Anne.
pub(crate) async fn world() -> World {
    World::with(vec![anne_by_messages()], takes_messages).await
}

/// A message: its header with event, number and time, and further segments.
pub(crate) fn message(event: &str, number: &str, time: &str, segments: &[&str]) -> String {
    let header =
        format!("MSH|^~\\&|ADT|ANNE|TESSERA|HIE|{time}||ADT^{event}|{number}|P|2.5.1\rEVN||{time}");
    let mut all = vec![header.as_str()];
    all.extend(segments);
    all.join("\r")
}

/// Ruth under a number of Anne's.
pub(crate) fn ruths_pid(number: &str) -> String {
    format!(
        "PID|1||{number}^^^ANNE^MR||Calloway^Ruth^Edna||19580314|F|||12 Harbour Row^^Oswego^NY^13126^US||^PRN^PH^^1^315^5550142"
    )
}

/// An acknowledgement.
#[derive(Debug)]
pub(crate) struct Ack(pub(crate) String);

impl Ack {
    fn field(&self, segment: &str, field: usize) -> &str {
        let line = self.0.split('\r').find(|line| line.starts_with(segment)).unwrap_or_default();
        line.split('|').nth(field).unwrap_or_default()
    }

    /// MSA-1.
    pub(crate) fn code(&self) -> &str {
        self.field("MSA", 1)
    }

    /// MSA-2.
    pub(crate) fn number(&self) -> &str {
        self.field("MSA", 2)
    }

    /// MSA-3, what was done.
    pub(crate) fn words(&self) -> &str {
        self.field("MSA", 3)
    }

    /// Asserts that the message was taken, and what was done.
    pub(crate) fn accepts(&self, words: &str) {
        assert_eq!((self.code(), self.words()), ("AA", words), "{self:?}");
    }

    /// Asserts a refusal: code, place as `PID^1^3`, condition of table 0357, and words.
    pub(crate) fn refuses(&self, code: &str, place: &str, condition: &str, words: &str) {
        assert_eq!(self.code(), code, "{self:?}");
        assert_eq!(self.field("ERR", 2), place, "{self:?}");
        assert!(self.field("ERR", 3).starts_with(&format!("{condition}^")), "{self:?}");
        assert!(self.field("ERR", 8).contains(words), "{self:?}");
    }
}

/// A sender's connection.
pub(crate) struct Wire<S>(S);

pub(crate) type TlsWire = Wire<TlsStream<TcpStream>>;

impl TlsWire {
    /// Connects with a certificate; an error where the handshake is refused.
    pub(crate) async fn try_connect(
        stage: &Stage,
        credentials: &Credentials,
        address: SocketAddr,
        versions: MemberTls,
    ) -> std::io::Result<Self> {
        let roots = stage.pki.trust_roots().expect("minted");
        let mut config = client_config(credentials, &roots, versions).expect("whole");
        config.alpn_protocols.clear();
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let name = "localhost".try_into().expect("a name");
        Ok(Self(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
    }

    /// As [`Self::try_connect`], by TLS 1.2 and nothing later.
    pub(crate) async fn connect_by_tls_1_2(
        stage: &Stage,
        member: &Credentials,
        address: SocketAddr,
    ) -> std::io::Result<Self> {
        let code = MemberCode::parse("anne").expect("a code");
        let files = stage.pki.member(&code);
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_file(stage.pki.root_certificate()).expect("a root");
        roots.add(root).expect("trusted");
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .expect("TLS 1.2")
            .with_root_certificates(roots)
            .with_client_auth_cert(
                member.chain().to_vec(),
                PrivateKeyDer::from_pem_file(&files.key).expect("a key"),
            )
            .expect("they belong together");
        let stream = TcpStream::connect(address).await?;
        let name = "localhost".try_into().expect("a name");
        Ok(Self(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
    }

    async fn connect(world: &World, credentials: &Credentials) -> Self {
        let address = world.gateway.mllp_address().expect("it listens");
        Self::try_connect(&world.stage, credentials, address, MemberTls::Tls13)
            .await
            .expect("let in")
    }

    /// A member's connection.
    pub(crate) async fn of(world: &World, member: &str) -> Self {
        let code = MemberCode::parse(member).expect("a code");
        Self::connect(world, &world.stage.pki.member(&code).read().expect("minted")).await
    }

    /// A member's connection to a gateway that runs as a process.
    pub(crate) async fn of_process(stage: &Stage, gateway: &Process, member: &str) -> Self {
        let code = MemberCode::parse(member).expect("a code");
        let credentials = stage.pki.member(&code).read().expect("minted");
        let address = gateway.mllp.expect("it listens");
        let wire = Self::try_connect(stage, &credentials, address, MemberTls::Tls13);
        wire.await.expect("let in")
    }

    /// A client's connection that is no member.
    pub(crate) async fn of_client(world: &World, client: &str) -> Self {
        let code = MemberCode::parse(client).expect("a code");
        Self::connect(world, &world.stage.pki.client(&code).read().expect("minted")).await
    }
}

impl Wire<TcpStream> {
    /// A connection without TLS.
    pub(crate) async fn plain(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("it listens"))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Sends a message in its frame and reads the acknowledgement.
    pub(crate) async fn send(&mut self, message: impl AsRef<[u8]>) -> Ack {
        self.write(&framed(message)).await.expect("sent");
        self.read().await.expect("acknowledged")
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    /// The next acknowledgement; `None` at the end of the connection.
    pub(crate) async fn read(&mut self) -> Option<Ack> {
        let read = async {
            let mut bytes = Vec::new();
            loop {
                let byte = self.0.read_u8().await.ok()?;
                match byte {
                    0x0b => bytes.clear(),
                    0x1c => {
                        assert_eq!(self.0.read_u8().await.ok(), Some(0x0d));
                        return Some(Ack(String::from_utf8_lossy(&bytes).into_owned()));
                    }
                    byte => bytes.push(byte),
                }
            }
        };
        timeout(PATIENCE, read).await.expect("the gateway answers or closes")
    }

    /// Whether the gateway ends the connection without another word.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.read().await.is_none()
    }
}

/// A message in its MLLP frame.
pub(crate) fn framed(message: impl AsRef<[u8]>) -> Vec<u8> {
    [b"\x0b", message.as_ref(), b"\x1c\x0d"].concat()
}

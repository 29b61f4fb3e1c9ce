//! Who gets a connection at all.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use rcgen::{
    CertificateParams, CertificateRevocationListParams, ExtendedKeyUsagePurpose, Issuer,
    KeyIdMethod, KeyPair, RevokedCertParams, SanType, SerialNumber,
};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, HandshakeKind, RootCertStore, Stream,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tessera::{
    app::SystemClock,
    domain::{Clock, MemberCode},
};
use time::{Duration, OffsetDateTime};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use crate::{
    people::{anne, ruth},
    world::{Stage, World},
};

/// A client that trusts `root`, with a certificate or without.
fn client(root: &Path, identity: Option<(&Path, &Path)>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(root).expect("a root")).expect("trusted");
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS 1.3")
        .with_root_certificates(roots);
    match identity {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_file(certificate).expect("a certificate")];
            let key = PrivateKeyDer::from_pem_file(key).expect("a key");
            config.with_client_auth_cert(chain, key).expect("they belong together")
        }
    }
}

/// Connects and asks for the CapabilityStatement over HTTP/1.1; the status line, and whether the
/// session was resumed.
fn ask(world: &World, config: &Arc<ClientConfig>) -> std::io::Result<(String, HandshakeKind)> {
    let name = ServerName::try_from("localhost").expect("a name");
    let mut session = ClientConnection::new(Arc::clone(config), name).expect("a session");
    let mut socket = TcpStream::connect(world.gateway.fhir_address())?;
    let mut stream = Stream::new(&mut session, &mut socket);
    stream.write_all(b"GET /fhir/metadata HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut head = [0; 15];
    stream.read_exact(&mut head)?;
    let kind = session.handshake_kind().expect("it shook hands");
    Ok((String::from_utf8_lossy(&head).into_owned(), kind))
}

/// The alert with which the gateway ended the handshake.
async fn refusal(world: World, config: ClientConfig) -> AlertDescription {
    let asked = tokio::task::spawn_blocking(move || ask(&world, &Arc::new(config)));
    let error = asked.await.expect("asked").expect_err("refused");
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::AlertReceived(alert)) => *alert,
        _ => panic!("no alert: {error:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_client_certificate_the_handshake_is_refused() {
    let world = World::of(vec![anne()]).await;
    let config = client(&world.stage.pki.root_certificate(), None);
    assert_eq!(refusal(world, config).await, AlertDescription::CertificateRequired);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_authority_is_refused_at_the_handshake() {
    let (world, other) = tokio::join!(World::of(vec![anne()]), World::of(vec![anne()]));
    let ed = other.stage.pki.client(&MemberCode::parse("ed").expect("a code"));
    let root = world.stage.pki.root_certificate();
    let config = client(&root, Some((&ed.certificate, &ed.key)));
    let alert = refusal(world, config).await;
    // The other root bears the name of ours, so the signature is what gives it away.
    assert_eq!(alert, AlertDescription::DecryptError);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_refused_at_the_handshake() {
    let world = World::of(vec![anne()]).await;
    let expired = mint(&world, OffsetDateTime::now_utc() - Duration::hours(1));
    let root = world.stage.pki.root_certificate();
    let config = client(&root, Some((&expired.0, &expired.1)));
    assert_eq!(refusal(world, config).await, AlertDescription::CertificateExpired);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_in_time_is_let_in_and_its_session_is_never_resumed() {
    let world = World::of(vec![anne()]).await;
    let valid = mint(&world, OffsetDateTime::now_utc() + Duration::hours(1));
    let mut config = client(&world.stage.pki.root_certificate(), Some((&valid.0, &valid.1)));
    config.resumption = Resumption::in_memory_sessions(8);
    let config = Arc::new(config);
    let asked = tokio::task::spawn_blocking(move || {
        for _ in 0..3 {
            let (status, kind) = ask(&world, &config).expect("let in");
            assert_eq!((status.as_str(), kind), ("HTTP/1.1 200 OK", HandshakeKind::Full));
        }
    });
    asked.await.expect("asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_without_an_entry_is_refused_and_audited() {
    let world = World::of(vec![anne()]).await;
    let answer = world.client("stranger").matches(&ruth()).await;
    answer.refuses(403, "forbidden", "no client of this exchange");
    let events = world.events_of(&answer).await;
    let closed = events.iter().find(|event| !event.open).expect("audited");
    assert_eq!(closed.outcome(), "4");
    assert!(closed.reason().contains("no client of this exchange"), "{closed:?}");
}

/// A clock that can be put forward.
#[derive(Default)]
struct Forward(AtomicI64);

impl Clock for Forward {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + Duration::days(self.0.load(Ordering::SeqCst))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_expires_while_connected_is_refused() {
    let clock = Arc::new(Forward::default());
    let world = World::start(Stage::set(vec![anne()], |_| {}), clock.clone()).await;
    let ed = world.client("ed");
    assert_eq!(ed.matches(&ruth()).await.status, 200);
    clock.0.store(31, Ordering::SeqCst);
    ed.matches(&ruth()).await.refuses(403, "forbidden", "has expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_revoked_while_connected_is_refused() {
    let stage = Stage::set(vec![anne()], |settings| {
        settings["tls"]["revocation_lists"] = "revoked.pem".into();
    });
    let code = MemberCode::parse("ed").expect("a code");
    let ed = stage.pki.client(&code).read().expect("minted");
    let (_, leaf) = X509Certificate::from_der(&ed.chain()[0]).expect("a certificate");
    let serial = leaf.raw_serial().to_vec();
    revoke(&stage, 1, None);
    let world = World::start(stage, Arc::new(SystemClock)).await;
    let (ed, clinic) = (world.client("ed"), world.client("clinic"));
    for client in [&ed, &clinic] {
        assert_eq!(client.matches(&ruth()).await.status, 200);
    }
    revoke(&world.stage, 2, Some(serial));
    world.gateway.reload().expect("the list is read");
    ed.matches(&ruth()).await.refuses(403, "forbidden", "was revoked");
    assert_eq!(clinic.matches(&ruth()).await.status, 200);
    // Nor does it get another connection.
    let refused = world.client("ed").request(reqwest::Method::GET, "metadata").send().await;
    assert!(refused.is_err(), "{refused:?}");
}

/// The root publishes a revocation list with this serial number in it, or with none.
pub(crate) fn revoke(stage: &Stage, number: u64, serial: Option<Vec<u8>>) {
    let now = OffsetDateTime::now_utc();
    let revoked = serial.map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from_slice(&serial),
        revocation_time: now,
        reason_code: None,
        invalidity_date: None,
    });
    let list = CertificateRevocationListParams {
        this_update: now - Duration::minutes(5),
        next_update: now + Duration::days(1),
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: revoked.into_iter().collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&issuer(stage)).expect("signed");
    std::fs::write(stage.home().join("revoked.pem"), list.pem().expect("PEM")).expect("written");
}

/// The root of a stage.
fn issuer(stage: &Stage) -> Issuer<'static, KeyPair> {
    let read = |name: &str| std::fs::read_to_string(stage.home().join(name)).expect("minted");
    let key = KeyPair::from_pem(&read("certs/root.key")).expect("a key");
    Issuer::from_ca_cert_pem(&read("certs/root.crt"), key).expect("a root")
}

/// A certificate of the emergency department that ends at a moment: PEM files of it and its key.
fn mint(world: &World, ends: OffsetDateTime) -> (PathBuf, PathBuf) {
    let mut params = CertificateParams::default();
    params.not_before = ends - Duration::days(2);
    params.not_after = ends;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let uri = "urn:tessera:client:ed".try_into().expect("ASCII");
    params.subject_alt_names = vec![SanType::URI(uri)];
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, &issuer(&world.stage)).expect("signed");
    let place = |name: &str| world.stage.home().join(name);
    let (certificate_file, key_file) = (place("minted.crt"), place("minted.key"));
    std::fs::write(&certificate_file, certificate.pem()).expect("written");
    std::fs::write(&key_file, key.serialize_pem()).expect("written");
    (certificate_file, key_file)
}

//! Who gets a connection at all.

use std::{io::Read as _, io::Write as _, net::TcpStream, path::Path, sync::Arc};

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, HandshakeKind, RootCertStore, Stream,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tessera::domain::MemberCode;
use time::{Duration, OffsetDateTime};

use crate::{
    people::{anne, ruth},
    world::World,
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

/// A certificate of the emergency department that ends at a moment: PEM files of it and its key.
fn mint(world: &World, ends: OffsetDateTime) -> (std::path::PathBuf, std::path::PathBuf) {
    let place = |name: &str| world.stage.home().join(name);
    let read = |name: &str| std::fs::read_to_string(place(name)).expect("minted");
    let root_key = KeyPair::from_pem(&read("certs/root.key")).expect("a key");
    let issuer = Issuer::from_ca_cert_pem(&read("certs/root.crt"), root_key).expect("a root");
    let mut params = CertificateParams::default();
    params.not_before = ends - Duration::days(2);
    params.not_after = ends;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let uri = "urn:tessera:client:ed".try_into().expect("ASCII");
    params.subject_alt_names = vec![SanType::URI(uri)];
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, &issuer).expect("signed");
    let (certificate_file, key_file) = (place("minted.crt"), place("minted.key"));
    std::fs::write(&certificate_file, certificate.pem()).expect("written");
    std::fs::write(&key_file, key.serialize_pem()).expect("written");
    (certificate_file, key_file)
}

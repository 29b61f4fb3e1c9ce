use std::{io, path::Path, sync::Arc};

use rustls::{
    ClientConfig, ClientConnection, Connection, HandshakeKind, ServerConfig, ServerConnection,
    client::Resumption, pki_types::ServerName,
};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

use super::{pki::Existing, *};
use crate::domain::MemberCode;

/// A minted PKI that goes with its folder.
struct Minted {
    _dir: TempDir,
    pki: DevelopmentPki,
}

fn minted(at: OffsetDateTime) -> Minted {
    let dir = tempfile::tempdir().expect("a folder");
    let parties = PkiParties { members: vec![code("mercy")], clients: vec![code("ed")] };
    let pki = mint_development_pki(dir.path(), at, &parties, Existing::Keep).expect("minted");
    Minted { _dir: dir, pki }
}

fn code(text: &str) -> MemberCode {
    MemberCode::parse(text).expect("a code")
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn gateway(minted: &Minted) -> ServerTls {
    let credentials = minted.pki.gateway().read().expect("minted");
    let roots = minted.pki.trust_roots().expect("minted");
    ServerTls::new(&credentials, &roots, &RevocationLists::default()).expect("whole")
}

/// A client that trusts `server`'s root and shows the certificate `ed` of `client`.
fn ed(client: &Minted, server: &Minted) -> ClientConfig {
    let credentials = client.pki.client(&code("ed")).read().expect("minted");
    let roots = server.pki.trust_roots().expect("minted");
    client_config(&credentials, &roots, MemberTls::Tls13).expect("whole")
}

/// Runs one handshake in memory, and what the server sends after it.
fn shake(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
) -> Result<(ClientConnection, ServerConnection), rustls::Error> {
    let name = ServerName::try_from("localhost").expect("a name");
    let mut client = ClientConnection::new(Arc::clone(client), name)?;
    let mut server = ServerConnection::new(Arc::clone(server))?;
    while client.wants_write() || server.wants_write() {
        let mut client_end = Connection::Client(client);
        let mut server_end = Connection::Server(server);
        carry(&mut client_end, &mut server_end)?;
        carry(&mut server_end, &mut client_end)?;
        let (Connection::Client(c), Connection::Server(s)) = (client_end, server_end) else {
            unreachable!("each end keeps its side")
        };
        (client, server) = (c, s);
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok((client, server))
}

fn carry(from: &mut Connection, to: &mut Connection) -> Result<(), rustls::Error> {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).expect("memory");
    }
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        to.read_tls(&mut rest).expect("memory");
        to.process_new_packets()?;
    }
    Ok(())
}

fn refusal(client: ClientConfig, server: ServerConfig) -> rustls::Error {
    shake(&Arc::new(client), &Arc::new(server)).expect_err("refused")
}

#[test]
fn a_client_of_our_authority_is_let_in_over_tls_1_3() {
    let minted = minted(now());
    let client = Arc::new(ed(&minted, &minted));
    let server = Arc::new(gateway(&minted).config().expect("whole"));
    let (_, server) = shake(&client, &server).expect("let in");
    assert_eq!(server.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    assert_eq!(server.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(server.peer_certificates().map(<[_]>::len), Some(1));
}

#[test]
fn no_session_is_resumed_even_where_the_client_would() {
    let minted = minted(now());
    let mut client = ed(&minted, &minted);
    client.resumption = Resumption::in_memory_sessions(8);
    let client = Arc::new(client);
    let server = Arc::new(gateway(&minted).config().expect("whole"));
    for _ in 0..3 {
        let (client, server) = shake(&client, &server).expect("let in");
        assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(server.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(client.tls13_tickets_received(), 0);
    }
    // The same client does resume where a server lets it.
    let mut lax = (*server).clone();
    lax.session_storage = rustls::server::ServerSessionMemoryCache::new(8);
    lax.send_tls13_tickets = 1;
    let lax = Arc::new(lax);
    shake(&client, &lax).expect("let in");
    let (client, _) = shake(&client, &lax).expect("let in");
    assert_eq!(client.handshake_kind(), Some(HandshakeKind::Resumed));
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    let minted = minted(now());
    let client = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("known")
        .with_root_certificates(Arc::clone(&minted.pki.trust_roots().expect("minted").0))
        .with_no_client_auth();
    let error = refusal(client, gateway(&minted).config().expect("whole"));
    assert_eq!(error, rustls::Error::NoCertificatesPresented);
}

#[test]
fn a_client_of_another_authority_is_refused() {
    let (ours, theirs) = (minted(now()), minted(now()));
    let error = refusal(ed(&theirs, &ours), gateway(&ours).config().expect("whole"));
    assert!(matches!(error, rustls::Error::InvalidCertificate(_)), "{error}");
}

#[test]
fn an_expired_client_is_refused() {
    let ours = minted(now());
    let old = minted(now() - Duration::days(31));
    let credentials = ours.pki.gateway().read().expect("minted");
    let old_roots = old.pki.trust_roots().expect("minted");
    let server = ServerTls::new(&credentials, &old_roots, &RevocationLists::default());
    let error = refusal(ed(&old, &ours), server.expect("whole").config().expect("whole"));
    let rustls::Error::InvalidCertificate(kind) = error else { panic!("{error}") };
    let expired = matches!(kind, rustls::CertificateError::ExpiredContext { .. });
    assert!(expired, "{kind:?}");
}

#[test]
fn a_client_of_tls_1_2_alone_is_refused_inbound() {
    let minted = minted(now());
    let client = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("known")
        .with_root_certificates(Arc::clone(&minted.pki.trust_roots().expect("minted").0))
        .with_no_client_auth();
    let error = refusal(client, gateway(&minted).config().expect("whole"));
    assert!(matches!(error, rustls::Error::PeerIncompatible(_)), "{error}");
}

#[test]
fn we_refuse_a_member_of_another_authority() {
    let (ours, theirs) = (minted(now()), minted(now()));
    let error = refusal(ed(&ours, &ours), gateway(&theirs).config().expect("whole"));
    assert!(matches!(error, rustls::Error::InvalidCertificate(_)), "{error}");
}

#[test]
fn a_reload_holds_for_the_next_handshake_of_the_same_listener() {
    let (before, after) = (minted(now()), minted(now()));
    let tls = gateway(&before);
    let server = Arc::new(tls.config().expect("whole"));
    let (old, new) = (Arc::new(ed(&before, &before)), Arc::new(ed(&after, &after)));
    assert!(shake(&old, &server).is_ok() && shake(&new, &server).is_err());
    let credentials = after.pki.gateway().read().expect("minted");
    let roots = after.pki.trust_roots().expect("minted");
    tls.reload(&credentials, &roots, &RevocationLists::default()).expect("whole");
    assert!(shake(&old, &server).is_err() && shake(&new, &server).is_ok());
}

#[test]
fn a_revoked_client_is_refused_after_the_reload() {
    let minted = minted(now());
    let tls = gateway(&minted);
    let server = Arc::new(tls.config().expect("whole"));
    let client = Arc::new(ed(&minted, &minted));
    assert!(shake(&client, &server).is_ok());
    let folder = tempfile::tempdir().expect("a folder");
    let list = folder.path().join("revoked.pem");
    std::fs::write(&list, revoking(&minted, &code("ed"))).expect("written");
    let credentials = minted.pki.gateway().read().expect("minted");
    let roots = minted.pki.trust_roots().expect("minted");
    let revoked = read_revocation_lists(&list).expect("a list");
    tls.reload(&credentials, &roots, &revoked).expect("whole");
    let error = shake(&client, &server).expect_err("refused");
    let expected = rustls::CertificateError::Revoked;
    assert_eq!(error, rustls::Error::InvalidCertificate(expected));
}

/// A PEM revocation list of the minted root that takes back one client.
fn revoking(minted: &Minted, client: &MemberCode) -> String {
    let root = minted.pki.root_certificate();
    let key = std::fs::read_to_string(root.with_extension("key")).expect("minted");
    let key = rcgen::KeyPair::from_pem(&key).expect("a key");
    let root = std::fs::read_to_string(root).expect("minted");
    let issuer = rcgen::Issuer::from_ca_cert_pem(&root, key).expect("a root");
    let credentials = minted.pki.client(client).read().expect("minted");
    let (_, leaf) = x509_parser::parse_x509_certificate(&credentials.chain()[0]).expect("DER");
    let list = rcgen::CertificateRevocationListParams {
        this_update: now() - Duration::hours(1),
        next_update: now() + Duration::days(1),
        crl_number: rcgen::SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: vec![rcgen::RevokedCertParams {
            serial_number: rcgen::SerialNumber::from_slice(leaf.raw_serial()),
            revocation_time: now() - Duration::hours(1),
            reason_code: None,
            invalidity_date: None,
        }],
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    list.signed_by(&issuer).expect("signed").pem().expect("PEM")
}

#[test]
fn a_bad_file_is_named_with_what_is_wrong() {
    let minted = minted(now());
    let files = minted.pki.gateway();
    let error = read_trust_roots(Path::new("/nowhere/ca.crt")).expect_err("missing");
    let TlsError::File { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.kind(), io::ErrorKind::NotFound);
    assert_eq!(error.to_string(), "cannot read /nowhere/ca.crt");
    let error = read_trust_roots(&files.key).expect_err("a key is no certificate");
    assert!(error.to_string().ends_with("gateway.key holds no PEM certificate"), "{error}");
    let other = minted.pki.member(&code("mercy"));
    let error = Credentials::read(&files.certificate, &other.key).expect_err("not a pair");
    assert!(matches!(error, TlsError::KeyPair { .. }), "{error}");
}

#[tokio::test]
async fn a_request_knows_the_certificate_of_its_client() {
    use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};

    async fn tell(request: HttpRequest) -> HttpResponse {
        let certificate = request.conn_data::<ClientCertificate>().expect("remembered");
        HttpResponse::Ok().body(certificate.der().to_vec())
    }

    let minted = minted(now());
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let url = format!("https://{}/", listener.local_addr().expect("bound"));
    let server = HttpServer::new(|| App::new().default_service(web::to(tell)))
        .workers(1)
        .disable_signals()
        .on_connect(remember_client_certificate)
        .listen_rustls_0_23(listener, gateway(&minted).config().expect("whole"))
        .expect("listening")
        .run();
    let handle = server.handle();
    let task = tokio::spawn(server);
    let expected = minted.pki.client(&code("ed")).read().expect("minted").chain()[0].to_vec();
    for http1 in [true, false] {
        let mut client = ed(&minted, &minted);
        if http1 {
            client.alpn_protocols = vec![b"http/1.1".to_vec()];
        }
        let client = reqwest::Client::builder().tls_backend_preconfigured(client).build();
        let response = client.expect("a client").get(&url).send().await.expect("an answer");
        assert_eq!(response.version() == reqwest::Version::HTTP_11, http1);
        assert_eq!(response.bytes().await.expect("a body"), expected);
    }
    handle.stop(false).await;
    task.await.expect("joined").expect("ended");
}

//! What only a server can do to its writer: refuse it, lose it, ask it to try again, and give its
//! place to another.

use std::sync::{
    Arc,
    atomic::{AtomicU8, AtomicU32, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Barrier,
};

use super::{super::test_server::TestServer, *};

async fn count(home: &Home, table: &str) -> i64 {
    let DatabaseAddress::Server(server) = &home.address else { panic!("it is on PostgreSQL") };
    let mut connection = server.options().connect().await.expect("it answers");
    let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect("it counts")
}

#[test]
fn a_stalled_writer_is_fenced() {
    let runtime =
        || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (stalling, living) = (runtime(), runtime());
    let home = Home::on(Postgres);
    let stalled = stalling.block_on(home.open());
    stalling
        .block_on(stalled.write(vec![Write::Member(member("north", 1))]))
        .expect("it is the only one");
    // From here on nothing runs there: no sign of life.
    let other = living.block_on(home.open());
    living
        .block_on(other.write(vec![Write::Member(member("east", 1))]))
        .expect("it is the only one now");
    let late = stalling.block_on(stalled.write(vec![Write::Member(member("south", 1))]));
    assert_eq!(late, Err(StorageError::Fenced));
    let later = stalling.block_on(stalled.write(vec![Write::Member(member("west", 1))]));
    assert_eq!(later, Err(StorageError::Fenced), "it never comes back by itself");
    let members = living.block_on(other.reader().members()).expect("members read");
    assert_eq!(members, [member("east", 1), member("north", 1)]);
    // What is fenced takes nothing with it when it goes.
    stalling.block_on(stalled.close());
    living
        .block_on(other.write(vec![Write::Member(member("east", 2))]))
        .expect("the lease is still the other's");
    living.block_on(other.close());
}

#[tokio::test]
async fn of_many_that_open_at_once_one_gets_in() {
    let home = Home::on(Postgres);
    let start = Arc::new(Barrier::new(4));
    let opening: Vec<_> = (0..4)
        .map(|_| {
            let (settings, start) = (home.settings(), Arc::clone(&start));
            tokio::spawn(async move {
                start.wait().await;
                Database::open(&settings).await
            })
        })
        .collect();
    let mut open = Vec::new();
    for opening in opening {
        match opening.await.expect("no task panics") {
            Ok(db) => open.push(db),
            Err(error) => assert!(matches!(error, StorageError::InUse(_)), "{error}"),
        }
    }
    assert_eq!(open.len(), 1);
}

#[tokio::test]
async fn what_the_server_asks_to_try_again_is_tried_again() {
    let home = Home::on(Postgres);
    let db = home.open().await;
    // A sequence does not roll back, so the third try is let through.
    home.tamper(
        "CREATE SEQUENCE tries;
         CREATE FUNCTION twice() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF nextval('tries') < 3 THEN
                 RAISE EXCEPTION 'could not serialize' USING ERRCODE = 'serialization_failure';
             END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER twice BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION twice()",
    )
    .await;
    db.write(vec![audit(1, AuditState::Closed)]).await.expect("the third try");
    let report = db.reader().verify_audit_chain().await.expect("the chain can be walked");
    assert_eq!((report.rows, report.first_bad), (1, None));
}

#[tokio::test]
async fn a_server_that_is_never_content_is_given_up() {
    let home = Home::on(Postgres);
    let retry = std::time::Duration::from_millis(100);
    let settings = StorageSettings { retry, ..home.settings() };
    let db = Database::open(&settings).await.expect("the database opens");
    home.tamper(
        "CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             RAISE EXCEPTION 'deadlock' USING ERRCODE = 'deadlock_detected';
         END $$;
         CREATE TRIGGER never BEFORE INSERT ON member FOR EACH ROW EXECUTE FUNCTION never()",
    )
    .await;
    assert_eq!(db.write(vec![Write::Member(member("north", 1))]).await, Err(StorageError::Busy));
    db.write(vec![audit(1, AuditState::Closed)]).await.expect("other rows are welcome");
    assert_eq!(count(&home, "member_history").await, 0, "nothing of it is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_connections_lose_and_double_nothing() {
    let home = Home::on(Postgres);
    let db = home.open().await;
    let writing: Vec<_> = (1..=4_u128)
        .map(|task| {
            let db = db.clone();
            tokio::spawn(async move {
                for id in 1..=30 {
                    db.write(vec![audit(task * 100 + id, AuditState::Closed)]).await?;
                }
                Ok::<(), StorageError>(())
            })
        })
        .collect();
    while count(&home, "audit_event").await < 100 {
        home.tamper(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name = 'tessera writer'",
        )
        .await;
    }
    for writing in writing {
        writing.await.expect("no task panics").expect("every write arrives");
    }
    let report = db.reader().verify_audit_chain().await.expect("the chain can be walked");
    assert_eq!((report.rows, report.first_bad), (120, None));
}

const PASS: u8 = 0;
/// The next commit never reaches the server.
const LOSE_COMMIT: u8 = 1;
/// The next commit reaches the server, and its answer is lost.
const LOSE_ANSWER: u8 = 2;

/// A network between writer and server that loses what it is told to lose.
struct Network {
    mood: Arc<AtomicU8>,
    connections: Arc<AtomicU32>,
    address: DatabaseAddress,
}

impl Network {
    async fn to(home: &Home) -> Self {
        let DatabaseAddress::Server(server) = &home.address else { panic!("it is on PostgreSQL") };
        let server = server.options();
        let (port, name) = (server.get_port(), server.get_database().expect("named").to_owned());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let here = listener.local_addr().expect("bound").port();
        let mood = Arc::new(AtomicU8::new(PASS));
        let connections = Arc::new(AtomicU32::new(0));
        let (told, counted) = (Arc::clone(&mood), Arc::clone(&connections));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let server = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
                tokio::spawn(carry(client, server, Arc::clone(&told)));
            }
        });
        let url = format!("postgres://tessera@127.0.0.1:{here}/{name}?sslmode=disable");
        Self { mood, connections, address: url.parse().expect("a URL") }
    }
}

/// Carries bytes both ways until an end closes, or until it loses the connection.
async fn carry(mut client: TcpStream, mut server: TcpStream, mood: Arc<AtomicU8>) {
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(read @ 1..) = read else { return };
                let commits = up[..read].windows(7).any(|bytes| bytes == b"COMMIT\0");
                let mood = if commits { mood.swap(PASS, Ordering::SeqCst) } else { PASS };
                if mood == LOSE_COMMIT || server.write_all(&up[..read]).await.is_err() {
                    return;
                }
                if mood == LOSE_ANSWER {
                    let answer = server.read(&mut down).await.expect("the server answers");
                    assert!(answer > 0);
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(read @ 1..) = read else { return };
                if client.write_all(&down[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_written_once(
    #[values(LOSE_COMMIT, LOSE_ANSWER)] mood: u8,
) {
    let home = Home::on(Postgres);
    let network = Network::to(&home).await;
    let settings = StorageSettings { address: network.address.clone(), ..home.settings() };
    let db = Database::open(&settings).await.expect("the database opens");
    db.write(vec![audit(1, AuditState::Closed)]).await.expect("nothing is lost yet");
    let before = network.connections.load(Ordering::SeqCst);
    network.mood.store(mood, Ordering::SeqCst);
    db.write(vec![audit(2, AuditState::Closed), Write::Member(member("north", 1))])
        .await
        .expect("it is there in the end");
    assert_eq!(network.connections.load(Ordering::SeqCst), before + 1, "one was lost");
    db.write(vec![audit(3, AuditState::Closed)]).await.expect("nothing is lost any more");
    let report = db.reader().verify_audit_chain().await.expect("the chain can be walked");
    assert_eq!((report.rows, report.first_bad), (3, None));
    assert_eq!(db.reader().members().await.expect("members read"), [member("north", 1)]);
}

#[tokio::test]
async fn a_write_that_was_given_up_and_is_there_after_all_stops_the_writer() {
    let home = Home::on(Postgres);
    let network = Network::to(&home).await;
    let (address, retry) = (network.address.clone(), std::time::Duration::ZERO);
    let settings = StorageSettings { address, retry, ..home.settings() };
    let db = Database::open(&settings).await.expect("the database opens");
    network.mood.store(LOSE_COMMIT, Ordering::SeqCst);
    let lost = db.write(vec![Write::Member(member("north", 1))]).await;
    assert!(matches!(lost, Err(StorageError::Unreachable(_))), "{lost:?}");
    db.write(vec![Write::Member(member("north", 1))]).await.expect("it had not arrived");
    network.mood.store(LOSE_ANSWER, Ordering::SeqCst);
    let lost = db.write(vec![Write::Member(member("east", 1))]).await;
    assert!(matches!(lost, Err(StorageError::Unreachable(_))), "{lost:?}");
    // Whoever was told of the failure may know less than the database: no more on that ground.
    for _ in 0..2 {
        let refused = db.write(vec![Write::Member(member("west", 1))]).await;
        assert!(matches!(refused, Err(StorageError::Io(_))), "{refused:?}");
    }
    db.close().await;
    let db = home.open().await;
    assert_eq!(
        db.reader().members().await.expect("members read"),
        [member("east", 1), member("north", 1)]
    );
}

#[tokio::test]
async fn a_value_that_the_server_cannot_hold_fails_alone() {
    let home = Home::on(Postgres);
    let db = home.open().await;
    let good = db.enqueue(vec![audit(1, AuditState::Closed)]).await;
    let name = "zero\0byte".to_owned();
    let bad = db.enqueue(vec![Write::Meta { name: name.into(), value: String::new() }]).await;
    assert_eq!(good.await, Ok(()));
    assert!(matches!(bad.await, Err(StorageError::Unstorable(_))));
}

#[tokio::test]
async fn a_server_that_does_not_let_us_in_says_why() {
    let home = Home::on(Postgres);
    let DatabaseAddress::Server(server) = &home.address else { panic!("it is on PostgreSQL") };
    let port = server.options().get_port();
    let refused = |url: String| async move {
        let address: DatabaseAddress = url.parse().expect("a URL");
        let retry = std::time::Duration::from_millis(50);
        let settings = StorageSettings { retry, ..StorageSettings::at(address) };
        Database::open(&settings).await.err().expect("refused")
    };
    let no_such = refused(format!("postgres://tessera@127.0.0.1:{port}/none")).await;
    assert!(matches!(&no_such, StorageError::Refused(why) if why.contains("none")), "{no_such}");
    let nobody = refused(format!("postgres://nobody@127.0.0.1:{port}/none")).await;
    assert!(matches!(&nobody, StorageError::Refused(why) if why.contains("nobody")), "{nobody}");
    let nothing = refused("postgres://tessera@127.0.0.1:1/none".to_owned()).await;
    assert!(matches!(nothing, StorageError::Unreachable(_)), "{nothing}");
    let plain = refused(format!("postgres://t@127.0.0.1:{port}/t?sslmode=verify-full")).await;
    assert!(matches!(plain, StorageError::Refused(_)), "{plain}");
}

#[tokio::test]
async fn a_server_without_a_flush_is_refused() {
    let server = TestServer::start(&["fsync=off".to_owned()], &[]);
    let address: DatabaseAddress = server.database().parse().expect("a URL");
    let refused = Database::open(&StorageSettings::at(address)).await.err();
    assert!(matches!(&refused, Some(StorageError::NotDurable(why)) if why.contains("fsync=off")));
}

#[tokio::test]
async fn a_lazy_database_is_made_to_flush() {
    let home = Home::on(Postgres);
    home.tamper("ALTER ROLE tessera IN DATABASE postgres SET synchronous_commit = off").await;
    home.tamper(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', \
         current_database()); END $$",
    )
    .await;
    let db = home.open().await;
    db.writer_durability().await.expect("the writer answers").check().expect("durable");
}

#[tokio::test]
async fn a_server_is_known_by_its_certificate() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    let files = [("server.crt", made.cert.pem()), ("server.key", made.signing_key.serialize_pem())];
    let settings = ["ssl=on", "ssl_cert_file=../server.crt", "ssl_key_file=../server.key"];
    let server = TestServer::start(&settings.map(str::to_owned), &files);
    let home = tempfile::tempdir().expect("a folder");
    let (right, wrong) = (home.path().join("right.crt"), home.path().join("wrong.crt"));
    std::fs::write(&right, made.cert.pem()).expect("written");
    std::fs::write(&wrong, other.cert.pem()).expect("written");
    let url = server.database();
    let at = |host: &str, root: &Path| {
        let url = url.replace("127.0.0.1", host);
        let url = format!("{url}?sslmode=verify-full&sslrootcert={}", root.display());
        StorageSettings::at(url.parse::<DatabaseAddress>().expect("a URL"))
    };
    for (host, root) in [("localhost", &wrong), ("127.0.0.1", &right)] {
        let refused = Database::open(&at(host, root)).await.err();
        assert!(
            matches!(&refused, Some(StorageError::Refused(why)) if why.contains("certificate")),
            "{host}: {refused:?}"
        );
    }
    let db = Database::open(&at("localhost", &right)).await.expect("it is who it says");
    db.write(vec![audit(1, AuditState::Closed)]).await.expect("it writes");
    let DatabaseAddress::Server(plain) = url.parse().expect("a URL") else { panic!("a server") };
    let mut connection = plain.options().connect().await.expect("it answers");
    let encrypted: Vec<bool> = sqlx::query_scalar(
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
         WHERE application_name LIKE 'tessera %'",
    )
    .fetch_all(&mut connection)
    .await
    .expect("it tells");
    assert!(encrypted.len() >= 2 && encrypted.iter().all(|ssl| *ssl), "{encrypted:?}");
}

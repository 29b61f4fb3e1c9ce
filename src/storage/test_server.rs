//! A throwaway PostgreSQL for the tests of one binary, with a database for each of them.
//!
//! It listens on a free port of this machine only, keeps everything in a temporary folder, and is
//! stopped and removed when the process that asked for it ends, however it ends. A machine without
//! PostgreSQL fails the tests.

use std::{
    fs::{self, Permissions},
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, TcpListener},
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// A running server.
pub(crate) struct TestServer {
    bin: PathBuf,
    port: u16,
    databases: AtomicU32,
    /// The server ends when this process's end of its pipe does.
    _keeper: Child,
}

/// The one server of this process, started at the first call.
pub(crate) fn server() -> &'static TestServer {
    static SERVER: OnceLock<TestServer> = OnceLock::new();
    SERVER.get_or_init(|| TestServer::start(&[], &[]))
}

/// Runs the server until nobody holds the pipe any more, then stops it and clears up.
const KEEPER: &str = r#"
trap '' INT TERM HUP
"$1/postgres" -D "$2/data" "${@:3}" </dev/null 2>&1 &
cat >/dev/null
kill -QUIT $! 2>/dev/null
wait $!
rm -rf "$2"
"#;

impl TestServer {
    /// Starts a server with these settings (`name=value`) beside its own, and with these files, by
    /// name and content, in the folder above its data.
    pub(crate) fn start(settings: &[String], files: &[(&str, String)]) -> Self {
        // Somebody else may take the free port before the server does; then another is looked for.
        loop {
            if let Some(server) = Self::try_start(settings, files) {
                return server;
            }
        }
    }

    fn try_start(settings: &[String], files: &[(&str, String)]) -> Option<Self> {
        let bin = binaries();
        let user = unprivileged();
        let folder = tempfile::Builder::new().prefix("tessera-pg-").tempdir().expect("a folder");
        let give = |path: &Path, mode: u32| {
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("its mode is set");
            if let Some((uid, gid)) = user {
                chown(path, Some(uid), Some(gid)).expect("given away");
            }
        };
        give(folder.path(), 0o700);
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::write(&path, content).expect("written");
            give(&path, 0o600);
        }
        let mut initdb = as_user(&bin.join("initdb"), user);
        initdb.args(["--no-sync", "-A", "trust", "-U", "tessera", "-E", "UTF8", "--locale=C"]);
        // Text that does not sort by its bytes, as in many a real database.
        initdb.args(["--locale-provider=icu", "--icu-locale=en-US"]);
        // A checksum on each page, as an exchange should have it.
        done(initdb.arg("--data-checksums").arg("-D").arg(folder.path().join("data")));
        let port = free_port();
        // From here on the keeper clears up.
        let mut keeper = keep(&bin, &folder.keep(), port, settings, user);
        let ready = until_ready(keeper.stdout.take().expect("piped"));
        ready.then(|| Self { bin, port, databases: AtomicU32::new(0), _keeper: keeper })
    }

    /// Makes an empty database; its URL.
    pub(crate) fn database(&self) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut createdb = Command::new(self.bin.join("createdb"));
        let port = self.port.to_string();
        done(createdb.args(["-h", "127.0.0.1", "-p", &port, "-U", "tessera", &name]));
        format!("postgres://tessera@127.0.0.1:{port}/{name}")
    }
}

/// The newest PostgreSQL of this machine: Debian keeps the server's programs off the path.
fn binaries() -> PathBuf {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let versions = debian.filter_map(|entry| {
        let path = entry.ok()?.path();
        let version: u32 = path.file_name()?.to_str()?.parse().ok()?;
        Some((version, path.join("bin")))
    });
    let path = std::env::var_os("PATH").unwrap_or_default();
    let elsewhere = std::env::split_paths(&path).map(|folder| (0, folder));
    versions
        .chain(elsewhere)
        .filter(|(_, folder)| folder.join("initdb").is_file())
        .max_by_key(|(version, _)| *version)
        .expect("PostgreSQL is missing: apt-get install postgresql")
        .1
}

/// PostgreSQL refuses to run as root: then its own user is taken, or nobody.
fn unprivileged() -> Option<(u32, u32)> {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    if id.stdout != b"0\n" {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("there are users");
    let of = |name: &str| {
        let line = users.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(of("postgres").or_else(|| of("nobody")).expect("some user is not root"))
}

fn as_user(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid).current_dir("/");
    }
    command
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("bound").port()
}

fn keep(
    bin: &Path,
    folder: &Path,
    port: u16,
    settings: &[String],
    user: Option<(u32, u32)>,
) -> Child {
    let own = [
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        "unix_socket_directories=".to_owned(),
        "max_connections=300".to_owned(),
        "shared_buffers=32MB".to_owned(),
        // What the server does, not what its clients do wrong.
        "log_min_messages=log".to_owned(),
    ];
    let mut keeper = as_user(Path::new("/bin/bash"), user);
    keeper.args(["-c", KEEPER, "keeper"]).arg(bin).arg(folder);
    for setting in own.iter().chain(settings) {
        keeper.args(["-c", setting]);
    }
    // A signal to the tests' process group is not for the server.
    keeper.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    keeper.spawn().expect("bash runs")
}

/// Waits until the server takes connections; false where its port is somebody else's.
fn until_ready(log: ChildStdout) -> bool {
    let mut lines = BufReader::new(log).lines().map_while(Result::ok);
    let mut told = String::new();
    for line in lines.by_ref() {
        if line.contains("ready to accept connections") {
            // Somebody must read on, or the pipe fills and the server waits.
            std::thread::spawn(move || lines.for_each(drop));
            return true;
        }
        if line.contains("Address already in use") {
            return false;
        }
        told.push_str(&line);
    }
    panic!("PostgreSQL does not start: {told}");
}

fn done(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {told}");
}

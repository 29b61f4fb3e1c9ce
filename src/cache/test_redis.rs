//! A throwaway Redis for one test: on a free port of this machine only, nothing on disk, gone when
//! the process that asked for it ends, however it ends. A machine without Redis fails the test.

use std::{
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt as _,
    process::{Child, ChildStdout, Command, Stdio},
};

/// Runs the server until nobody holds the pipe any more, then kills it.
const KEEPER: &str = r#"
trap '' INT TERM HUP
redis-server --port "$1" --bind 127.0.0.1 --save '' --appendonly no --dir / </dev/null 2>&1 &
echo "pid $!"
cat >/dev/null
kill -KILL $! 2>/dev/null
wait $!
"#;

/// A running server, or one that was killed.
pub(crate) struct TestRedis {
    port: u16,
    running: Option<(Child, u32)>,
}

impl TestRedis {
    pub(crate) fn start() -> Self {
        loop {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            let port = listener.local_addr().expect("bound").port();
            drop(listener);
            // Somebody else may take the port before the server does; then another is looked for.
            if let Some(running) = run(port) {
                return Self { port, running: Some(running) };
            }
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it without a word, as a crash does.
    pub(crate) fn kill(&mut self) {
        let Some((mut keeper, _)) = self.running.take() else { return };
        drop(keeper.stdin.take());
        keeper.wait().expect("it ends");
    }

    /// Starts it again on its port, empty.
    pub(crate) fn start_again(&mut self) {
        assert!(self.running.is_none(), "it runs");
        self.running = Some(run(self.port).expect("its port is free again"));
    }

    /// Lets it hang: its connections stay, and nothing is answered.
    pub(crate) fn hang(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(crate) fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let (_, pid) = self.running.as_ref().expect("it runs");
        let sent = Command::new("kill").args([signal, &pid.to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Everything that it holds: names, fields and values.
    pub(crate) async fn content(&self) -> Vec<Vec<u8>> {
        let client = redis::Client::open(self.url()).expect("a URL");
        let mut line = client.get_multiplexed_async_connection().await.expect("it listens");
        let names: Vec<Vec<u8>> =
            redis::cmd("KEYS").arg("*").query_async(&mut line).await.expect("told");
        let mut all = names.clone();
        for name in names {
            let held: Vec<Vec<u8>> =
                redis::cmd("HGETALL").arg(name).query_async(&mut line).await.expect("told");
            all.extend(held);
        }
        all
    }
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        self.kill();
    }
}

fn run(port: u16) -> Option<(Child, u32)> {
    let mut keeper = Command::new("bash");
    keeper.args(["-c", KEEPER, "keeper", &port.to_string()]);
    // A signal to the tests' process group is not for the server.
    keeper.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut keeper = keeper.spawn().expect("bash runs");
    let log = BufReader::new(keeper.stdout.take().expect("piped"));
    if let Some(pid) = until_ready(log) {
        return Some((keeper, pid));
    }
    drop(keeper.stdin.take());
    keeper.wait().expect("it ends");
    None
}

/// The server's process id, once it takes connections; `None` where its port is somebody else's.
fn until_ready(log: BufReader<ChildStdout>) -> Option<u32> {
    let mut lines = log.lines().map_while(Result::ok);
    let (mut pid, mut told) = (None, String::new());
    for line in lines.by_ref() {
        if let Some(number) = line.strip_prefix("pid ") {
            pid = number.parse().ok();
        } else if line.contains("Ready to accept connections") {
            // Somebody must read on, or the pipe fills and the server waits.
            std::thread::spawn(move || lines.for_each(drop));
            return pid;
        } else if line.contains("Address already in use") || line.contains("Failed listening") {
            return None;
        }
        told.push_str(&line);
    }
    panic!("Redis does not start; apt-get install redis-server where it is missing: {told}");
}

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp::OwnedWriteHalf},
    task::JoinHandle,
};

use crate::figures::threads_time;

/// Encrypted frames below this many bytes are HTTP/2's housekeeping, never the end of a body.
const HOUSEKEEPING_BYTES_MAX: usize = 64;
const NEVER: u64 = 0;

/// A TCP relay before a member that knows when it last passed on bytes of an answer.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    passed: Arc<Passed>,
    accepting: JoinHandle<()>,
}

struct Passed {
    made: Instant,
    /// Nanoseconds after `made`.
    last: AtomicU64,
    /// The gateway's process, whose processor time is noted with the last byte; 0 for nobody's.
    watched: AtomicU32,
    /// What it had spent then, in nanoseconds.
    spent: AtomicU64,
}

impl Relay {
    /// Listens, and passes every connection on to `member`.
    pub(crate) async fn before(member: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let passed = Arc::new(Passed {
            made: Instant::now(),
            last: AtomicU64::new(NEVER),
            watched: AtomicU32::new(0),
            spent: AtomicU64::new(0),
        });
        let noting = Arc::clone(&passed);
        let accepting = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                // A connection ends as connections do; both sides see it.
                tokio::spawn(relay(connection, member, Arc::clone(&noting)));
            }
        });
        Ok(Self { address, passed, accepting })
    }

    pub(crate) fn forget(&self) {
        self.passed.last.store(NEVER, Ordering::SeqCst);
    }

    /// Notes from now on what this process has spent when the last byte is passed on.
    pub(crate) fn watch(&self, process: u32) {
        self.passed.watched.store(process, Ordering::SeqCst);
    }

    /// What the watched process had spent when the last byte was passed on.
    pub(crate) fn spent_at_last_byte(&self) -> Duration {
        Duration::from_nanos(self.passed.spent.load(Ordering::SeqCst))
    }

    /// How long after `moment` the last byte was passed on; zero where none was.
    pub(crate) fn last_byte_since(&self, moment: Instant) -> Duration {
        match self.passed.last.load(Ordering::SeqCst) {
            NEVER => Duration::ZERO,
            nanoseconds => {
                let at = self.passed.made + Duration::from_nanos(nanoseconds);
                at.saturating_duration_since(moment)
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn relay(gateway: TcpStream, member: SocketAddr, passed: Arc<Passed>) -> io::Result<()> {
    let member = TcpStream::connect(member).await?;
    gateway.set_nodelay(true)?;
    member.set_nodelay(true)?;
    let (from_gateway, to_gateway) = gateway.into_split();
    let (from_member, to_member) = member.into_split();
    let asked = pass_on(from_gateway, to_member, |_| {});
    let answered = pass_on(from_member, to_gateway, |bytes| {
        if bytes > HOUSEKEEPING_BYTES_MAX {
            let watched = passed.watched.load(Ordering::SeqCst);
            if watched != 0 {
                let spent = threads_time(&watched.to_string()).unwrap_or_default();
                passed.spent.store(spent.as_nanos() as u64, Ordering::SeqCst);
            }
            let now = passed.made.elapsed().as_nanos() as u64;
            passed.last.store(now, Ordering::SeqCst);
        }
    });
    tokio::try_join!(asked, answered)?;
    Ok(())
}

async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut to: OwnedWriteHalf,
    note: impl Fn(usize),
) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let bytes = from.read(&mut buffer).await?;
        if bytes == 0 {
            return to.shutdown().await;
        }
        note(bytes);
        to.write_all(&buffer[..bytes]).await?;
    }
}

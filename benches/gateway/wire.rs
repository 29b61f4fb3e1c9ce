use std::{net::SocketAddr, sync::Arc};

use anyhow::{Result, bail};
use tessera::tls::{MemberTls, client_config};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Mutex,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::world::World;

/// A member's sender of HL7 v2 messages, on one connection that is kept.
#[derive(Clone)]
pub(crate) struct Wire(Arc<Mutex<TlsStream<TcpStream>>>);

impl Wire {
    pub(crate) async fn connect(world: &World, member: usize, address: SocketAddr) -> Result<Self> {
        let credentials = world.pki.member(&world.members[member]).read()?;
        let mut tls = client_config(&credentials, &world.pki.trust_roots()?, MemberTls::Tls13)?;
        tls.alpn_protocols.clear();
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let stream = TlsConnector::from(Arc::new(tls)).connect("localhost".try_into()?, stream);
        Ok(Self(Arc::new(Mutex::new(stream.await?))))
    }

    /// Sends one message and reads its acknowledgement; an error unless it is `AA`.
    pub(crate) async fn send(&self, message: &str) -> Result<()> {
        let mut stream = self.0.lock().await;
        stream.write_all(&[b"\x0b", message.as_bytes(), b"\x1c\r"].concat()).await?;
        stream.flush().await?;
        let mut answer = Vec::with_capacity(512);
        while !answer.ends_with(b"\x1c\r") {
            if stream.read_buf(&mut answer).await? == 0 {
                bail!("the gateway closed");
            }
        }
        let answer = String::from_utf8_lossy(&answer);
        if answer.contains("MSA|AA|") { Ok(()) } else { bail!("the gateway answered {answer}") }
    }
}

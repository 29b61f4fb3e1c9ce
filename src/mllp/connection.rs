//! One connection: frames in, acknowledgements out, one after another.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use rustls::{ProtocolVersion, ServerConnection, pki_types::CertificateDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::{Instant as Deadline, timeout, timeout_at},
};
use tokio_util::codec::{Decoder as _, Encoder as _};
use uuid::Uuid;

use super::{
    Shared, answer,
    codec::{BrokenFrame, Frame, MllpCodec},
    settings::Acknowledge,
};
use crate::{
    access::{Interaction, RawRequest, Refusal, Requester},
    directory::TlsVersion,
    domain::RequestId,
    exchange::{Call, ExchangeError, reject, take_message},
    hl7v2::{Acknowledgement, Condition, Fault, Message},
};

/// How long a sender may take to see that the gateway stops.
const STOP_LINGER: Duration = Duration::from_millis(500);
/// Bytes read at a time.
const READ_BYTES: usize = 8 << 10;

/// Who is at the other end, as far as the connection tells.
pub(super) enum Sender {
    /// Somebody with a certificate that chains to a client's authority.
    Certificate { leaf: Option<CertificateDer<'static>>, old_tls: bool },
    /// A process on this machine, and the client that it feeds as.
    OnThisMachine(String),
}

impl Sender {
    pub(super) fn of(session: &ServerConnection) -> Self {
        let leaf = session.peer_certificates().and_then(<[_]>::first);
        Self::Certificate {
            leaf: leaf.map(|leaf| leaf.clone().into_owned()),
            old_tls: session.protocol_version() != Some(ProtocolVersion::TLSv1_3),
        }
    }
}

/// A connection that a sender holds.
pub(super) struct Connection<'a, S> {
    pub(super) shared: &'a Shared,
    pub(super) sender: Sender,
    pub(super) peer: IpAddr,
    pub(super) stream: S,
}

/// What a message gets.
struct Answer {
    /// The acknowledgement; none where the sender asked for none.
    bytes: Option<Vec<u8>>,
    /// Whether more is taken from this sender.
    goes_on: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    /// Serves the connection to its end; why it ended, in words for metrics.
    pub(super) async fn run(mut self) -> &'static str {
        let settings = &self.shared.settings;
        let mut codec = MllpCodec::new(settings.message_bytes_max, settings.junk_bytes_max);
        let idle = Duration::from_secs(settings.idle_timeout_s);
        let whole = Duration::from_secs(settings.message_timeout_s);
        let patience = Duration::from_secs(settings.write_timeout_s);
        let mut buffer = BytesMut::new();
        let mut deadline = Deadline::now() + idle;
        let mut inside = false;
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(Frame::Whole(frame))) => {
                    let answer = self.answer(&frame).await;
                    if !self.write(&mut codec, answer.bytes).await {
                        return "acknowledgement not taken";
                    }
                    if !answer.goes_on {
                        self.linger(patience).await;
                        return "sender refused";
                    }
                    (inside, deadline) = (false, Deadline::now() + idle);
                    continue;
                }
                Ok(Some(Frame::Cut)) => {
                    tracing::warn!("an MLLP frame began within another; the first was dropped");
                    metrics::counter!("tessera_mllp_cut_frames_total").increment(1);
                    (inside, deadline) = (true, Deadline::now() + whole);
                    continue;
                }
                Ok(None) => {}
                Err(broken) => return self.give_up(&mut codec, &buffer, &broken).await,
            }
            if codec.is_inside() && !inside {
                (inside, deadline) = (true, Deadline::now() + whole);
            }
            buffer.reserve(READ_BYTES);
            let read = tokio::select! {
                biased;
                () = self.shared.stop.cancelled(), if !inside => None,
                read = timeout_at(deadline, self.stream.read_buf(&mut buffer)) => Some(read),
            };
            let Some(read) = read else {
                self.linger(STOP_LINGER).await;
                return "stopping";
            };
            match read {
                Ok(Ok(0)) if inside => return "broken off within a message",
                Ok(Ok(0)) => return "closed by the sender",
                Ok(Ok(_)) => {}
                Ok(Err(_)) => return "broken off",
                Err(_) if inside => {
                    let text = "the message did not end in time";
                    let fault = Fault::reject(Condition::SegmentSequence, text);
                    return self.refuse(&mut codec, &buffer, fault, "message too slow").await;
                }
                Err(_) => return "idle",
            }
        }
    }

    async fn give_up(
        &mut self,
        codec: &mut MllpCodec,
        begun: &[u8],
        broken: &BrokenFrame,
    ) -> &'static str {
        match broken {
            BrokenFrame::TooLong => {
                let text = "the message is longer than is taken, or has no end";
                let fault = Fault::reject(Condition::SegmentSequence, text);
                self.refuse(codec, begun, fault, "message too long").await
            }
            BrokenFrame::Junk => "no MLLP",
            BrokenFrame::Io(_) => "broken off",
        }
    }

    /// Tells the sender why its message was not taken to its end, and ends the connection.
    async fn refuse(
        &mut self,
        codec: &mut MllpCodec,
        begun: &[u8],
        fault: Fault,
        reason: &'static str,
    ) -> &'static str {
        let call = self.call(&[]);
        let answer = self.unreadable(&call, begun, fault).await;
        if self.write(codec, answer.bytes).await {
            let patience = Duration::from_secs(self.shared.settings.write_timeout_s);
            self.linger(patience).await;
        }
        reason
    }

    async fn write(&mut self, codec: &mut MllpCodec, answer: Option<Vec<u8>>) -> bool {
        let Some(answer) = answer else { return true };
        let mut framed = BytesMut::new();
        if codec.encode(&answer[..], &mut framed).is_err() {
            return false;
        }
        let patience = Duration::from_secs(self.shared.settings.write_timeout_s);
        let written = timeout(patience, async {
            self.stream.write_all(&framed).await?;
            self.stream.flush().await
        });
        matches!(written.await, Ok(Ok(())))
    }

    /// Closes, and reads on for a moment: a sender that still writes would otherwise be reset before
    /// it sees its answer.
    async fn linger(&mut self, patience: Duration) {
        let rest = async {
            let _ = self.stream.shutdown().await;
            let mut rest = vec![0; READ_BYTES];
            while self.stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
        };
        let _ = timeout(patience, rest).await;
    }

    /// Carries one message out.
    async fn answer(&self, frame: &[u8]) -> Answer {
        let started = Instant::now();
        let call = self.call(frame);
        let message = match Message::parse(frame) {
            Ok(message) => message,
            Err(fault) => return self.unreadable(&call, frame, fault).await,
        };
        let taken = match message.header().check(&self.shared.settings.processing_ids) {
            Ok(()) => take_message(&self.shared.exchange, &call, &message).await,
            Err(fault) => match self.reject(&call).await {
                Ok(()) => Err(fault.into()),
                Err(refused) => Err(refused),
            },
        };
        let (effect, (acknowledgement, goes_on)) = match taken {
            Ok(released) => {
                let taken = released.into_inner();
                (taken.effect.name(), (Acknowledgement::accept(taken.done.words()), true))
            }
            Err(error) => ("not taken", answer::of_error(&error)),
        };
        count(effect, &acknowledgement, started);
        let settings = &self.shared.settings;
        let is_wanted = settings.acknowledge == Acknowledge::Always
            || acknowledgement.is_asked_for(message.header());
        let now = self.shared.exchange.clock.now();
        let bytes = is_wanted.then(|| acknowledgement.to_bytes(&message, &control_id(&call), now));
        Answer { bytes, goes_on }
    }

    /// Answers what could not be read; as much of it as is there may still tell its number.
    async fn unreadable(&self, call: &Call, begun: &[u8], fault: Fault) -> Answer {
        let (acknowledgement, goes_on) = match self.reject(call).await {
            Ok(()) => (Acknowledgement::refuse(fault), true),
            Err(refused) => answer::of_error(&refused),
        };
        count("not taken", &acknowledgement, Instant::now());
        let told = Message::control_id_of(begun);
        let now = self.shared.exchange.clock.now();
        let bytes = acknowledgement.to_unreadable(&told, &control_id(call), now);
        Answer { bytes: Some(bytes), goes_on }
    }

    async fn reject(&self, call: &Call) -> Result<(), ExchangeError> {
        reject(&self.shared.exchange, call, Interaction::FeedMessage).await
    }

    fn call(&self, frame: &[u8]) -> Call {
        Call {
            request_id: RequestId::new(Uuid::new_v4()),
            requester: self.requester(),
            client_address: Some(self.peer),
            told_purpose: None,
            kept_age_max: Duration::MAX,
            raw: RawRequest {
                method: "MLLP".to_owned(),
                path: "/ADT".to_owned(),
                query_string: String::new(),
                body: frame.to_vec(),
            },
        }
    }

    /// Who sends, looked at again for each message, since connections live long.
    fn requester(&self) -> Result<Arc<Requester>, Refusal> {
        let exchange = &self.shared.exchange;
        match &self.sender {
            Sender::OnThisMachine(client) => {
                exchange.clients.on_this_machine(client).ok_or(Refusal::UnknownClient)
            }
            Sender::Certificate { leaf, old_tls } => {
                let leaf = leaf.as_ref().ok_or(Refusal::UnreadableCertificate)?;
                let requester = exchange.clients.authenticate(leaf, exchange.clock.now())?;
                let roster = exchange.directory.roster();
                let member = requester.member().and_then(|code| roster.member(code));
                let allowed = member.is_some_and(|one| one.tls_min() == TlsVersion::Tls12);
                if *old_tls && !allowed { Err(Refusal::OldTls) } else { Ok(requester) }
            }
        }
    }
}

/// The acknowledgement's own number, of the 20 characters that every version takes.
fn control_id(call: &Call) -> String {
    call.request_id.to_string().chars().filter(char::is_ascii_alphanumeric).take(20).collect()
}

fn count(effect: &'static str, acknowledgement: &Acknowledgement, started: Instant) {
    let code = acknowledgement.acknowledged.code();
    metrics::counter!("tessera_mllp_messages_total", "effect" => effect, "acknowledged" => code)
        .increment(1);
    metrics::histogram!("tessera_mllp_message_seconds").record(started.elapsed().as_secs_f64());
}

//! HL7 v2 messages of a file, each carried out as one that came over MLLP.

use std::io::BufRead;

use anyhow::Context as _;
use futures_util::future::join_all;
use time::OffsetDateTime;

use super::{
    BYTES_MAX, Import,
    message_file::{MessageFile, Part},
};
use crate::{
    directory::Member,
    domain::RecordKey,
    exchange::{ExchangeError, MessageDesk, MessageReader, RecordLocks},
    hl7v2::{Fault, IdentityEffect, Location, Message},
};

/// Messages carried out at once, each of other patients: they share commits.
const TOGETHER_MAX: usize = 256;

/// A message that waits for its turn, and where it stands.
struct Waiting {
    number: u64,
    line: u64,
    message: Message,
}

impl Import<'_> {
    /// Carries out the messages of a file, those about one patient in their order.
    pub(super) async fn read_messages(
        &mut self,
        input: impl BufRead,
        member: &Member,
        now: OffsetDateTime,
        processing_ids: &[String],
    ) -> anyhow::Result<()> {
        let permit = self.permit.clone();
        let locks = RecordLocks::default();
        let reader = MessageReader { member, permit: &permit, now };
        let desk = MessageDesk { index: self.index, record_locks: &locks, reader };
        let mut file = MessageFile::new(input, BYTES_MAX);
        let (mut together, mut told) = (Vec::new(), Vec::new());
        while let Some(part) = file.next_part()? {
            let read = match part {
                Part::Message { number, line, bytes } => match read(&bytes, processing_ids) {
                    Ok(message) => Ok(Waiting { number, line, message }),
                    Err(fault) => Err((line, reason(number, &fault.into()))),
                },
                Part::Fault { line, problem } => Err((line, problem)),
            };
            let waiting = match read {
                Ok(waiting) => waiting,
                Err((line, reason)) => {
                    // So that what is rejected is told in its order.
                    self.carry_out(&desk, &mut together).await?;
                    told.clear();
                    self.reject(line, &reason)?;
                    continue;
                }
            };
            // Whatever is not about one patient alone waits for all before it, and is waited for.
            let records = records(reader, &waiting.message);
            let is_apart = records.as_ref().is_some_and(|records| {
                records.iter().all(|record| !told.contains(record)) && told.len() < TOGETHER_MAX
            });
            if !is_apart {
                self.carry_out(&desk, &mut together).await?;
                told.clear();
            }
            together.push(waiting);
            match records {
                Some(records) => told.extend(records),
                None => self.carry_out(&desk, &mut together).await?,
            }
        }
        self.carry_out(&desk, &mut together).await
    }

    async fn carry_out(
        &mut self,
        desk: &MessageDesk<'_>,
        together: &mut Vec<Waiting>,
    ) -> anyhow::Result<()> {
        let outcomes = join_all(together.iter().map(|one| desk.carry_out(&one.message))).await;
        let mut stopped = None;
        for (Waiting { number, line, .. }, outcome) in together.drain(..).zip(outcomes) {
            match outcome {
                Ok((_, taken)) => self.tally.taken(taken.done),
                // What the store did not take ends the import: the next would not be taken either.
                Err(error @ ExchangeError::Index(_)) => {
                    stopped = stopped.or(Some((number, line, error)));
                }
                Err(error) => self.reject(line, &reason(number, &error))?,
            }
        }
        match stopped {
            None => Ok(()),
            Some((number, line, error)) => {
                Err(error).with_context(|| format!("stopped at message {number}, line {line}"))
            }
        }
    }
}

fn read(bytes: &[u8], processing_ids: &[String]) -> Result<Message, Fault> {
    let message = Message::parse(bytes)?;
    message.header().check(processing_ids)?;
    Ok(message)
}

/// The records that a message registers or updates; `None` where it does anything else, or cannot be
/// read so far.
fn records(reader: MessageReader<'_>, message: &Message) -> Option<Vec<RecordKey>> {
    if MessageReader::effect_of(message) != Ok(IdentityEffect::Demographics) {
        return None;
    }
    let pid = reader.only(message, "PID").ok()?;
    reader.records(pid.field(3), Location::field("PID", 3)).ok()
}

fn reason(number: u64, error: &ExchangeError) -> String {
    format!("message {number}: {error}")
}

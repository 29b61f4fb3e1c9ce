//! FHIR R4 Patients, one a line.

use std::io::{self, BufRead, Read as _};

use super::{BYTES_MAX, Import};
use crate::{
    exchange::{ExchangeError, acceptable, last_updated},
    fhir::Resource,
    index::Registration,
};

impl Import<'_> {
    /// Registers the Patients of a file.
    pub(super) async fn read_patients(&mut self, mut lines: impl BufRead) -> anyhow::Result<()> {
        let (mut number, mut line) = (0, Vec::new());
        loop {
            line.clear();
            let read = (&mut lines).take(BYTES_MAX as u64 + 1).read_until(b'\n', &mut line)?;
            if read == 0 {
                return self.flush().await;
            }
            number += 1;
            if read > BYTES_MAX && line.last() != Some(&b'\n') {
                skip_line(&mut lines)?;
                self.reject(number, &format!("longer than {BYTES_MAX} bytes"))?;
                continue;
            }
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            // Without its end, or an error at the end would be told as one on the next line.
            match self.registration(number, line.trim_ascii_end()) {
                Ok(registration) => self.register(number, registration).await?,
                Err(reason) => self.reject(number, &reason)?,
            }
        }
    }

    /// The registration that a line asks for, or why it cannot be taken; never with its content.
    fn registration(&self, number: u64, line: &[u8]) -> Result<Registration, String> {
        let patient = Resource::parse(line).map_err(|error| error.to_string())?;
        let reading = acceptable(&patient).map_err(|error| reason(&error))?;
        let own = reading.local_ids.into_iter().find_map(|id| self.permit.record(id).ok());
        let record = own.ok_or("no identifier of the member's own systems")?;
        Ok(Registration {
            record,
            demographics: reading.demographics,
            event_time: last_updated(&patient),
            source_message: Some(format!("line {number}")),
            fed_by: self.permit.fed_by().to_owned(),
        })
    }
}

fn reason(error: &ExchangeError) -> String {
    match error {
        ExchangeError::InvalidPatient(faults) => {
            let told = faults.iter().map(|fault| format!("{} {}", fault.expression, fault.problem));
            told.collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    }
}

fn skip_line(lines: &mut impl BufRead) -> io::Result<()> {
    loop {
        let chunk = lines.fill_buf()?;
        if chunk.is_empty() {
            return Ok(());
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(chunk.len(), |at| at + 1);
        lines.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

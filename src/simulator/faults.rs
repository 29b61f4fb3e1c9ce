//! Ways to misbehave, each one seen at a real server.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a simulator does wrong. By default nothing.
///
/// As JSON, for `tessera simulate --faults` and its control address, every key may be left out:
/// `{"delay_ms": 300, "answer": {"status": {"status": 503}}, "certificate": "expired"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// How long every answer is held back; with `delay_p99`, the median of a log-normal
    /// distribution.
    #[serde(rename = "delay_ms", with = "milliseconds")]
    pub delay: Duration,
    /// How long one answer in a hundred is held back at least.
    #[serde(rename = "delay_p99_ms", with = "some_milliseconds")]
    pub delay_p99: Option<Duration>,
    /// What becomes of an answer on its way out.
    pub answer: AnswerFault,
    /// How many requests `answer` spoils before all is well again; every one where none is told.
    pub answers_spoiled_max: Option<u32>,
    /// What goes wrong in `Patient?identifier=`.
    pub identifier: IdentifierFault,
    /// What goes wrong in `Patient/$match`.
    pub matching: MatchFault,
    /// What goes wrong in `$everything` and in searches by patient.
    pub compartment: CompartmentFault,
    /// What goes wrong in `next` links.
    pub paging: PagingFault,
    /// Parameters of a search that are answered with an error.
    pub refused_parameters: Vec<String>,
    /// A `_count` above this is answered with an error.
    pub count_max: Option<u32>,
    /// Types that are listed, and answered as if there were none such.
    pub unserved_types: Vec<String>,
    /// What is wrong with the TLS of connections made from now on.
    pub certificate: CertificateFault,
    /// What goes wrong where tokens are given out.
    pub token: TokenFault,
}

impl Faults {
    /// How long one answer is held back, for a random number drawn from 0 to 1.
    pub(super) fn delay(&self, random: f64) -> Duration {
        /// Of the standard normal distribution.
        const QUANTILE_99: f64 = 2.326;
        let Some(p99) = self.delay_p99.filter(|p99| *p99 > self.delay && !self.delay.is_zero())
        else {
            return self.delay;
        };
        let sigma = (p99.as_secs_f64() / self.delay.as_secs_f64()).ln() / QUANTILE_99;
        let seconds = self.delay.as_secs_f64() * (sigma * normal_quantile(random)).exp();
        Duration::try_from_secs_f64(seconds).unwrap_or(DELAY_MAX).min(DELAY_MAX)
    }
}

/// No answer is held back longer, so that nothing is held for ever.
const DELAY_MAX: Duration = Duration::from_mins(5);

/// The quantile of the standard normal distribution, by Tukey's lambda distribution: within 1 % up
/// to the 99th percentile.
fn normal_quantile(probability: f64) -> f64 {
    const LAMBDA: f64 = 0.1349;
    let p = probability.clamp(1e-6, 1.0 - 1e-6);
    (p.powf(LAMBDA) - (1.0 - p).powf(LAMBDA)) / 0.1975
}

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(told: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(told.as_millis() as u64)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

mod some_milliseconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(
        told: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        told.map(|told| told.as_millis() as u64).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_millis))
    }
}

/// A fault in what is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AnswerFault {
    /// None.
    #[default]
    None,
    /// Another status and an OperationOutcome instead of the answer.
    Status {
        /// HTTP status, such as 503.
        status: u16,
        /// `Retry-After`, in seconds.
        retry_after_s: Option<u32>,
    },
    /// 200 with an HTML page, as a proxy's sign-in page.
    Html,
    /// 200 with JSON that is broken in its middle.
    Malformed,
    /// 200 with a few kilobytes of gzip that inflate to so many bytes.
    GzipBomb {
        /// Bytes after inflating.
        bytes: u64,
    },
    /// The body comes byte by byte (slow loris).
    Trickled {
        /// Milliseconds between two bytes.
        pause_ms: u64,
    },
    /// 200 with the JSON cut off, as whole HTTP.
    Truncated {
        /// Bytes sent.
        bytes: usize,
    },
    /// The connection is broken within the body.
    Broken {
        /// Bytes sent before.
        bytes: usize,
    },
    /// The body stops and the connection stays open.
    Stalled {
        /// Bytes sent before.
        bytes: usize,
    },
}

/// A fault in how an identifier is resolved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentifierFault {
    /// None.
    #[default]
    None,
    /// The criterion is ignored: every patient is returned.
    Ignored,
    /// A second patient is returned beside the right one.
    Several,
    /// Another patient is returned instead.
    AnotherPatient,
}

/// A fault in whom `$match` finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchFault {
    /// None.
    #[default]
    None,
    /// Another patient is returned, as certain as can be.
    AnotherPatient,
    /// Every patient is returned, each as certain as can be.
    Everybody,
}

/// A fault in what belongs to a patient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompartmentFault {
    /// None.
    #[default]
    None,
    /// The criterion is ignored: everybody's resources are returned.
    Ignored,
    /// Another patient's resources are returned.
    AnotherPatient,
}

/// A fault in paging.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PagingFault {
    /// None.
    #[default]
    None,
    /// From the second page on all criteria are forgotten.
    LosesCriteria,
    /// `next` leads to another origin, such as `https://elsewhere.example`.
    AnotherOrigin(String),
    /// There is always a next page, and its link is always new.
    Endless,
}

/// A fault in TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateFault {
    /// None.
    #[default]
    None,
    /// The server's certificate has expired.
    Expired,
    /// The server's certificate bears another name.
    AnotherName,
    /// The server's certificate is of an authority that nobody knows.
    UnknownAuthority,
    /// No client's certificate is accepted.
    RefusesClients,
}

/// A fault of the token endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenFault {
    /// None.
    #[default]
    None,
    /// No client is given a token.
    Refused,
    /// The endpoint answers 503.
    Unavailable,
    /// Tokens are given out, and not honored.
    Worthless,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_spread_as_told() {
        let fixed = Faults { delay: Duration::from_millis(70), ..Faults::default() };
        assert_eq!(fixed.delay(0.99), Duration::from_millis(70));
        let spread = Faults { delay_p99: Some(Duration::from_millis(900)), ..fixed };
        let ms = |random| spread.delay(random).as_millis();
        assert_eq!(ms(0.5), 70);
        assert!((850..950).contains(&ms(0.99)), "{}", ms(0.99));
        assert!(ms(0.1) < 70);
    }

    #[test]
    fn faults_are_told_as_json_and_unknown_keys_are_refused() {
        let told = r#"{"delay_ms": 5, "answer": {"status": {"status": 503, "retry_after_s": null}},
            "paging": {"another_origin": "https://elsewhere.example"}, "certificate": "expired"}"#;
        let faults: Faults = serde_json::from_str(told).expect("understood");
        let status = AnswerFault::Status { status: 503, retry_after_s: None };
        assert_eq!((faults.answer.clone(), faults.delay.as_millis()), (status, 5));
        let again = serde_json::to_string(&faults).expect("plain data");
        assert_eq!(serde_json::from_str::<Faults>(&again).expect("understood"), faults);
        for bad in [r#"{"dealy_ms": 5}"#, r#"{"answer": "htlm"}"#, r#"{"delay_ms": -1}"#] {
            assert!(serde_json::from_str::<Faults>(bad).is_err(), "{bad}");
        }
    }
}

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use reqwest::{
    Method, Response, StatusCode,
    header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, LOCATION},
};
use serde_json::{Value, json};
use url::Url;

use crate::{
    domain::{EnterpriseId, LocalId, PurposeOfUse},
    fhir::{Bundle, FHIR_JSON, OperationOutcome, Resource},
    tls::{Credentials, MemberTls, TrustRoots, client_config},
};

/// Longer than any answer of the gateway may take, with all members slow.
const TIMEOUT: Duration = Duration::from_mins(1);
/// The largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 256 << 20;

#[derive(Clone)]
/// Somebody with a certificate who asks the gateway over HTTPS, as anybody would.
pub(super) struct FhirClient {
    http: reqwest::Client,
    base: String,
}

/// What `$match` found.
pub(super) struct Found {
    /// The person's id in the exchange.
    pub(super) person: EnterpriseId,
    /// FHIR match grade.
    pub(super) grade: String,
    /// FHIR search score.
    pub(super) score: Option<f64>,
}

impl FhirClient {
    /// A client of the FHIR interface at `base`, known by `credentials`.
    pub(super) fn new(base: &str, credentials: &Credentials, roots: &TrustRoots) -> Result<Self> {
        let tls = client_config(credentials, roots, MemberTls::Tls13)?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(TIMEOUT)
            .build()?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned() })
    }

    /// Feeds one patient (IHE ITI-104); the person whom the gateway says it is.
    pub(super) async fn feed(
        &self,
        local_id: &LocalId,
        patient: &Resource,
    ) -> Result<EnterpriseId> {
        let mut url = self.url("Patient")?;
        let identifier = format!("{}|{}", local_id.system(), local_id.value());
        url.query_pairs_mut().append_pair("identifier", &identifier);
        let body = patient.json().to_owned();
        let response = self.send(Method::PUT, url, None, Some(body)).await?;
        let status = response.status();
        if ![StatusCode::OK, StatusCode::CREATED].contains(&status) {
            return Err(refusal(response).await);
        }
        response
            .headers()
            .get(LOCATION)
            .and_then(|location| location.to_str().ok()?.rsplit_once("/Patient/"))
            .and_then(|(_, id)| EnterpriseId::parse(id.split('/').next()?).ok())
            .context("the answer to a feed names no person")
    }

    /// Asks who a patient is (FHIR R4 `Patient/$match`), most likely first.
    pub(super) async fn find(&self, patient: &Value, purpose: PurposeOfUse) -> Result<Vec<Found>> {
        let parameters = json!({"resourceType": "Parameters", "parameter": [
            {"name": "resource", "resource": patient}]});
        let url = self.url("Patient/$match")?;
        let body = parameters.to_string();
        let response = self.send(Method::POST, url, Some(purpose), Some(body)).await?;
        if response.status() != StatusCode::OK {
            return Err(refusal(response).await);
        }
        found(&read(response).await?)
    }

    /// Asks for everything about a person, and says how long that took.
    pub(super) async fn everything(
        &self,
        person: EnterpriseId,
        purpose: PurposeOfUse,
    ) -> Result<(Vec<u8>, Duration)> {
        let started = Instant::now();
        let url = self.url(&format!("Patient/{person}/$everything"))?;
        let response = self.send(Method::GET, url, Some(purpose), None).await?;
        if response.status() != StatusCode::OK {
            return Err(refusal(response).await);
        }
        let json = read(response).await?;
        let elapsed = started.elapsed();
        if Bundle::parse(&json)?.link("next").is_some() {
            bail!("the answer came in pages, though no page size was asked for");
        }
        Ok((json, elapsed))
    }

    /// Asks for a person's record on one page.
    pub(super) async fn brief(
        &self,
        person: EnterpriseId,
        purpose: PurposeOfUse,
    ) -> Result<String> {
        let url = self.url(&format!("Patient/{person}/$ed-brief?_format=text/plain"))?;
        let response = self.send(Method::GET, url, Some(purpose), None).await?;
        if response.status() != StatusCode::OK {
            return Err(refusal(response).await);
        }
        String::from_utf8(read(response).await?).context("the page is not text")
    }

    fn url(&self, path: &str) -> Result<Url> {
        Ok(Url::parse(&format!("{}/{path}", self.base))?)
    }

    async fn send(
        &self,
        method: Method,
        url: Url,
        purpose: Option<PurposeOfUse>,
        body: Option<String>,
    ) -> Result<Response> {
        let mut request = self.http.request(method, url).header(ACCEPT, FHIR_JSON);
        // The demonstration is of members that answer.
        request = request.header(CACHE_CONTROL, "no-cache");
        if let Some(purpose) = purpose {
            request = request.header("Purpose-Of-Use", purpose.code());
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, FHIR_JSON).body(body);
        }
        // The URL of a feed holds a record number, and errors must not.
        request.send().await.map_err(|error| {
            anyhow::Error::from(error.without_url()).context("the gateway does not answer")
        })
    }
}

fn found(bundle: &[u8]) -> Result<Vec<Found>> {
    let bundle: Value = serde_json::from_slice(bundle).context("the answer is not JSON")?;
    let entries = bundle["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
    entries
        .iter()
        .filter(|entry| entry["resource"]["resourceType"] == "Patient")
        .map(|entry| {
            let id = entry["resource"]["id"].as_str().unwrap_or_default();
            let search = &entry["search"];
            let grade = search["extension"].as_array().into_iter().flatten().find_map(|told| {
                let url = told["url"].as_str()?;
                url.ends_with("/match-grade").then(|| told["valueCode"].as_str())?
            });
            Ok(Found {
                person: EnterpriseId::parse(id).context("a match has no enterprise id")?,
                grade: grade.context("a match has no grade")?.to_owned(),
                score: search["score"].as_f64(),
            })
        })
        .collect()
}

async fn read(mut response: Response) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            bail!("the answer is longer than {ANSWER_BYTES_MAX} bytes");
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What the gateway says where it does not do as it is asked.
async fn refusal(response: Response) -> anyhow::Error {
    let status = response.status();
    let body = read(response).await.unwrap_or_default();
    let said = serde_json::from_slice::<OperationOutcome>(&body)
        .ok()
        .and_then(|outcome| outcome.issue.into_iter().next()?.details)
        .map(|details| details.text)
        .unwrap_or_default();
    anyhow!("the gateway answered {status}: {said}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_is_read_with_its_grade_and_score() {
        let id = "0190a1b2-0000-7000-8000-000000000001";
        let bundle = json!({"resourceType": "Bundle", "entry": [
            {"resource": {"resourceType": "Patient", "id": id}, "search": {"mode": "match", "score": 0.97,
                "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/match-grade", "valueCode": "certain"}]}},
            {"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}}]});
        let found = found(bundle.to_string().as_bytes()).expect("readable");
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].person.to_string().as_str(), found[0].grade.as_str()),
            (id, "certain")
        );
        assert_eq!(found[0].score, Some(0.97));
    }

    #[test]
    fn a_match_without_a_grade_is_no_match() {
        let bundle = json!({"entry": [{"resource": {"resourceType": "Patient",
            "id": "0190a1b2-0000-7000-8000-000000000001"}, "search": {"score": 0.97}}]});
        assert!(found(bundle.to_string().as_bytes()).is_err());
    }
}

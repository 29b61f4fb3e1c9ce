use std::{
    collections::BTreeMap,
    io::Write,
    net::Ipv4Addr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use time::OffsetDateTime;

use super::{
    answer::Answer,
    asking::{PURPOSE, Recognized, as_known_outside, is_unidentified, recognize},
    client::FhirClient,
    holdings::Holdings,
    home::{Home, name_of},
    invented,
    truth::Truth,
};
use crate::{
    app::{self, RunningGateway, SystemClock},
    cli::member,
    config::Config,
    domain::{EnterpriseId, MemberCode},
    simulator::{MemberData, Simulator, SimulatorOptions},
    tls::{RevocationLists, ServerTls, pki::CredentialFiles},
};

/// Everything that runs: the members, the gateway, and the emergency department that asks.
pub(super) struct Stage {
    /// Where the gateway lives.
    pub(super) home: Home,
    /// The FHIR base of the gateway.
    pub(super) base_url: String,
    /// The emergency department.
    pub(super) client: FhirClient,
    members: Vec<Simulator>,
    gateway: RunningGateway,
}

impl Stage {
    /// Starts the members' servers and the gateway, as an operator would bring them on.
    pub(super) async fn set(data: &Path, holdings: &Holdings, now: OffsetDateTime) -> Result<Self> {
        let home = Home::make(holdings, now)?;
        let members = start_members(&home, data, now)?;
        let bases: BTreeMap<MemberCode, String> =
            members.iter().map(|one| (one.member().clone(), one.base_url())).collect();
        home.configure(holdings, &bases)?;
        let clock = Arc::new(SystemClock);
        member::apply(&home.settings(), &home.members(), clock.clone()).await?;
        let config = Config::read(&home.settings())?;
        let gateway =
            app::start(config, clock, None).await.context("the gateway does not start")?;
        let base_url = gateway.base_url().to_owned();
        let credentials = home.emergency_department().read()?;
        let client = FhirClient::new(&base_url, &credentials, &home.pki.trust_roots()?)?;
        Ok(Self { home, base_url, client, members, gateway })
    }

    /// Stops everything: whoever asks, the gateway with all it has to write down, the members.
    pub(super) async fn clear(self) {
        // A connection that idles would be waited for.
        drop(self.client);
        self.gateway.stop().await;
        for mut member in self.members {
            member.go_down().await;
        }
    }

    /// Plays the emergency: who is this, and what is known?
    pub(super) async fn play(&self, emergency: &Emergency) -> Result<Played> {
        let started = Instant::now();
        let recognized = recognize(&self.client, &emergency.patient).await?.context(
            "the emergency patient was not found with certainty, though members hold records",
        )?;
        let person = recognized.found.person;
        let brief = self.client.brief(person, PURPOSE).await?;
        let page = page(emergency, &recognized, &brief, started.elapsed());
        let (json, _) = self.client.everything(person, PURPOSE).await?;
        Ok(Played { person, answer: Answer::parse(&json)?, page })
    }

    /// Asks again while one member is down, and tells what the answer then says is missing.
    pub(super) async fn play_without(
        &mut self,
        code: &str,
        played: &Played,
        out: &mut impl Write,
    ) -> Result<()> {
        let down = self.members.iter_mut().find(|one| one.member().as_str() == code);
        let down = down.with_context(|| format!("no member {code} runs"))?;
        down.go_down().await;
        let (json, elapsed) = self.client.everything(played.person, PURPOSE).await?;
        let answer = Answer::parse(&json)?;
        down.come_up()?;
        let (before, after) = (played.answer.originals().len(), answer.originals().len());
        writeln!(out, "\nThe same question while {} is down:", name_of(down.member()))?;
        writeln!(
            out,
            "  {after} instead of {before} records in {:.2} s; the answer says so:",
            elapsed.as_secs_f64()
        )?;
        let gaps: Vec<String> = answer.gaps().collect();
        if gaps.is_empty() {
            bail!("a member was down and the answer did not say so");
        }
        for gap in gaps {
            writeln!(out, "  ! {gap}")?;
        }
        Ok(())
    }

    /// Nobody may be recognized by an alias alone.
    pub(super) async fn unidentified_stay_unidentified(&self, holdings: &Holdings) -> Result<()> {
        let patients = holdings.members.iter().flat_map(|member| &member.patients);
        for patient in patients {
            let told: Value = patient.resource.read()?;
            if is_unidentified(&told)
                // A question that tells next to nothing may be refused as such: that is right too.
                && let Ok(found) = self.client.find(&as_known_outside(&told), PURPOSE).await
                && found.iter().any(|one| one.grade == "certain")
            {
                bail!("an unidentified patient was recognized with certainty");
            }
        }
        Ok(())
    }

    /// Prints command lines that work while the gateway stays up.
    pub(super) fn show_how_to_ask(
        &self,
        played: &Played,
        emergency: &Emergency,
        out: &mut impl Write,
    ) -> Result<()> {
        let (base, person) = (&self.base_url, played.person);
        let ed = self.curl(&self.home.emergency_department());
        writeln!(
            out,
            "\nThe gateway stays up until Ctrl-C. Ask it yourself, as the emergency department:\n"
        )?;
        writeln!(out, "{ed} {base}/metadata\n")?;
        writeln!(
            out,
            "{ed} -H 'Purpose-Of-Use: ETREAT' -H 'Accept: text/plain' '{base}/Patient/{person}/$ed-brief'\n"
        )?;
        writeln!(out, "{ed} -H 'Purpose-Of-Use: ETREAT' '{base}/Patient/{person}/$everything'\n")?;
        writeln!(
            out,
            "{ed} '{base}/Observation?patient={person}&category=laboratory&_count=10'\n"
        )?;
        writeln!(
            out,
            "{ed} -H 'Purpose-Of-Use: ETREAT' '{base}/Patient/{person}/$everything?_type=AllergyIntolerance,MedicationRequest'\n"
        )?;
        writeln!(
            out,
            "{ed} -H 'Content-Type: application/fhir+json' \\\n  -d {} '{base}/Patient/$match'\n",
            quoted(&emergency.patient.to_string())
        )?;
        if let Some(alternate) = played.answer.alternates().next() {
            writeln!(out, "An original that stands behind a grouped fact:\n")?;
            writeln!(out, "{ed} '{base}/{}/{}'\n", alternate.resource_type, alternate.id)?;
        }
        if let Some(member) = self.members.first() {
            let feeds = self.curl(&self.home.pki.member(member.member()));
            writeln!(
                out,
                "What {} may not do: it feeds, and has no right to ask (403):\n",
                name_of(member.member())
            )?;
            writeln!(out, "{feeds} {base}/Patient/{person}\n")?;
        }
        writeln!(out, "Health, and the audit trail of all this:\n")?;
        writeln!(out, "curl http://{}/readyz", self.gateway.health_address())?;
        writeln!(out, "tessera audit verify --database {}", self.home.database().display())?;
        out.flush()?;
        Ok(())
    }

    fn curl(&self, files: &CredentialFiles) -> String {
        format!(
            "curl -sS --cert {} \\\n  --key {} \\\n  --cacert {} \\\n ",
            files.certificate.display(),
            files.key.display(),
            self.home.pki.root_certificate().display()
        )
    }
}

/// Text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn start_members(home: &Home, data: &Path, now: OffsetDateTime) -> Result<Vec<Simulator>> {
    let roots = home.pki.trust_roots()?;
    let members = MemberData::read_all(data, now).context("the members' data cannot be served")?;
    members
        .into_iter()
        .map(|data| {
            let credentials = home.pki.member(data.code()).read()?;
            let tls = ServerTls::new(&credentials, &roots, &RevocationLists::default())?;
            let bind = (Ipv4Addr::LOCALHOST, 0).into();
            Ok(Simulator::start(Arc::new(data), SimulatorOptions::default(), bind, &tls)?)
        })
        .collect()
}

/// Somebody in the emergency department, and what is known of them there.
pub(super) struct Emergency {
    patient: Value,
}

impl Emergency {
    /// The written emergency.
    pub(super) fn written() -> Self {
        Self { patient: invented::emergency_patient() }
    }

    /// Somebody out of a folder of members: whoever is known to most of them.
    pub(super) fn out_of(holdings: &Holdings, truth: Option<&Truth>) -> Result<Self> {
        let most = truth.and_then(|truth| {
            let known_to = |local_ids: &&BTreeMap<String, String>| local_ids.len();
            truth.patients.values().max_by_key(known_to)
        });
        let patient = match most {
            Some(local_ids) => holdings.source_patients(local_ids).next().map(|(_, one)| one),
            None => holdings.members.iter().find_map(|member| member.patients.first()),
        };
        let told: Value = patient.context("there is no patient to ask for")?.resource.read()?;
        Ok(Self { patient: as_known_outside(&told) })
    }

    /// What is known, in words.
    fn told(&self) -> String {
        let elements = [
            ("name", "name"),
            ("birthDate", "birth date"),
            ("gender", "sex"),
            ("telecom", "telephone or e-mail"),
            ("address", "address"),
            ("identifier", "identifiers such as SSN"),
        ];
        let known = elements.into_iter().filter(|(element, _)| !self.patient[*element].is_null());
        known.map(|(_, words)| words).collect::<Vec<_>>().join(", ")
    }
}

/// An emergency that was played.
pub(super) struct Played {
    /// The page for the physician.
    pub(super) page: String,
    person: EnterpriseId,
    answer: Answer,
}

fn page(emergency: &Emergency, recognized: &Recognized, brief: &str, elapsed: Duration) -> String {
    let found = &recognized.found;
    let score = found.score.map(|score| format!(" (score {score:.3})")).unwrap_or_default();
    let others = match recognized.candidates {
        0 | 1 => "nobody else came into question".to_owned(),
        several => format!("{several} persons came into question"),
    };
    let (rule, line) = ("═".repeat(100), "─".repeat(82));
    format!(
        "{rule}\nOUTSIDE RECORDS FOR THE EMERGENCY DEPARTMENT\n{rule}\n\nHOW SURE, AND WHY {line}\n  \
         {}{score}; {others}\n  asked with: {}\n\n{brief}\n{:.2} s from asking who this is to this page\n",
        found.grade,
        emergency.told(),
        elapsed.as_secs_f64()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_name_stays_inside_its_word() {
        assert_eq!(quoted("O'Neill"), r"'O'\''Neill'");
    }

    #[test]
    fn the_written_emergency_is_asked_for_as_an_ambulance_would() {
        let emergency = Emergency::written();
        assert_eq!(emergency.told(), "name, birth date, sex, telephone or e-mail, address");
        assert!(emergency.patient["id"].is_null());
    }
}

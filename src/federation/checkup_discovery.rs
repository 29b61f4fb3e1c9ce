//! The part of a check that is for members at which people are looked for.

use tokio::time::Instant;
use uuid::Uuid;

use super::{
    checkup::{Checkup, STEP_PATIENCE},
    connection::Connection,
    discovery::{Candidates, Lookup},
    outcome::{NotAsked, Refusal, Status},
    settings::FederationSettings,
    statement::{fault_words, refusal_words},
};
use crate::{
    directory::{Discovery, Member, Quirk},
    domain::{Demographics, LocalId, Name, PartialDate},
};

const NAME: &str = "discovery";

/// Looks for somebody who is nobody: it must find nobody. Says whether the way works.
pub(super) async fn look_for_nobody(
    report: &mut Checkup,
    connection: &Connection,
    settings: &FederationSettings,
) -> bool {
    if connection.member.discovery() == Discovery::Feed {
        return false;
    }
    let name = format!("Check{}", Uuid::new_v4().simple());
    let nobody = Demographics {
        names: vec![Name { family: name, given: vec!["Nobody".to_owned()], ..Name::default() }],
        birth_date: PartialDate::new(1890, 1, Some(1)).ok(),
        ..Demographics::default()
    };
    let mut found = look(connection, &connection.member, settings, &nobody).await;
    let posts = connection.member.discovery() == Discovery::Search
        && !connection.member.has_quirk(Quirk::GetOnly);
    if posts && found.as_ref().is_err_and(is_not_served) {
        let by_get = connection.member.with_quirks(&[Quirk::GetOnly]);
        let again = look(connection, &by_get, settings, &nobody).await;
        if again.is_ok() {
            report.learned.quirk(Quirk::GetOnly);
            found = again;
        }
    }
    match found {
        Err(status) => {
            report.failed(NAME, words(status, connection.member.discovery()));
            false
        }
        Ok(found) if found.patients.is_empty() && found.unnumbered == 0 && !found.beyond => {
            report.passed_step(NAME, "nobody is found for somebody who is nobody");
            true
        }
        Ok(_) => {
            let text = "it gives patients for somebody who is nobody; whoever it gives is judged \
                        here, and its operator should mend it";
            report.warned(NAME, text);
            true
        }
    }
}

/// Looks for the patient to try with, by what the member itself tells of them.
pub(super) async fn look_for_patient(
    report: &mut Checkup,
    connection: &Connection,
    settings: &FederationSettings,
    (patient, told): (&LocalId, &Demographics),
) {
    const NAME: &str = "discovery of the patient";
    let member = connection.member.with_learned(&report.learned);
    match look(connection, &member, settings, told).await {
        Ok(found) if found.patients.iter().any(|one| one.local_id == *patient) => {
            let text = match found.patients.len() {
                1 => "the patient to try with is found, and nobody else".to_owned(),
                many => format!("the patient to try with is found, among {many}"),
            };
            report.passed_step(NAME, text);
        }
        Ok(found) if found.unnumbered > 0 => {
            let text = "whom it finds carries none of its identifier_systems";
            report.failed(NAME, text);
        }
        Ok(_) => report.failed(NAME, "the patient to try with is not found by demographics"),
        Err(Status::NotAsked(NotAsked::TooLittleKnown)) => {
            let text = "the patient to try with has no family name, or no whole date of birth";
            report.warned(NAME, text);
        }
        Err(status) => report.failed(NAME, words(status, member.discovery())),
    }
}

async fn look(
    connection: &Connection,
    member: &Member,
    settings: &FederationSettings,
    sought: &Demographics,
) -> Result<Candidates, Status> {
    let lookup = Lookup {
        client: &connection.client,
        base: &connection.base,
        member,
        settings,
        deadline: Instant::now() + STEP_PATIENCE,
    };
    lookup.candidates(sought).await
}

fn is_not_served(status: &Status) -> bool {
    matches!(status, Status::Refused(Refusal::NotServed))
}

fn words(status: Status, mode: Discovery) -> String {
    let asked = match mode {
        Discovery::Match => "Patient/$match",
        Discovery::Search | Discovery::Feed => "Patient?family=…&birthdate=…",
    };
    let what = match status {
        Status::Refused(Refusal::NotServed) => {
            "it does not serve this; `discovery` may have to be another"
        }
        Status::Refused(refusal) => refusal_words(refusal),
        Status::Unreachable(fault) => fault_words(fault),
        Status::TimedOut => "it did not answer in time",
        _ => "its answer could not be used",
    };
    format!("{asked}: {what}")
}

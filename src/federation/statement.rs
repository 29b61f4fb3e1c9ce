//! The completeness statement: a member's outcome told as FHIR issues.

use std::{fmt::Write as _, time::Duration};

use super::outcome::{
    Cut, Doubt, Emptiness, Fault, Identity, MemberOutcome, NotAsked, RecordAnswer, Refusal, Status,
    Withholding,
};
use crate::fhir::{Issue, IssueSeverity, IssueType};

impl MemberOutcome {
    /// What a clinician must know about this member's part of the answer: at least one issue,
    /// never of severity error, since it stands in a searchset (FHIR R4 §3.1.0). No PHI.
    ///
    /// A member that the permit excludes is passed over in silence: that somebody was treated
    /// there is itself protected.
    pub fn issues(&self) -> Vec<Issue> {
        let told = self
            .answers
            .iter()
            .filter(|answer| answer.status != Status::NotAsked(NotAsked::NotPermitted));
        told.flat_map(|answer| self.issues_of(answer)).collect()
    }

    fn issues_of(&self, answer: &RecordAnswer) -> Vec<Issue> {
        let name = if self.name.is_empty() { self.member.as_str() } else { &self.name };
        let (severity, code) = grade(answer.status);
        let mut text = format!("{name}: {}", sentence(answer));
        if let Some(age) = self.kept_for {
            let _ = write!(text, ", as it answered {} ago", age_words(age));
        }
        let mut issues =
            vec![Issue::new(severity, code, text).with_diagnostics(self.diagnostics(answer))];
        if answer.identity == Identity::NotConfirmed && !answer.resources.is_empty() {
            let text = format!(
                "{name}: identity not confirmed; the record carries the identifier asked for, \
                 but too few demographics to compare"
            );
            issues.push(Issue::new(IssueSeverity::Warning, IssueType::BusinessRule, text));
        }
        let withheld = answer.dropped.withheld();
        if withheld > 0 {
            let text = format!(
                "{name}: {withheld} resources withheld that could not be shown to be this \
                 patient's"
            );
            issues.push(Issue::new(IssueSeverity::Warning, IssueType::Suppressed, text));
        }
        issues.extend(answer.gaps.iter().map(|gap| {
            let part = gap.resource_type.as_deref().unwrap_or("the record");
            let text = format!("{name}: {part} incomplete: {}", cut_words(gap.cut));
            Issue::new(IssueSeverity::Warning, IssueType::Incomplete, text)
        }));
        issues
    }

    fn diagnostics(&self, answer: &RecordAnswer) -> String {
        let mut text = format!(
            "member={}; outcome={}; pages={}; resources={}; elapsed_ms={}",
            self.member,
            answer.status.code(),
            answer.pages,
            answer.resources.len(),
            self.elapsed.as_millis()
        );
        if let Some(age) = self.kept_for {
            let _ = write!(text, "; kept_s={}", age.as_secs());
        }
        if let Some(status) = answer.http_status {
            let _ = write!(text, "; http={status}");
        }
        if answer.outside_query > 0 {
            let _ = write!(text, "; outside_query={}", answer.outside_query);
        }
        for (reason, times) in answer.dropped.iter() {
            let _ = write!(text, "; dropped.{}={times}", reason.code());
        }
        text
    }
}

/// How old a kept answer is, in words.
fn age_words(age: Duration) -> String {
    match age.as_secs() {
        1 => "1 second".to_owned(),
        seconds @ ..120 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds / 60),
    }
}

fn grade(status: Status) -> (IssueSeverity, IssueType) {
    use IssueSeverity::{Information, Warning};
    match status {
        Status::Answered | Status::Empty(Emptiness::Nothing) => {
            (Information, IssueType::Informational)
        }
        Status::Empty(Emptiness::PatientUnknown) => (Information, IssueType::NotFound),
        Status::Refused(refusal) => (Warning, refusal_code(refusal)),
        Status::TimedOut => (Warning, IssueType::Timeout),
        Status::Withheld(Withholding::SeveralPatients)
        | Status::NotIdentified(Doubt::Several | Doubt::TooMany) => {
            (Warning, IssueType::MultipleMatches)
        }
        Status::Truncated(_) | Status::NotIdentified(_) => (Warning, IssueType::Incomplete),
        Status::Withheld(_) => (Warning, IssueType::Conflict),
        Status::Unreachable(fault) => (Warning, fault_code(fault)),
        Status::NotAsked(reason) => not_asked_grade(reason),
    }
}

fn refusal_code(refusal: Refusal) -> IssueType {
    match refusal {
        Refusal::Login => IssueType::Login,
        Refusal::Forbidden => IssueType::Forbidden,
        Refusal::Throttled => IssueType::Throttled,
        Refusal::NotServed => IssueType::NotSupported,
    }
}

fn fault_code(fault: Fault) -> IssueType {
    match fault {
        Fault::Connect | Fault::Tls | Fault::Broken | Fault::Unavailable | Fault::CircuitOpen => {
            IssueType::Transient
        }
        Fault::ServerError | Fault::Internal => IssueType::Exception,
        Fault::NotFhir => IssueType::Structure,
    }
}

fn not_asked_grade(reason: NotAsked) -> (IssueSeverity, IssueType) {
    match reason {
        NotAsked::NotPermitted => (IssueSeverity::Information, IssueType::Suppressed),
        NotAsked::OwnOrganization => (IssueSeverity::Information, IssueType::Informational),
        NotAsked::NotTargeted | NotAsked::TooLittleKnown => {
            (IssueSeverity::Information, IssueType::Incomplete)
        }
        NotAsked::NotInDirectory | NotAsked::NotActive | NotAsked::NoEndpoint => {
            (IssueSeverity::Warning, IssueType::Transient)
        }
        NotAsked::TooManyMembers | NotAsked::TooManyRecords => {
            (IssueSeverity::Warning, IssueType::TooCostly)
        }
    }
}

fn sentence(answer: &RecordAnswer) -> String {
    let count = answer.resources.len();
    match answer.status {
        Status::Answered => format!("{count} resources"),
        Status::Empty(Emptiness::Nothing) => "0 resources".to_owned(),
        Status::Empty(Emptiness::PatientUnknown) => "does not know the patient".to_owned(),
        Status::Refused(refusal) => refusal_words(refusal).to_owned(),
        Status::TimedOut if count == 0 => "did not answer in time".to_owned(),
        Status::TimedOut => format!("did not finish in time; {count} resources came before"),
        Status::Truncated(cut) => format!("{count} resources, not all: {}", cut_words(cut)),
        Status::Withheld(withholding) => withholding_words(withholding).to_owned(),
        Status::Unreachable(fault) => fault_words(fault).to_owned(),
        Status::NotIdentified(doubt) => doubt_words(doubt).to_owned(),
        Status::NotAsked(reason) => not_asked_words(reason).to_owned(),
    }
}

pub(super) fn doubt_words(doubt: Doubt) -> &'static str {
    match doubt {
        Doubt::Uncertain => {
            "it may know the patient, but nobody whom it gave is certainly the one; nothing of \
             theirs is shown"
        }
        Doubt::Several => {
            "several of its patients may be the one who is looked for; nothing of theirs is shown"
        }
        Doubt::TooMany => {
            "more of its patients than are looked at may be the one who is looked for"
        }
        Doubt::NoRecordNumber => {
            "whom it gave for the patient has none of its record numbers, so nothing can be asked for"
        }
        Doubt::AnothersRecord => {
            "the record that it gave for the patient is known here as another person's"
        }
    }
}

pub(super) fn refusal_words(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Login => "refused: it does not accept the gateway's authorization",
        Refusal::Forbidden => "refused: it forbids this query",
        Refusal::Throttled => "refused: too many requests for it just now",
        Refusal::NotServed => "refused: it does not serve this query",
    }
}

pub(super) fn fault_words(fault: Fault) -> &'static str {
    match fault {
        Fault::Connect => "could not be reached",
        Fault::Tls => "could not be reached: no secure connection",
        Fault::Broken => "broke off its answer",
        Fault::Unavailable => "is unavailable just now",
        Fault::ServerError => "failed",
        Fault::NotFhir => "gave an answer that is not FHIR",
        Fault::CircuitOpen => "was left alone, after failing several times in a row",
        Fault::Internal => "could not be asked, for a failure inside the gateway",
    }
}

fn withholding_words(withholding: Withholding) -> &'static str {
    match withholding {
        Withholding::IdentityContradicted => {
            "answer withheld: it is about somebody else than the patient asked for"
        }
        Withholding::IdentifierNotEchoed => {
            "answer withheld: it does not carry the identifier asked for"
        }
        Withholding::OthersDataAlone => {
            "answer withheld: nothing in it is about the patient asked for"
        }
        Withholding::NotConfirmed => {
            "answer withheld: the patient was only found there, and what it tells of them now is \
             too little to confirm it"
        }
        Withholding::SeveralPatients => {
            "answer withheld: several of its patients carry the identifier asked for"
        }
    }
}

fn cut_words(cut: Cut) -> &'static str {
    match cut {
        Cut::Deadline => "the deadline passed",
        Cut::Pages => "more pages than are read",
        Cut::Bytes => "more bytes than are read",
        Cut::Resources => "more resources than are read",
        Cut::NextElsewhere => "its next page leads to another server",
        Cut::NextRepeats => "its pages repeat without end",
        Cut::NextUnsafe => "its next pages hold other patients, so they are not read",
        Cut::Failed(fault) => fault_words(fault),
        Cut::Refused(refusal) => refusal_words(refusal),
        Cut::NoRoom => "the gateway had no room left for more just now",
        Cut::SaidIncomplete => "it says so itself",
    }
}

fn not_asked_words(reason: NotAsked) -> &'static str {
    match reason {
        NotAsked::NotPermitted => "not asked: not permitted",
        NotAsked::NotInDirectory => "not asked: not in the directory",
        NotAsked::NotActive => "not asked: not active in the exchange",
        NotAsked::NoEndpoint => "not asked: it has no FHIR endpoint",
        NotAsked::TooManyMembers => "not asked: too many members for one query",
        NotAsked::TooManyRecords => "not asked for every record: too many for one query",
        NotAsked::OwnOrganization => "not asked: the requester's own organization",
        NotAsked::NotTargeted => {
            "not asked: nothing points to records there, and it is not asked for everybody"
        }
        NotAsked::TooLittleKnown => {
            "not asked: too little is known of the patient to look for them there"
        }
    }
}

#[cfg(test)]
mod tests {
    use IssueSeverity::{Information, Warning};

    use super::*;
    use crate::{domain::MemberCode, federation::outcome::Gap};

    fn outcome(answer: RecordAnswer) -> MemberOutcome {
        MemberOutcome {
            member: MemberCode::parse("mercy").expect("a code"),
            name: "Mercy Hospital".to_owned(),
            organization: "urn:oid:1.2.3".to_owned(),
            base_url: "https://mercy.example/fhir".to_owned(),
            elapsed: Duration::from_millis(412),
            kept_for: None,
            mark: None,
            answers: vec![answer],
        }
    }

    #[test]
    fn every_status_has_its_code_of_the_searchset_rules() {
        let check = |status: Status, severity: IssueSeverity, code: IssueType| {
            let issues = outcome(RecordAnswer::without_patient(Vec::new(), status)).issues();
            assert_eq!((issues[0].severity, issues[0].code), (severity, code), "{status:?}");
        };
        check(Status::Answered, Information, IssueType::Informational);
        check(Status::Empty(Emptiness::PatientUnknown), Information, IssueType::NotFound);
        check(Status::Refused(Refusal::Login), Warning, IssueType::Login);
        check(Status::Refused(Refusal::Throttled), Warning, IssueType::Throttled);
        check(Status::TimedOut, Warning, IssueType::Timeout);
        check(Status::Truncated(Cut::Pages), Warning, IssueType::Incomplete);
        let several = Status::Withheld(Withholding::SeveralPatients);
        check(several, Warning, IssueType::MultipleMatches);
        check(Status::Unreachable(Fault::Tls), Warning, IssueType::Transient);
        check(Status::Unreachable(Fault::NotFhir), Warning, IssueType::Structure);
        let own = Status::NotAsked(NotAsked::OwnOrganization);
        check(own, Information, IssueType::Informational);
    }

    #[test]
    fn a_member_that_the_permit_excludes_is_passed_over() {
        let status = Status::NotAsked(NotAsked::NotPermitted);
        assert!(outcome(RecordAnswer::without_patient(Vec::new(), status)).issues().is_empty());
    }

    #[test]
    fn gaps_and_doubts_are_told_beside_the_status() {
        let mut answer = RecordAnswer::without_patient(Vec::new(), Status::Truncated(Cut::Pages));
        answer.dropped.count(crate::federation::DropReason::ForeignSubject, 3);
        let gap = Gap {
            resource_type: Some("Goal".to_owned()),
            cut: Cut::Failed(Fault::ServerError),
            http_status: Some(500),
        };
        answer.gaps.push(gap);
        let issues = outcome(answer).issues();
        let texts: Vec<_> =
            issues.iter().filter_map(|issue| Some(issue.details.as_ref()?.text.as_str())).collect();
        assert_eq!(
            texts,
            [
                "Mercy Hospital: 0 resources, not all: more pages than are read",
                "Mercy Hospital: 3 resources withheld that could not be shown to be this patient's",
                "Mercy Hospital: Goal incomplete: failed",
            ]
        );
        assert_eq!(
            issues[0].diagnostics.as_deref(),
            Some(
                "member=mercy; outcome=truncated; pages=0; resources=0; elapsed_ms=412; \
                 dropped.foreign-subject=3"
            )
        );
    }

    #[test]
    fn a_kept_answer_tells_its_age() {
        let told = |seconds| {
            let answer = RecordAnswer::without_patient(Vec::new(), Status::Answered);
            let kept_for = Some(Duration::from_secs(seconds));
            let issue = MemberOutcome { kept_for, ..outcome(answer) }.issues().remove(0);
            (issue.details.expect("words").text, issue.diagnostics.expect("told"))
        };
        assert_eq!(told(42).0, "Mercy Hospital: 0 resources, as it answered 42 seconds ago");
        assert!(told(1).0.ends_with("1 second ago") && told(185).0.ends_with("3 minutes ago"));
        assert!(told(42).1.ends_with("elapsed_ms=412; kept_s=42"));
    }

    #[test]
    fn the_gravest_answer_speaks_for_the_member() {
        let mut both = outcome(RecordAnswer::without_patient(Vec::new(), Status::Answered));
        let withheld = Status::Withheld(Withholding::IdentityContradicted);
        both.answers.push(RecordAnswer::without_patient(Vec::new(), withheld));
        assert_eq!(both.status(), withheld);
    }
}

//! A person as one row of a CSV file tells of it, by the columns of `tessera synth` and `tessera link`.

use std::collections::HashMap;

use crate::domain::{
    Address, Demographics, Identifier, IdentifierKind, IdentifierUse, LocalId, Name, PartialDate,
    Sex,
};

/// Every column that such a file may have.
pub(super) const COLUMNS: [&str; 17] = [
    "record_id",
    "source",
    "cluster_id",
    "given",
    "middle",
    "family",
    "suffix",
    "sex",
    "birth_date",
    "ssn",
    "phone",
    "email",
    "address_line",
    "city",
    "state",
    "postal_code",
    "mrn",
];

/// Values by column.
pub(super) type Row = HashMap<String, String>;

/// What a row tells, and what in it could not be understood.
pub(super) struct RowReading {
    /// All that could be read.
    pub(super) demographics: Demographics,
    /// Columns at fault and the rule they break; never the value.
    pub(super) faults: Vec<&'static str>,
}

/// Reads a row as a feed would tell it. `number` is the record's own, where it has a namespace; `mrn`
/// is one of none, where it is another.
pub(super) fn read_row(row: &Row, number: Option<&LocalId>) -> RowReading {
    let told = |column: &str| row.get(column).map(|value| value.trim()).unwrap_or_default();
    let list = |column: &str| match told(column) {
        "" => Vec::new(),
        value => vec![value.to_owned()],
    };
    let mut faults = Vec::new();
    let birth_date = match told("birth_date") {
        "" => None,
        text => PartialDate::parse(text).map_err(|_| faults.push(NO_DATE)).ok(),
    };
    let sex = match told("sex").to_ascii_lowercase().as_str() {
        "m" | "male" => Some(Sex::Male),
        "f" | "female" => Some(Sex::Female),
        "o" | "other" => Some(Sex::Other),
        "" | "u" | "unknown" => None,
        _ => {
            faults.push("sex: not one of M, F, O, U");
            None
        }
    };
    let name = Name {
        family: told("family").to_owned(),
        given: [list("given"), list("middle")].concat(),
        suffixes: list("suffix"),
        ..Name::default()
    };
    if name.family.is_empty() && name.given.is_empty() {
        faults.push("given, family: the patient has no name");
    }
    let demographics = Demographics {
        names: vec![name],
        birth_date,
        sex,
        addresses: vec![Address {
            lines: list("address_line"),
            city: told("city").to_owned(),
            state: told("state").to_owned(),
            postal_code: told("postal_code").to_owned(),
            ..Address::default()
        }],
        phones: list("phone"),
        emails: list("email"),
        identifiers: identifiers(told("ssn"), told("mrn"), number),
        ..Demographics::default()
    };
    RowReading { demographics, faults }
}

const NO_DATE: &str = "birth_date: not a date of the calendar, as YYYY, YYYY-MM or YYYY-MM-DD";

fn identifiers(ssn: &str, mrn: &str, number: Option<&LocalId>) -> Vec<Identifier> {
    let identifier = |kind, system: &str, value: &str| Identifier {
        kind,
        system: system.to_owned(),
        value: value.to_owned(),
        identifier_use: IdentifierUse::Current,
    };
    let own = number.map(|id| identifier(IdentifierKind::MedicalRecord, id.system(), id.value()));
    let is_own = number.is_some_and(|id| id.value() == mrn);
    let other =
        (!mrn.is_empty() && !is_own).then(|| identifier(IdentifierKind::MedicalRecord, "", mrn));
    let ssn = (!ssn.is_empty()).then(|| identifier(IdentifierKind::SocialSecurity, "", ssn));
    ssn.into_iter().chain(own).chain(other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(columns: &[(&str, &str)]) -> Row {
        columns.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_a_row_tells_wrongly_is_named_by_its_column() {
        let good = row(&[("family", "Lee"), ("sex", "female"), ("birth_date", "1984-03")]);
        assert!(read_row(&good, None).faults.is_empty());
        for (column, value) in [("birth_date", "1984-02-30"), ("sex", "woman"), ("family", "")] {
            let mut bad = good.clone();
            bad.insert(column.to_owned(), value.to_owned());
            let faults = read_row(&bad, None).faults;
            assert_eq!(faults.len(), 1, "{column}");
            assert!(faults[0].contains(column), "{faults:?}");
            assert!(value.is_empty() || !faults[0].contains(value), "no patient data");
        }
    }

    #[test]
    fn a_number_is_told_once_in_its_namespace() {
        let told = row(&[("family", "Lee"), ("mrn", "H1"), ("ssn", "871-27-2195")]);
        let number = LocalId::parse("urn:x", "H1").expect("an identifier");
        let own = read_row(&told, Some(&number)).demographics.identifiers;
        assert_eq!(own.len(), 2);
        assert_eq!((own[1].system.as_str(), own[1].value.as_str()), ("urn:x", "H1"));
        let other = LocalId::parse("urn:x", "7").expect("an identifier");
        assert_eq!(read_row(&told, Some(&other)).demographics.identifiers.len(), 3);
    }
}

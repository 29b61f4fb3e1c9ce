//! A population told in full, for tests that compare two.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Population, RecordNo,
    columns::{Columns, Field, NameRow, PlaceRow},
    counts::{Occurrences, SHARED_FIELDS},
};

impl Population {
    /// Everything about these entries, which are called by other numbers, and what was counted: line by
    /// line, by texts and not by the numbers that they happen to have.
    pub(crate) fn dump(&self, called: &BTreeMap<RecordNo, u32>) -> Vec<String> {
        let mut lines = Vec::new();
        for (entry, name) in called {
            let found: BTreeSet<u32> = self
                .candidates(&self.probe_of(*entry))
                .into_iter()
                .filter_map(|other| called.get(&other).copied())
                .collect();
            let judged = found.iter().map(|other| {
                let (other, _) = called.iter().find(|(_, name)| *name == other).expect("found");
                format!("{:?}", self.compare_records(*entry, *other))
            });
            lines.push(format!(
                "entry {name} {} {found:?} {:?}",
                self.spelled(*entry),
                judged.collect::<Vec<_>>()
            ));
        }
        lines.push(format!("counted {} {}", self.counts.records, self.counts.dated));
        let counts = &self.counts;
        for (what, field, counted) in [
            ("given", Field::Name, &counts.given),
            ("family", Field::Name, &counts.family),
            ("city", Field::Area, &counts.cities),
            ("postal code", Field::Area, &counts.postal_codes),
        ] {
            lines.extend(of_texts(&self.columns, what, field, counted));
        }
        for (field, held) in SHARED_FIELDS.into_iter().zip(&counts.holders) {
            let held = held.iter().map(|held| u32::from(held.people())).collect();
            let counted = Occurrences { of: held, total: 0 };
            lines.extend(of_texts(&self.columns, "holders", field, &counted));
        }
        let dates: BTreeMap<u32, u32> =
            counts.dates.iter().map(|(date, count)| (date.0, *count)).collect();
        lines.push(format!("dates {dates:?}"));
        lines.sort_unstable();
        lines
    }

    fn spelled(&self, entry: RecordNo) -> String {
        let (view, side) = (self.columns.view(), self.columns.side(entry.0));
        let text = |field, id| String::from_utf8_lossy(view.text(field, id)).into_owned();
        let name = |name: &NameRow| {
            let parts = view.family_parts(name).map(|part| text(Field::Name, part));
            let told = [name.given, name.middle, name.family].map(|id| text(Field::Name, id));
            (told, parts, format!("{:?} {:?}", name.suffix, name.newborn))
        };
        let place = |place: &PlaceRow| {
            let street = [place.number, place.street, place.unit].map(|id| text(Field::Street, id));
            let area = [place.city, place.postal_code].map(|id| text(Field::Area, id));
            (street, area, place.building != 0)
        };
        let numbers = side.record_numbers().chain(side.identifiers());
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {} {}",
            side.names().map(name).collect::<Vec<_>>(),
            side.places().map(place).collect::<Vec<_>>(),
            side.ssns()
                .map(|ssn| [ssn.whole, ssn.last_four].map(|id| text(Field::Ssn, id)))
                .collect::<Vec<_>>(),
            side.phones().map(|id| text(Field::Phone, id)).collect::<Vec<_>>(),
            side.emails().map(|id| text(Field::Email, id)).collect::<Vec<_>>(),
            numbers
                .map(|id| String::from_utf8_lossy(&view.number(id)).into_owned())
                .collect::<Vec<_>>(),
            side.row.birth_date.0,
            side.row.sex,
            side.row.birth_order,
        )
    }
}

fn of_texts(
    columns: &Columns,
    what: &str,
    field: Field,
    counted: &Occurrences,
) -> impl Iterator<Item = String> {
    let lexicon = columns.lexicon(field);
    let counted = counted.of.iter().enumerate().filter(|(_, count)| **count > 0);
    counted.map(move |(id, count)| {
        let text = match field {
            // Two numbers; what they name is told by the places.
            Field::Building => String::new(),
            _ => String::from_utf8_lossy(lexicon.text(id as u32)).into_owned(),
        };
        format!("{what} {field:?} {text} {count}")
    })
}

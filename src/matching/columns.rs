//! Normalized records in memory: fixed-size rows of interned values, histories beside them.

mod intern;

use super::{
    chunked::Chunked,
    kept::{Kept, Sink, Source, kept},
    lexicon::Lexicon,
    nicknames,
    normalize::{BirthDate, NAMESPACE_END, Newborn, NormalizedRecord, Suffix, namespace_of},
    sketch::{Digits, Ends, Letters},
};
use intern::{Interner as _, KeptNumber, Probing, intern};

/// The fields that have a lexicon of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Name,
    /// Cities and postal codes.
    Area,
    /// Street names, house numbers and units.
    Street,
    /// House number and street together, as the pair of their numbers.
    Building,
    Ssn,
    Phone,
    Email,
    Number,
}

const FIELDS: usize = 8;

/// Marks the number of a value that only a probe holds, not the population.
const LOCAL: u32 = 1 << 31;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NameRow {
    pub(crate) given: u32,
    pub(crate) middle: u32,
    /// The whole surname, its parts joined.
    pub(crate) family: u32,
    /// Where the parts of a surname of several stand; 0 where it has one.
    parts: u32,
    pub(crate) suffix: Suffix,
    pub(crate) newborn: Newborn,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PlaceRow {
    pub(crate) number: u32,
    pub(crate) street: u32,
    pub(crate) unit: u32,
    pub(crate) city: u32,
    pub(crate) postal_code: u32,
    pub(crate) building: u32,
}

/// One record's first value of every attribute, and where the further ones stand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Row {
    pub(crate) name: NameRow,
    pub(crate) place: PlaceRow,
    pub(crate) birth_date: BirthDate,
    pub(crate) ssn: SsnRow,
    pub(crate) phone: u32,
    pub(crate) email: u32,
    pub(crate) record_number: u32,
    pub(crate) identifier: u32,
    /// Where the further values stand, plus one; 0 for none.
    more: u32,
    pub(crate) sex: u8,
    pub(crate) birth_order: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SsnRow {
    pub(crate) whole: u32,
    pub(crate) last_four: u32,
}

/// The further values of one record: former names, old addresses, second phones.
#[derive(Clone, Debug, Default)]
pub(crate) struct More {
    pub(crate) names: Vec<NameRow>,
    pub(crate) places: Vec<PlaceRow>,
    pub(crate) ssns: Vec<SsnRow>,
    pub(crate) phones: Vec<u32>,
    pub(crate) emails: Vec<u32>,
    pub(crate) record_numbers: Vec<u32>,
    pub(crate) identifiers: Vec<u32>,
}

impl More {
    const fn none() -> Self {
        Self {
            names: Vec::new(),
            places: Vec::new(),
            ssns: Vec::new(),
            phones: Vec::new(),
            emails: Vec::new(),
            record_numbers: Vec::new(),
            identifiers: Vec::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty()
            && self.places.is_empty()
            && self.ssns.is_empty()
            && self.phones.is_empty()
            && self.emails.is_empty()
            && self.record_numbers.is_empty()
            && self.identifiers.is_empty()
    }
}

static NO_MORE: More = More::none();

/// A record to compare: its row and its further values.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) row: &'a Row,
    pub(crate) more: &'a More,
}

impl<'a> Side<'a> {
    pub(crate) fn names(self) -> impl Iterator<Item = &'a NameRow> + Clone {
        std::iter::once(&self.row.name).chain(&self.more.names)
    }

    pub(crate) fn places(self) -> impl Iterator<Item = &'a PlaceRow> + Clone {
        std::iter::once(&self.row.place).chain(&self.more.places)
    }

    pub(crate) fn ssns(self) -> impl Iterator<Item = &'a SsnRow> + Clone {
        std::iter::once(&self.row.ssn).chain(&self.more.ssns)
    }

    pub(crate) fn phones(self) -> impl Iterator<Item = u32> + Clone + 'a {
        std::iter::once(self.row.phone).chain(self.more.phones.iter().copied())
    }

    pub(crate) fn emails(self) -> impl Iterator<Item = u32> + Clone + 'a {
        std::iter::once(self.row.email).chain(self.more.emails.iter().copied())
    }

    pub(crate) fn record_numbers(self) -> impl Iterator<Item = u32> + Clone + 'a {
        std::iter::once(self.row.record_number).chain(self.more.record_numbers.iter().copied())
    }

    pub(crate) fn identifiers(self) -> impl Iterator<Item = u32> + Clone + 'a {
        std::iter::once(self.row.identifier).chain(self.more.identifiers.iter().copied())
    }
}

/// The values of a population.
#[derive(Clone, Default)]
pub(crate) struct Columns {
    lexicons: [Lexicon; FIELDS],
    family_parts: Vec<[u32; 4]>,
    /// The nickname clusters of each name, by its number.
    nicknames: Vec<&'static [u16]>,
    /// A sketch of each value, by its number: of a name or a street its [`Letters`], of a social
    /// security number its [`Digits`], of a phone or e-mail address its [`Ends`], of another number
    /// its namespace.
    sketches: [Vec<u32>; FIELDS],
    namespaces: Lexicon,
    rows: Chunked<Row>,
    more: Vec<More>,
}

/// Values that only a probe holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Local {
    texts: [Vec<Vec<u8>>; FIELDS],
    family_parts: Vec<[u32; 4]>,
    more: Vec<More>,
}

static NO_LOCAL: Local =
    Local { texts: [const { Vec::new() }; FIELDS], family_parts: Vec::new(), more: Vec::new() };

impl Columns {
    /// The number of a name, for tables of names known beforehand.
    pub(crate) fn intern_name(&mut self, name: &str) -> u32 {
        self.value(Field::Name, name.as_bytes())
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn lexicon(&self, field: Field) -> &Lexicon {
        &self.lexicons[field as usize]
    }

    pub(crate) fn rows(&self) -> &Chunked<Row> {
        &self.rows
    }

    pub(crate) fn push(&mut self, record: &NormalizedRecord) -> u32 {
        let row = intern(self, record);
        self.rows.push(row);
        self.rows.len() as u32 - 1
    }

    pub(crate) fn replace(&mut self, number: u32, record: &NormalizedRecord) {
        self.forget(number);
        let row = intern(self, record);
        self.rows[number as usize] = row;
    }

    /// Empties a row; its number is not given again.
    pub(crate) fn forget(&mut self, number: u32) {
        let row = std::mem::take(&mut self.rows[number as usize]);
        if row.more != 0 {
            self.more[row.more as usize - 1] = More::none();
        }
    }

    #[inline]
    pub(crate) fn side(&self, number: u32) -> Side<'_> {
        self.view().side(&self.rows[number as usize])
    }

    #[inline]
    pub(crate) fn view(&self) -> View<'_> {
        View { columns: self, local: &NO_LOCAL }
    }

    /// The number of a value, where the population knows it.
    fn find(&self, field: Field, text: &[u8]) -> Option<u32> {
        if field == Field::Number && !text.is_empty() {
            let namespace = self.namespaces.find(namespace_of(text))?;
            return self.lexicons[field as usize].find(&KeptNumber::of(namespace, text).0);
        }
        self.lexicons[field as usize].find(text)
    }

    fn sketch(&self, field: Field, text: &[u8]) -> u32 {
        match field {
            Field::Name | Field::Street => Letters::of(text).bits(),
            Field::Ssn => Digits::of(text).bits(),
            Field::Phone | Field::Email => Ends::of(text).bits(),
            Field::Number => self.namespaces.find(namespace_of(text)).unwrap_or_default(),
            Field::Area | Field::Building => 0,
        }
    }

    /// Interns a record for comparing only: what the population does not know stays in `local`.
    pub(crate) fn probe(&self, record: &NormalizedRecord, local: &mut Local) -> Row {
        intern(&mut Probing { columns: self, local }, record)
    }
}

/// Reads values of the population and of a probe alike.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    columns: &'a Columns,
    local: &'a Local,
}

impl<'a> View<'a> {
    pub(crate) fn with_local(columns: &'a Columns, local: &'a Local) -> Self {
        Self { columns, local }
    }

    #[inline]
    pub(crate) fn side(self, row: &'a Row) -> Side<'a> {
        let more = match row.more {
            0 => &NO_MORE,
            place if place & LOCAL != 0 => &self.local.more[(place & !LOCAL) as usize],
            place => &self.columns.more[place as usize - 1],
        };
        Side { row, more }
    }

    #[inline]
    pub(crate) fn text(self, field: Field, id: u32) -> &'a [u8] {
        if id & LOCAL == 0 {
            self.columns.lexicons[field as usize].text(id)
        } else {
            &self.local.texts[field as usize][(id & !LOCAL) as usize]
        }
    }

    #[inline]
    pub(crate) fn name(self, id: u32) -> &'a [u8] {
        self.text(Field::Name, id)
    }

    /// The letters of a name or a street.
    #[inline]
    pub(crate) fn letters(self, field: Field, id: u32) -> Letters {
        match self.sketch(field, id) {
            Some(bits) => Letters::from_bits(bits),
            None => Letters::of(self.text(field, id)),
        }
    }

    /// The digits of a social security number.
    #[inline]
    pub(crate) fn digits(self, id: u32) -> Digits {
        match self.sketch(Field::Ssn, id) {
            Some(bits) => Digits::from_bits(bits),
            None => Digits::of(self.text(Field::Ssn, id)),
        }
    }

    /// The ends of a phone or e-mail address.
    #[inline]
    pub(crate) fn ends(self, field: Field, id: u32) -> Ends {
        match self.sketch(field, id) {
            Some(bits) => Ends::from_bits(bits),
            None => Ends::of(self.text(field, id)),
        }
    }

    /// Whether two identifiers are of one namespace.
    #[inline]
    pub(crate) fn are_of_one_namespace(self, a: u32, b: u32) -> bool {
        self.namespace(a) == self.namespace(b)
    }

    /// The number of an identifier's namespace, or what it is called where nobody knew it.
    #[inline]
    fn namespace(self, id: u32) -> Result<u32, &'a [u8]> {
        self.sketch(Field::Number, id).ok_or(()).or_else(|()| {
            let namespace = namespace_of(self.text(Field::Number, id));
            self.columns.namespaces.find(namespace).ok_or(namespace)
        })
    }

    /// An identifier as it was normalized: its namespace and its value.
    pub(crate) fn number(self, id: u32) -> Vec<u8> {
        let text = self.text(Field::Number, id);
        match self.sketch(Field::Number, id) {
            Some(namespace) if id != 0 => {
                let value = &text[KeptNumber::prefix(namespace).len()..];
                let namespace = self.columns.namespaces.text(namespace);
                [namespace, &[NAMESPACE_END as u8], value].concat()
            }
            _ => text.to_vec(),
        }
    }

    #[inline]
    fn sketch(self, field: Field, id: u32) -> Option<u32> {
        self.columns.sketches[field as usize].get(id as usize).copied()
    }

    /// The parts of a surname in order, zeros behind the last.
    pub(crate) fn family_parts(self, name: &NameRow) -> [u32; 4] {
        match name.parts {
            0 => [name.family, 0, 0, 0],
            place if place & LOCAL != 0 => self.local.family_parts[(place & !LOCAL) as usize],
            place => self.columns.family_parts[place as usize - 1],
        }
    }

    pub(crate) fn has_family_parts(name: &NameRow) -> bool {
        name.parts != 0
    }

    /// Whether the nickname table holds two names to be forms of one.
    #[inline]
    pub(crate) fn are_nicknames(self, a: u32, b: u32) -> bool {
        let (a, b) = (self.nicknames(a), self.nicknames(b));
        !a.is_empty() && !b.is_empty() && a.iter().any(|cluster| b.contains(cluster))
    }

    fn nicknames(self, id: u32) -> &'static [u16] {
        if id & LOCAL == 0 {
            self.columns.nicknames.get(id as usize).copied().unwrap_or_default()
        } else {
            std::str::from_utf8(self.name(id)).map_or(&[], nicknames::clusters)
        }
    }
}

kept!(NameRow { given, middle, family, parts, suffix, newborn });
kept!(PlaceRow { number, street, unit, city, postal_code, building });
kept!(SsnRow { whole, last_four });
kept!(Row {
    name,
    place,
    birth_date,
    ssn,
    phone,
    email,
    record_number,
    identifier,
    more,
    sex,
    birth_order,
});
kept!(More { names, places, ssns, phones, emails, record_numbers, identifiers });

impl Kept for Columns {
    fn keep(&self, out: &mut Sink<'_>) {
        let Self { lexicons, family_parts, nicknames: _, sketches, namespaces, rows, more } = self;
        lexicons.keep(out);
        family_parts.keep(out);
        sketches.keep(out);
        namespaces.keep(out);
        rows.keep(out);
        more.keep(out);
    }

    fn read(from: &mut Source<'_>) -> Option<Self> {
        let lexicons: [Lexicon; FIELDS] = Kept::read(from)?;
        let names = &lexicons[Field::Name as usize];
        let clusters =
            |id| std::str::from_utf8(names.text(id)).map_or(&[][..], nicknames::clusters);
        let nicknames = (0..names.len() as u32).map(clusters).collect();
        Some(Self {
            lexicons,
            family_parts: Kept::read(from)?,
            nicknames,
            sketches: Kept::read(from)?,
            namespaces: Kept::read(from)?,
            rows: Kept::read(from)?,
            more: Kept::read(from)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::normalize::FlatRecord;

    #[test]
    fn a_probe_shares_numbers_with_the_population_and_keeps_its_own_apart() {
        let mut columns = Columns::default();
        let row = |given, family| {
            NormalizedRecord::from_flat(&FlatRecord { given, family, ..FlatRecord::default() })
        };
        columns.push(&row("Ann", "Lee-Poe"));
        let mut local = Local::default();
        let probe = columns.probe(&row("Ann", "Zabriskie-Poe"), &mut local);
        let view = View::with_local(&columns, &local);
        assert_eq!(probe.name.given, columns.rows()[0].name.given);
        assert_eq!(view.name(probe.name.family), b"ZABRISKIEPOE");
        let parts = view.family_parts(&probe.name);
        assert_eq!(view.name(parts[0]), b"ZABRISKIE");
        assert_eq!(parts[1], view.family_parts(&columns.rows()[0].name)[1]);
        let bill = columns.probe(&row("Bill", "William"), &mut Local::clone(&local)).name;
        let local = {
            let mut l = local.clone();
            columns.probe(&row("Bill", "William"), &mut l);
            l
        };
        let view = View::with_local(&columns, &local);
        assert!(view.are_nicknames(bill.given, bill.family));
        assert!(!view.are_nicknames(bill.given, probe.name.given));
    }

    #[test]
    fn an_identifier_is_kept_short_and_told_in_full() {
        use crate::domain::{Demographics, Identifier, IdentifierKind, IdentifierUse};
        let told = |system: &str, value: &str| {
            NormalizedRecord::from_demographics(&Demographics {
                identifiers: vec![Identifier {
                    kind: IdentifierKind::MedicalRecord,
                    system: system.to_owned(),
                    value: value.to_owned(),
                    identifier_use: IdentifierUse::Current,
                }],
                ..Demographics::default()
            })
        };
        let mut columns = Columns::default();
        let systems: Vec<String> = (0..300).map(|n| format!("urn:hospital:{n}")).collect();
        for system in &systems {
            columns.push(&told(system, "H488007815"));
        }
        for (number, system) in systems.iter().enumerate() {
            let mut local = Local::default();
            let probe = columns.probe(&told(system, "h-488007815"), &mut local);
            let id = columns.rows()[number].record_number;
            assert_eq!(probe.record_number, id);
            let expected = format!("MR|{system}\u{1f}H488007815");
            assert_eq!(columns.view().number(id), expected.as_bytes());
            assert!(columns.view().are_of_one_namespace(id, id));
        }
        let numbers = |at: usize| columns.rows()[at].record_number;
        assert!(!columns.view().are_of_one_namespace(numbers(0), numbers(299)));
        // One that only a probe holds, of a namespace that nobody knew, and one that many know.
        let mut local = Local::default();
        let strange = columns.probe(&told("urn:elsewhere", "97"), &mut local).record_number;
        let other = columns.probe(&told("urn:hospital:1", "97"), &mut local).record_number;
        let view = View::with_local(&columns, &local);
        assert_eq!(view.number(strange), b"MR|urn:elsewhere\x1f97");
        assert!(!view.are_of_one_namespace(strange, numbers(1)));
        assert!(view.are_of_one_namespace(other, numbers(1)));
    }
}

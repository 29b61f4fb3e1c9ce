//! XPN: names.

use super::{Part, Segment, Timestamp, Told};
use crate::domain::{Name, NameUse, PartialDate};

/// PID-5 and the aliases of PID-9, which are one list here: a message that tells either replaces it.
pub(super) fn names(pid: Segment<'_>, today: PartialDate) -> Told<Vec<Name>> {
    let (names, aliases) = (pid.field(5), pid.field(9));
    let own = names.repetitions().filter_map(|name| read(name, NameUse::Usual, today));
    let others = aliases.repetitions().filter_map(|name| read(name, NameUse::Nickname, today));
    let told: Vec<Name> = own.chain(others).collect();
    match (told.is_empty(), names.is_null()) {
        (false, _) => Told::Value(told),
        (true, true) => Told::Deleted,
        (true, false) => Told::Nothing,
    }
}

/// PID-6.
pub(super) fn mothers_maiden_name(part: Part<'_>) -> Option<String> {
    let family = family(part);
    (!family.is_empty()).then_some(family)
}

fn read(xpn: Part<'_>, otherwise: NameUse, today: PartialDate) -> Option<Name> {
    let text = |number| xpn.component(number).text().into_owned();
    let list = |numbers: &[usize]| -> Vec<String> {
        numbers.iter().map(|number| text(*number)).filter(|told| !told.is_empty()).collect()
    };
    let mut name_use = match text(7).to_ascii_uppercase().as_str() {
        "L" | "R" | "I" => NameUse::Official,
        "D" | "U" => NameUse::Usual,
        "M" => NameUse::Maiden,
        "N" | "A" => NameUse::Nickname,
        "S" => NameUse::Anonymous,
        "B" | "BAD" | "NOUSE" => NameUse::Old,
        "TEMP" => NameUse::Temp,
        // The father's, or the partner's: another person's.
        "F" | "P" => return None,
        _ => otherwise,
    };
    let ended = Timestamp::parse(&xpn.component(13).text()).map(Timestamp::date);
    if ended.is_some_and(|day| day < today) && name_use != NameUse::Maiden {
        name_use = NameUse::Old;
    }
    let name = Name {
        name_use,
        family: family(xpn),
        given: list(&[2, 3]),
        prefixes: list(&[5]),
        suffixes: list(&[4, 6, 14]),
        text: String::new(),
    };
    let told = !name.family.is_empty() || !name.given.is_empty();
    told.then_some(name)
}

/// FN: the whole surname, or else the person's own part of it.
fn family(xpn: Part<'_>) -> String {
    let whole = xpn.subcomponent(1).text();
    if whole.is_empty() { xpn.subcomponent(3).text().into_owned() } else { whole.into_owned() }
}

//! The elements of each type of FHIR R4, in the order of their definitions.

use std::{collections::HashMap, sync::LazyLock};

use foldhash::fast::FixedState;

/// Written by `generate.py`, which says what it means.
const R4: &str = include_str!("r4.txt");
const EXTENSION: &str = "Extension";

static TABLE: LazyLock<Table> = LazyLock::new(Table::read);

/// What an element holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A primitive that JSON writes as a string.
    Text,
    /// A primitive that JSON writes as a number.
    Number,
    Boolean,
    /// The XHTML of a narrative.
    Xhtml,
    /// Any resource.
    Resource,
    /// Elements of its own: the type's place in the table.
    Elements(u16),
}

pub(super) struct Element {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) many: bool,
}

/// A type: a resource, a data type, or a part of either.
pub(super) struct Type {
    pub(super) name: &'static str,
    pub(super) is_resource: bool,
    pub(super) elements: Vec<Element>,
    by_name: HashMap<&'static str, u16, FixedState>,
}

impl Type {
    /// An element's place.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).map(|place| usize::from(*place))
    }

    /// Whether XML writes this element as an attribute: the id of what is no resource, the url of an
    /// extension.
    pub(super) fn is_attribute(&self, element: &str) -> bool {
        !self.is_resource && (element == "id" || element == "url" && self.name == EXTENSION)
    }
}

struct Table {
    types: Vec<Type>,
    resources: HashMap<&'static str, u16, FixedState>,
    element: u16,
}

/// The type at a place.
pub(super) fn type_at(place: u16) -> &'static Type {
    &TABLE.types[usize::from(place)]
}

/// A type of resource.
pub(super) fn resource_type(name: &str) -> Option<&'static Type> {
    TABLE.resources.get(name).map(|place| type_at(*place))
}

/// What the extension of a primitive is: an id and extensions.
pub(super) fn plain_element() -> &'static Type {
    type_at(TABLE.element)
}

/// Every type of resource.
#[cfg(test)]
pub(super) fn resource_types() -> impl Iterator<Item = &'static Type> {
    TABLE.types.iter().filter(|one| one.is_resource)
}

impl Table {
    fn read() -> Self {
        let name_of = |line: &'static str| {
            let name = line.split(' ').next().unwrap_or_default();
            name.strip_suffix('!').unwrap_or(name)
        };
        let places: HashMap<&str, u16, FixedState> =
            R4.lines().enumerate().map(|(place, line)| (name_of(line), place as u16)).collect();
        let open_types: Vec<(&'static str, &'static str)> = R4
            .lines()
            .find(|line| name_of(line) == EXTENSION)
            .into_iter()
            .flat_map(|line| line.split(' '))
            .filter_map(|word| word.strip_prefix("value")?.split_once(':'))
            .collect();
        let types: Vec<Type> =
            R4.lines().map(|line| read_type(line, &places, &open_types)).collect();
        let resources = types.iter().enumerate().filter(|(_, one)| one.is_resource);
        let resources = resources.map(|(place, one)| (one.name, place as u16)).collect();
        Self { element: places["Element"], resources, types }
    }
}

fn read_type(
    line: &'static str,
    places: &HashMap<&str, u16, FixedState>,
    open_types: &[(&'static str, &'static str)],
) -> Type {
    let mut words = line.split(' ');
    let name = words.next().unwrap_or_default();
    let kind = |kind: &str| match kind {
        "s" => Kind::Text,
        "n" => Kind::Number,
        "b" => Kind::Boolean,
        "x" => Kind::Xhtml,
        "r" => Kind::Resource,
        name => Kind::Elements(places[name]),
    };
    let mut elements = Vec::new();
    for word in words {
        if let Some(stem) = word.strip_suffix("[x]") {
            let choices = open_types.iter().map(|(suffix, told)| Element {
                // Some fifty names, once a process.
                name: String::leak(format!("{stem}{suffix}")),
                kind: kind(told),
                many: false,
            });
            elements.extend(choices);
        } else if let Some((name, told)) = word.split_once(':') {
            let (told, many) = told.strip_suffix('*').map_or((told, false), |told| (told, true));
            elements.push(Element { name, kind: kind(told), many });
        }
    }
    let by_name = elements.iter().enumerate();
    let by_name = by_name.map(|(place, element)| (element.name, place as u16)).collect();
    let is_resource = name.ends_with('!');
    Type { name: name.trim_end_matches('!'), is_resource, elements, by_name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_r4() {
        let patient = resource_type("Patient").expect("a resource");
        let names: Vec<&str> = patient.elements.iter().map(|one| one.name).collect();
        assert_eq!(names[..4], ["id", "meta", "implicitRules", "language"]);
        let birth_date = &patient.elements[patient.place("birthDate").expect("an element")];
        assert!(birth_date.kind == Kind::Text && !birth_date.many);
        assert!(resource_types().count() > 140 && resource_type("HumanName").is_none());
        let parameters = resource_type("Parameters").expect("a resource");
        let place = parameters.place("parameter").expect("an element");
        let Kind::Elements(parameter) = parameters.elements[place].kind else { panic!("elements") };
        assert!(type_at(parameter).place("valueDosage").is_some());
        assert!(plain_element().is_attribute("id") && !patient.is_attribute("id"));
    }
}

//! Which given names are forms of one another, by a versioned table in our own hand.

use std::sync::LazyLock;

use hashbrown::HashMap;

static TABLE: LazyLock<NicknameTable> =
    LazyLock::new(|| NicknameTable::parse(include_str!("tables/nicknames.txt")));

/// Whether two given names are forms of one name: they stand in one cluster, as a formal name
/// and its nickname or as two nicknames of one formal name.
///
/// Upper-case ASCII names, as normalization gives them. Not transitive: TED stands with EDWARD
/// and with THEODORE, yet these two are not related. A name is not its own nickname.
pub fn related(a: &str, b: &str) -> bool {
    a != b && share(clusters(a), clusters(b))
}

/// The clusters a name stands in, ascending; empty where the table does not know it.
///
/// Two names that share a number are [`related`]; an index may keep the numbers instead of asking by name.
pub fn clusters(name: &str) -> &'static [u16] {
    TABLE.clusters.get(name).map_or(&[], Vec::as_slice)
}

/// The other names of the first cluster that a name heads or, failing that, stands in; empty where unknown.
pub fn forms(name: &str) -> &'static [&'static str] {
    let headed = |number: &&u16| TABLE.names[usize::from(**number)].0 == name;
    let stands_in = clusters(name);
    let number = stands_in.iter().find(headed).or(stands_in.first());
    number.map_or(&[], |number| TABLE.names[usize::from(*number)].1.as_slice())
}

/// Version of the table, for explanations and audit.
pub fn version() -> &'static str {
    TABLE.version
}

struct NicknameTable {
    version: &'static str,
    /// By name, the clusters it stands in.
    clusters: HashMap<&'static str, Vec<u16>>,
    /// By cluster, the formal name and its forms.
    names: Vec<(&'static str, Vec<&'static str>)>,
}

impl NicknameTable {
    fn parse(text: &'static str) -> Self {
        let version = text.lines().find_map(|line| line.strip_prefix("# version: ")).unwrap_or("");
        let mut clusters: HashMap<&str, Vec<u16>> = HashMap::new();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let mut names = Vec::new();
        for (number, line) in (0_u16..).zip(lines) {
            let mut forms = line.split_ascii_whitespace();
            names.extend(forms.next().map(|formal| (formal, forms.collect())));
            for name in line.split_ascii_whitespace() {
                let numbers = clusters.entry(name).or_default();
                if numbers.last() != Some(&number) {
                    numbers.push(number);
                }
            }
        }
        Self { version, clusters, names }
    }
}

/// Whether two ascending lists have a number in common.
fn share(mut a: &[u16], mut b: &[u16]) -> bool {
    while let ([first_a, rest_a @ ..], [first_b, rest_b @ ..]) = (a, b) {
        match first_a.cmp(first_b) {
            std::cmp::Ordering::Less => a = rest_a,
            std::cmp::Ordering::Greater => b = rest_b,
            std::cmp::Ordering::Equal => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_cluster_are_related_both_ways() {
        for (a, b) in [
            ("WILLIAM", "BILL"),
            ("BILL", "WILLY"),
            ("ELIZABETH", "BETSY"),
            ("KATE", "KATHRYN"),
            ("FRANCISCO", "PACO"),
            ("PEPE", "JOSE"),
            ("GUADALUPE", "LUPITA"),
            ("STEPHEN", "STEVEN"),
        ] {
            assert!(related(a, b) && related(b, a), "{a} {b}");
        }
    }

    #[test]
    fn an_ambiguous_nickname_does_not_chain_two_formal_names() {
        for (a, b) in [
            ("EDWARD", "THEODORE"),
            ("ROBERT", "ALBERT"),
            ("PATRICK", "PATRICIA"),
            ("ALBERTO", "ROBERTO"),
            ("SAMUEL", "SAMANTHA"),
            ("JOHN", "JAMES"),
        ] {
            assert!(!related(a, b) && !related(b, a), "{a} {b}");
        }
    }

    #[test]
    fn a_name_is_no_nickname_of_itself_nor_of_what_the_table_does_not_know() {
        assert!(!related("WILLIAM", "WILLIAM"));
        assert!(!related("XQZV", "WILLIAM"));
        assert!(clusters("XQZV").is_empty());
    }

    #[test]
    fn forms_are_those_of_the_cluster_that_the_name_heads() {
        assert!(forms("WILLIAM").contains(&"BILL"));
        assert!(!forms("WILLIAM").contains(&"WILLIAM"));
        assert!(forms("XQZV").is_empty());
    }

    #[test]
    fn the_table_is_upper_case_ascii_and_names_its_version() {
        assert!(!version().is_empty());
        let lines = include_str!("tables/nicknames.txt").lines().filter(|l| !l.starts_with('#'));
        for (number, line) in lines.enumerate() {
            let mut names: Vec<&str> = line.split_ascii_whitespace().collect();
            assert!(names.len() > 1, "cluster {number} has one name only");
            assert!(line.bytes().all(|b| b.is_ascii_uppercase() || b == b' '), "cluster {number}");
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), line.split(' ').count(), "cluster {number} repeats a name");
        }
    }
}

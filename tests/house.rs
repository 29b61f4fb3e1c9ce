//! The house stands: imports look down only, and rooms on one floor do not know each other.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The floors, ground first.
const FLOORS: &[&[&str]] = &[
    &["domain"],
    &["storage", "cache", "tls", "telemetry"],
    &["fhir", "hl7v2", "matching", "directory"],
    &["simulator", "access"],
    &["index", "federation", "record"],
    &["exchange"],
    &["api", "mllp", "console"],
    &["app"],
    &["cli"],
];

/// Rooms that lean on another room of their own floor or of the crate's root, and why.
const GRANTED: &[(&str, &str)] = &[
    // `config.rs` stands under `app`: it fills the limits of every room and is read by `app` alone.
    ("app", "config"),
    ("cli", "config"),
];

/// Rooms that may not see the clock, the network, files or chance.
const PURE: &[&str] = &["domain", "fhir", "hl7v2", "matching", "record"];

const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::env",
    "SystemTime",
    "Instant::now",
    "now_utc",
    "tokio::",
    "reqwest::",
    "fastrand::",
    "Uuid::new_v4",
    "Uuid::now_v7",
];

#[test]
fn imports_look_down_only() {
    let floors: BTreeMap<&str, usize> = FLOORS
        .iter()
        .enumerate()
        .flat_map(|(height, rooms)| rooms.iter().map(move |room| (*room, height)))
        .collect();
    let mut faults = Vec::new();
    for (room, file, text) in sources() {
        let Some(height) = floors.get(room.as_str()) else { continue };
        for (line, target) in imports(&text) {
            let Some(other) = floors.get(target.as_str()) else {
                if !GRANTED.contains(&(room.as_str(), target.as_str())) {
                    faults.push(format!(
                        "{}:{line}: {room} imports {target}, which is on no floor",
                        file.display()
                    ));
                }
                continue;
            };
            if target != room && other >= height {
                faults.push(format!(
                    "{}:{line}: {room} looks up or across at {target}",
                    file.display()
                ));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_room_has_a_floor() {
    let known: Vec<&str> = FLOORS.iter().flat_map(|rooms| rooms.iter().copied()).collect();
    let strangers: Vec<String> = sources()
        .map(|(room, _, _)| room)
        .filter(|room| {
            !known.contains(&room.as_str()) && !["lib", "main", "config"].contains(&room.as_str())
        })
        .collect();
    assert!(strangers.is_empty(), "rooms without a floor: {strangers:?}");
}

#[test]
fn pure_rooms_see_no_clock_network_file_or_chance() {
    let mut faults = Vec::new();
    for (room, file, text) in sources().filter(|(room, ..)| PURE.contains(&room.as_str())) {
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in product.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                faults.push(format!(
                    "{}:{}: {room} is pure, yet says {word}",
                    file.display(),
                    number + 1
                ));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_test_itself_sees_an_upward_import() {
    let found = imports(
        "use crate::{\n    api::x,\n    domain::{y, z},\n};\nlet a = crate::cli::b();\n// crate::app\n",
    );
    let rooms: Vec<&str> = found.iter().map(|(_, room)| room.as_str()).collect();
    assert_eq!(rooms, ["api", "domain", "cli"]);
}

/// Room, path and text of every source file.
fn sources() -> impl Iterator<Item = (String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.into_iter().map(move |file| {
        let inside = file.strip_prefix(&root).expect("found below the root");
        let first = inside.components().next().expect("a file has a name");
        let room = Path::new(first.as_os_str()).file_stem().expect("a file has a name");
        let text = fs::read_to_string(&file).expect("a source file is readable");
        (room.to_string_lossy().into_owned(), file, text)
    })
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a source folder is readable") {
        let path = entry.expect("a folder entry is readable").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Every room named after `crate::`, alone or in a braced list, with its line.
fn imports(text: &str) -> Vec<(usize, String)> {
    let code: String = text
        .lines()
        .map(|line| {
            if line.trim_start().starts_with("//") { "\n".to_owned() } else { format!("{line}\n") }
        })
        .collect();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        // `$crate::`, `my_crate::` and the like are other words.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let rest = &code[at + "crate::".len()..];
        let rooms = if rest.starts_with('{') { braced(rest) } else { vec![word(rest)] };
        found.extend(rooms.into_iter().filter(|room| !room.is_empty()).map(|room| (line, room)));
    }
    found
}

/// The first word of each item of a braced list, whatever is nested in the items.
fn braced(list: &str) -> Vec<String> {
    let (mut depth, mut items, mut start) = (0_usize, Vec::new(), 1);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    items.push(&list[start..at]);
                    break;
                }
            }
            ',' if depth == 1 => {
                items.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.into_iter().map(|item| word(item.trim_start())).collect()
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

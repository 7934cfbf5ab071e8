//! The rooms that each room of the library may use, by its `use` lines and paths: only those of lower floors.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Floors, from the lowest up; the rooms of the vocabulary are in that order too. `lib.rs` is above them all.
const FLOORS: &[(&str, &[&str])] = &[
    (
        "vocabulary",
        &[
            "flag", "series", "current", "format", "caught", "redact", "causes", "error", "names", "report", "scrub",
            "config",
        ],
    ),
    ("signals", &["resource", "filter", "traces", "metrics", "logs", "export", "worker"]),
    (
        "instrumentation",
        &[
            "guarded",
            "trace_ids",
            "propagation",
            "protocol",
            "recorder",
            "exchange",
            "business",
            "annotate",
            "saved_context",
            "server",
            "client",
        ],
    ),
    ("wiring", &["guard", "panic_hook", "terminate", "init"]),
    ("doors", &["scrape", "private", "testing"]),
];

/// Crates that a floor must not name.
const NOT_ON: &[(&str, &[&str])] = &[
    (
        "vocabulary",
        &["opentelemetry", "opentelemetry_sdk", "opentelemetry_otlp", "tracing", "tower_layer", "axum", "tonic"],
    ),
    ("instrumentation", &["opentelemetry_sdk", "opentelemetry_otlp", "opentelemetry_proto"]),
];

#[test]
fn every_room_uses_only_rooms_below_it() {
    for (room, file, uses) in rooms() {
        for used in uses.iter().filter(|used| **used != room) {
            assert!(may_use(&room, used), "{} may not use `crate::{used}`: {room} is no higher", file.display());
        }
    }
}

#[test]
fn no_floor_names_a_crate_that_is_forbidden_on_it() {
    for (room, file, _) in rooms() {
        let text = code(&file);
        for krate in NOT_ON.iter().filter(|(floor, _)| *floor == floor_of(&room)).flat_map(|(_, crates)| *crates) {
            let named = text.contains(&format!("{krate}::"));
            assert!(!named, "{} names {krate}", file.display());
        }
    }
}

#[test]
fn every_room_stands_on_a_floor() {
    let lib = fs::read_to_string(source().join("lib.rs")).unwrap();
    let declared =
        lib.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'));
    for room in declared.filter(|room| *room != "__private") {
        assert!(FLOORS.iter().any(|(_, rooms)| rooms.contains(&room)), "{room} is on no floor");
    }
}

#[test]
fn the_macros_never_depend_on_the_library() {
    let manifest = source().join("../../ironcore-telemetry-macros/Cargo.toml");
    let manifest = fs::read_to_string(manifest).unwrap();
    let (_, dependencies) = manifest.split_once("[dependencies]").unwrap();
    let names: Vec<_> =
        dependencies.lines().filter_map(|line| line.split(['.', ' ']).next()).filter(|name| !name.is_empty()).collect();
    assert_eq!(names, ["proc-macro2", "quote", "syn"]);
}

/// Whether `room` may use `used`: a room of a lower floor, or one of its own floor where that is allowed.
fn may_use(room: &str, used: &str) -> bool {
    match (floor_of(room), floor_of(used)) {
        // Between themselves these have a fixed order, checked below.
        ("vocabulary", "vocabulary") => order_of(used) < order_of(room),
        ("signals", "vocabulary") => true,
        ("signals", "signals") => matches!(used, "resource" | "export" | "worker" | "filter"),
        ("instrumentation", "vocabulary") => {
            matches!(
                used,
                "error" | "flag" | "names" | "series" | "redact" | "current" | "format" | "caught" | "causes"
            )
        }
        ("instrumentation", "instrumentation") => {
            // Both ends of a process, and what they share.
            let is_edge = matches!(room, "server" | "client" | "exchange");
            match (room, used) {
                // The lowest of the floor: they use no other room of it.
                ("guarded" | "trace_ids" | "propagation" | "protocol" | "recorder", _) => false,
                (_, "recorder" | "guarded" | "trace_ids") | ("annotate", "business") => true,
                (_, "propagation") => is_edge || room == "saved_context",
                (_, "protocol" | "exchange") => is_edge,
                _ => false,
            }
        }
        ("wiring", floor) => {
            let is_order = match room {
                "init" => matches!(used, "guard" | "panic_hook" | "terminate"),
                "panic_hook" | "terminate" => used == "guard",
                _ => false,
            };
            floor != "doors" && (floor != "wiring" || is_order)
        }
        ("doors", floor) => {
            matches!((room, used), ("scrape", "metrics") | ("private", "business"))
                || (room == "testing" && floor != "doors")
        }
        _ => false,
    }
}

/// Vocabulary, from the bottom up: what stands later may use what stands before.
fn order_of(room: &str) -> Option<usize> {
    let (_, vocabulary) = FLOORS[0];
    vocabulary.iter().position(|name| *name == room)
}

fn floor_of(room: &str) -> &'static str {
    let floor = FLOORS.iter().find(|(_, rooms)| rooms.contains(&room));
    floor.unwrap_or_else(|| panic!("{room} is on no floor")).0
}

/// Each file with its room and the rooms that it uses.
fn rooms() -> Vec<(String, PathBuf, Vec<String>)> {
    let mut found = Vec::new();
    for file in files(&source()) {
        let inside = file.strip_prefix(source()).unwrap();
        let room = inside.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned();
        if room == "lib" {
            continue;
        }
        let text = code(&file);
        let mut uses: Vec<_> = text.split("crate::").skip(1).map(first_word).collect();
        // Items that `lib.rs` re-exports, as the documentation names them, are not rooms.
        uses.retain(|used| FLOORS.iter().any(|(_, rooms)| rooms.contains(&used.as_str())));
        found.push((room, file, uses));
    }
    let by_room: BTreeSet<_> = found.iter().map(|(room, ..)| room).collect();
    assert!(by_room.len() >= FLOORS.iter().map(|(_, rooms)| rooms.len()).sum::<usize>(), "files were not found");
    found
}

/// The code of a file, without comments and documentation.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../ironcore-telemetry/src")
}

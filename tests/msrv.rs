//! The declared `rust-version` is the lowest that the dependencies allow, and the floors of dependencies hold.

use serde_json::Value;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::process::Command;

/// All crates that this platform builds. Cargo fetches those that were not needed by a build yet.
fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--all-features", "--filter-platform", &host()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

fn version(text: &str) -> Vec<u64> {
    let mut parts: Vec<_> = text.split('.').map(|part| part.parse().unwrap_or(0)).collect();
    parts.resize(3, 0);
    parts
}

#[test]
fn the_library_declares_the_lowest_rust_version_that_its_dependencies_allow() {
    let metadata = metadata();
    let packages: BTreeMap<_, _> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (package["id"].as_str().unwrap(), package))
        .collect();
    let nodes: BTreeMap<_, _> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), node))
        .collect();
    let library = packages.iter().find(|(_, package)| package["name"] == "ironcore-telemetry").unwrap();
    let (mut queue, mut seen) = (VecDeque::from([*library.0]), HashSet::new());
    let mut needed = (vec![0, 0, 0], "");
    while let Some(id) = queue.pop_front() {
        for dependency in nodes[id]["deps"].as_array().unwrap() {
            let kinds = dependency["dep_kinds"].as_array().unwrap();
            let id = dependency["pkg"].as_str().unwrap();
            // Only crates that a user compiles: no test dependencies, none of other platforms.
            let counts = kinds.iter().any(|kind| kind["kind"] != "dev" && kind["target"].is_null());
            if counts && seen.insert(id) {
                queue.push_back(id);
                let package = packages[id];
                let required = version(package["rust_version"].as_str().unwrap_or("0"));
                if required > needed.0 && package["source"].is_string() {
                    needed = (required, package["name"].as_str().unwrap());
                }
            }
        }
    }
    let declared = version(library.1["rust_version"].as_str().unwrap());
    assert_eq!(declared, needed.0, "{} decides", needed.1);
}

#[test]
fn no_dependency_is_older_than_its_oldest_safe_version() {
    // Each floor is the first version without a known fault that would reach our users.
    let floors = [
        ("opentelemetry", "0.33.1"),
        ("opentelemetry_sdk", "0.33.1"),
        ("rustls-webpki", "0.103.13"),
        ("tracing-opentelemetry", "0.34.0"),
        ("tracing-subscriber", "0.3.23"),
        ("h2", "0.4.16"),
        ("tonic", "0.12.3"),
    ];
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    for (name, floor) in floors {
        let found: Vec<_> = packages.iter().filter(|package| package["name"] == name).collect();
        assert!(!found.is_empty(), "{name} is no longer a dependency: delete its floor");
        for package in found {
            assert!(version(package["version"].as_str().unwrap()) >= version(floor), "{name} is below {floor}");
        }
    }
    for never in
        ["opentelemetry-jaeger", "opentelemetry_api", "tracing-check", "tracings", "tracing_checks", "tracing-ethers"]
    {
        assert!(packages.iter().all(|package| package["name"] != never), "{never} must not be used");
    }
    let protobuf = packages.iter().filter(|package| package["name"] == "protobuf");
    assert!(protobuf.clone().all(|package| version(package["version"].as_str().unwrap()) >= version("3.7.2")));
}

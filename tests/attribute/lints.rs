//! What the lints of the compiler and of clippy say of a function, they say of it below the attribute too, at the same
//! line.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FUNCTIONS: &str = include_str!("../ui/lints/functions.rs");
const ATTRIBUTE: &str = "#[ironcore_telemetry::instrument_business(domain = \"lints\")]";
/// Lints that need what the attribute changes: the body is awaited, and it is not the value of the function itself.
const LOST: [&str; 2] = ["clippy::unused_async", "clippy::unnecessary_wraps"];

/// A lint and the line that it reports.
type Found = BTreeSet<(String, u64)>;

#[test]
fn lints_of_the_bare_function_are_reported_below_the_attribute() {
    let Some(library) = library() else {
        eprintln!("there is no clippy-driver beside this compiler: not compared");
        return;
    };
    let lines: String = (0..110).map(|_| "amount += 1;").collect();
    let functions = FUNCTIONS.replace("LINES", &lines.replace("amount += 1;", "amount += 1;\n    "));
    let bare = lints("bare", &functions, &library);
    let instrumented = lints("instrumented", &functions.replace("//@ instrument", ATTRIBUTE), &library);
    let functions: Vec<_> = functions.lines().collect();
    let at = |line: &u64| functions.get(usize::try_from(*line).unwrap() - 1).copied().unwrap_or_default();
    let show = |found: &Found, other: &Found| -> Vec<String> {
        let only = found.difference(other).filter(|(lint, _)| !LOST.contains(&lint.as_str()));
        only.map(|(lint, line)| format!("{lint} at {line}: {}", at(line))).collect()
    };
    assert_eq!(show(&bare, &instrumented), [""; 0], "not reported below the attribute");
    assert_eq!(show(&instrumented, &bare), [""; 0], "reported below the attribute only");
    let kinds: BTreeSet<_> = bare.iter().map(|(lint, _)| lint.as_str()).collect();
    for lint in [
        "clippy::missing_errors_doc",
        "clippy::missing_panics_doc",
        "clippy::too_many_lines",
        "clippy::many_single_char_names",
        "clippy::needless_pass_by_value",
        "clippy::needless_return",
    ] {
        assert!(kinds.contains(lint), "the functions have no {lint}: {kinds:?}");
    }
    assert!(kinds.len() >= 25, "{kinds:?}");
}

/// Runs clippy on a library of these functions.
fn lints(name: &str, functions: &str, library: &Path) -> Found {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lints");
    fs::create_dir_all(&folder).unwrap();
    let source = folder.join(format!("{name}.rs"));
    fs::write(&source, functions).unwrap();
    let output = Command::new("clippy-driver")
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--error-format=json", "--cap-lints=warn"])
        .args(["-Wclippy::all", "-Wclippy::pedantic", "-Wunused", "-Wmissing_docs", "-Wunsafe_op_in_unsafe_fn"])
        .arg("--out-dir")
        .arg(&folder)
        .arg("--extern")
        .arg(format!("ironcore_telemetry={}", library.display()))
        .arg("-L")
        .arg(format!("dependency={}", library.parent().unwrap().display()))
        .arg(&source)
        .output()
        .unwrap();
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{name}: {messages}");
    let parsed = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    parsed
        .filter_map(|message| {
            let lint = message["code"]["code"].as_str()?.to_owned();
            let at = message["spans"][0]["line_start"].as_u64()?;
            Some((lint, at))
        })
        .collect()
}

/// The library that this test is linked with: the newest one. `None` without clippy.
fn library() -> Option<PathBuf> {
    Command::new("clippy-driver").arg("--version").output().ok().filter(|output| output.status.success())?;
    let this = env::current_exe().unwrap();
    let libraries = fs::read_dir(this.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("libironcore_telemetry-") && path.extension().is_some_and(|extension| extension == "rlib")
    };
    let newest = libraries.filter(is_ours).max_by_key(|path| path.metadata().unwrap().modified().unwrap());
    Some(newest.expect("the library of this test"))
}

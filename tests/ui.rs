//! The compiler's messages to users of the macros: the files of `ui/pass` compile without a warning and run; each file
//! of `ui/fail` makes one mistake, and the expected message is in the `.stderr` file beside it. `TRYBUILD=overwrite`
//! rewrites the messages: read them, and rewrite all files in one run, because errors that need code generation appear
//! only when `ui/pass` runs too.

use std::process::Command;

/// The messages are those of this compiler; other versions word them differently.
const TOOLCHAIN: &str = "rustc 1.95.";

#[test]
fn compiler_messages_are_the_reviewed_ones() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    if toolchain().starts_with(TOOLCHAIN) {
        cases.compile_fail("ui/fail/*.rs");
    } else {
        eprintln!("the messages are those of {TOOLCHAIN}, this is {}: not compared", toolchain());
    }
}

fn toolchain() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().expect("rustc");
    String::from_utf8_lossy(&version.stdout).into_owned()
}

//! What the compiler says to users of the macros: `ui/pass` compiles without a warning and runs, and each file of `ui/fail`
//! makes one mistake, whose message stands beside it. `TRYBUILD=overwrite` writes the messages anew: read them, and write
//! them with all files at once, because some are seen only when code is generated for the others.

use std::process::Command;

/// The messages are this compiler's; another one's differ in their wording.
const TOOLCHAIN: &str = "rustc 1.95.";

#[test]
fn messages_are_those_that_were_read() {
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

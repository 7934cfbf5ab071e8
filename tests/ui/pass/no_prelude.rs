//! Without the prelude, and with other items under the names that the expansion could use.
#![no_implicit_prelude]
#![deny(warnings, unused, clippy::all, clippy::pedantic)]
#![allow(non_camel_case_types, dead_code, clippy::upper_case_acronyms)]

mod std {}
mod core {}
mod alloc {}
struct Some;
struct None;
struct Ok;
struct Err;
struct Result;
struct Option;
struct String;
struct Vec;
struct Box;
struct Operation;
struct Site;
struct Spec;
struct Judged;
struct Formatted;
struct SITES;
struct u32;
struct usize;
struct str;
trait Outcome {}
trait Label {}
trait Into {}
trait Fn {}
trait Drop {}
trait Future {}
static SITE: () = ();
static ENTRY: () = ();
fn operation() {}
fn result() {}
fn call() {}

#[derive(::ironcore_telemetry::Label)]
enum Side {
    Sell,
    Buy,
}

#[derive(::ironcore_telemetry::Outcome)]
enum SwapError {
    #[outcome(rejected)]
    Late,
    #[outcome(failed)]
    Lost { result: bool },
    #[outcome(forward)]
    Other(Lower),
}

#[derive(::ironcore_telemetry::Outcome)]
#[outcome(failed)]
struct Lower;

#[::ironcore_telemetry::instrument_business(wallet)]
fn nothing() {}

#[::ironcore_telemetry::instrument_business(
    wallet,
    fields(amount = amount, shown = %amount, dumped = ?amount),
    labels(side = side, urgent = true),
    err = |_error: &SwapError| ::ironcore_telemetry::OutcomeClass::Failed,
    ok = |_value: &u64| (::ironcore_telemetry::OutcomeClass::Ok, "done")
)]
fn everything(amount: u64, side: Side) -> ::core::result::Result<u64, SwapError> {
    ::core::result::Result::Ok(amount)
}

#[::ironcore_telemetry::instrument_business(wallet, fields(amount = amount), labels(side = side))]
async fn asynchronous(amount: u64, side: Side) -> ::core::result::Result<u64, SwapError> {
    everything(amount, side)?;
    ::core::result::Result::Ok(amount)
}

struct Ledger;

#[::ironcore_telemetry::instrument_business(payment)]
impl Ledger {
    fn pay(&self) -> u64 {
        7
    }
}

#[::ironcore_telemetry::instrument_business(wallet)]
fn shadowed(operation: u64, result: u64, current: u64) -> u64 {
    const ENTRY: u64 = 1;
    operation + result + current + ENTRY
}

fn main() {}

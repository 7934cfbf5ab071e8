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
trait From {}
trait Error {}
trait Display {}
trait Sized {}
static SITE: () = ();
static ENTRY: () = ();
fn operation() {}
fn result() {}
fn call() {}
fn moved() {}
fn value() {}
fn returned() {}
mod opentelemetry {}
mod linkme {}
mod ironcore_telemetry {}

/// Methods for every type, under the names that the expansion could call.
trait Everything {
    fn verdict(&self) {}
    fn class(&self) {}
    fn code(&self) {}
    fn split(&self) {}
    fn describe(&self) {}
    fn open(&self) {}
    fn clone(&self) {}
    fn as_display(&self) {}
    fn as_debug(&self) {}
    fn into_verdict(&self) {}
    fn into_value(&self) {}
    fn unwrap_or_else(&self) {}
    fn or_else(&self) {}
    fn start(&self) {}
    fn run(&self) {}
    fn await_(&self) {}
}

impl<T: ?::core::marker::Sized> Everything for T {}

macro_rules! shadowed_macros {
    ($($name:ident)+) => {
        $(
            #[allow(unused_macros)]
            macro_rules! $name {
                ($d:tt) => {
                    compile_error!("a macro of the user is called");
                };
            }
        )+
    };
}

shadowed_macros!(vec concat module_path file line column stringify format format_args matches assert panic);

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

#[::ironcore_telemetry::instrument_business(wallet, record_error)]
fn recorded(error: u64) -> ::core::result::Result<(), u64> {
    ::core::result::Result::Err(error)
}

#[::ironcore_telemetry::instrument_business(wallet)]
async fn closure<T>(_value: T) -> impl ::core::ops::Fn(&T) -> &T {
    |value| value
}

#[::ironcore_telemetry::instrument_business(wallet)]
fn mutable(mut amount: u64, more: &mut u64) -> &mut u64 {
    amount += 1;
    *more += amount;
    more
}

fn main() {}

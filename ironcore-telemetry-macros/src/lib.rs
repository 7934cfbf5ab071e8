//! The attribute `#[instrument_business]` and the derives `Outcome` and `Label`. Use them through the crate
//! `ironcore-telemetry`, where they are documented.

mod args;
mod block;
mod body;
mod domain;
mod expand;
mod fallback;
mod label;
mod model;
mod named;
mod outcome;
mod words;

use proc_macro::TokenStream;

/// Makes a function a business operation; documented at its re-export in `ironcore-telemetry`.
#[proc_macro_attribute]
pub fn instrument_business(args: TokenStream, item: TokenStream) -> TokenStream {
    let item = item.into();
    let expanded = model::Instrumented::parse(args.into(), &item).map(expand::expand);
    expanded.unwrap_or_else(|error| fallback::fallback(&error, item)).into()
}

/// Gives an error type its verdicts; documented at its re-export in `ironcore-telemetry`.
#[proc_macro_derive(Outcome, attributes(outcome, source, from))]
pub fn outcome(item: TokenStream) -> TokenStream {
    outcome::derive(item.into()).into()
}

/// Makes an enum a label of metrics; documented at its re-export in `ironcore-telemetry`.
#[proc_macro_derive(Label, attributes(label))]
pub fn label(item: TokenStream) -> TokenStream {
    label::derive(item.into()).into()
}

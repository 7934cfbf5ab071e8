//! The attribute `#[instrument_business]` and the derives `Outcome` and `Label`. Use them through the crate
//! `ironcore-telemetry`, where they are documented.

mod args;
mod arguments;
mod block;
mod body;
mod closures;
mod domain;
mod error_type;
mod expand;
mod fallback;
mod given;
mod instrumented;
mod key_values;
mod label;
mod library;
mod model;
mod outcome;
mod return_type;
mod snake_case;

use proc_macro::TokenStream;

/// Instruments a function as a business operation; documented at its re-export in `ironcore-telemetry`.
#[proc_macro_attribute]
pub fn instrument_business(args: TokenStream, item: TokenStream) -> TokenStream {
    let item = item.into();
    let expanded = instrumented::Instrumented::parse(args.into(), &item).map(expand::expand);
    expanded.unwrap_or_else(|error| fallback::fallback(&error, item)).into()
}

/// Implements `Outcome` for an error type; documented at its re-export in `ironcore-telemetry`.
#[proc_macro_derive(Outcome, attributes(outcome, source, from))]
pub fn outcome(item: TokenStream) -> TokenStream {
    outcome::derive(item.into()).into()
}

/// Implements `Label` for an enum; documented at its re-export in `ironcore-telemetry`.
#[proc_macro_derive(Label, attributes(label))]
pub fn label(item: TokenStream) -> TokenStream {
    label::derive(item.into()).into()
}

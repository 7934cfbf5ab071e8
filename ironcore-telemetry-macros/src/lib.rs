//! The attribute `#[instrument_business]`. Use it through the crate `ironcore-telemetry`, where it is documented.

mod args;
mod domain;
mod expand;
mod fallback;
mod model;

use proc_macro::TokenStream;

/// Makes a function a business operation; documented at its re-export in `ironcore-telemetry`.
#[proc_macro_attribute]
pub fn instrument_business(args: TokenStream, item: TokenStream) -> TokenStream {
    let item = item.into();
    let expanded = model::Model::parse(args.into(), &item).map(|model| expand::expand(&model));
    expanded
        .unwrap_or_else(|error| fallback::fallback(&error, item))
        .into()
}

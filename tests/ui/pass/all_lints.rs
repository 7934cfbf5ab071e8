//! Under the compiler's optional lints.
#![deny(
    warnings,
    closure_returning_async_block,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    ffi_unwind_calls,
    if_let_rescope,
    impl_trait_redundant_captures,
    keyword_idents,
    let_underscore_drop,
    macro_use_extern_crate,
    meta_variable_misuse,
    missing_copy_implementations,
    missing_debug_implementations,
    missing_docs,
    non_ascii_idents,
    redundant_imports,
    redundant_lifetimes,
    single_use_lifetimes,
    tail_expr_drop_order,
    trivial_casts,
    trivial_numeric_casts,
    unit_bindings,
    unnameable_types,
    unreachable_pub,
    unsafe_code,
    unsafe_op_in_unsafe_fn,
    unused_crate_dependencies,
    unused_extern_crates,
    unused_import_braces,
    unused_lifetimes,
    unused_macro_rules,
    unused_qualifications,
    unused_results,
    variant_size_differences,
    rust_2018_idioms,
    rust_2021_compatibility,
    rust_2024_compatibility
)]
// The package has dependencies for other files.
#![allow(unused_crate_dependencies)]

use ironcore_telemetry::{Label, Outcome, OutcomeClass, instrument_business};

/// A side.
#[derive(Clone, Copy, Debug, Label)]
pub enum Side {
    /// Sold.
    Sell,
}

/// A rejection.
#[derive(Clone, Copy, Debug, Outcome)]
pub enum SwapError {
    /// Too late.
    #[outcome(rejected)]
    Late,
}

/// Opens.
///
/// # Errors
/// Never.
#[instrument_business(fields(id = id, shown = %id), labels(side = side), err = SwapError::class, ok = |_| OutcomeClass::Ok)]
pub fn open_wallet(id: u64, side: Side) -> Result<Side, SwapError> {
    Ok(side)
}

/// Closes.
///
/// # Errors
/// Never.
#[instrument_business(fields(id = id, shown = ?id), labels(side = side))]
pub async fn close_wallet(id: u64, side: Side) -> Result<Side, SwapError> {
    std::future::ready(()).await;
    let closed = open_wallet(id, side)?;
    Ok(closed)
}

/// A wallet.
#[derive(Clone, Copy, Debug)]
pub struct Wallet;

#[instrument_business(wallet)]
impl Wallet {
    /// Nothing.
    pub fn nothing(self) {}

    /// Nothing, asynchronously.
    pub async fn later(self) {}
}

fn main() {}

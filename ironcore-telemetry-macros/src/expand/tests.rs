//! The tokens that each argument adds to the expansion, and their absence without it.

use super::expand;
use crate::instrumented::Instrumented;
use proc_macro2::TokenStream;
use quote::quote;

/// The expansion of the item under the attribute with these arguments, as text without spaces.
fn expanded(args: TokenStream, item: &TokenStream) -> String {
    let item = Instrumented::parse(args, item).unwrap();
    flat(&expand(item))
}

fn refusal(args: TokenStream, item: &TokenStream) -> String {
    match Instrumented::parse(args, item) {
        Ok(_) => panic!("it is accepted"),
        Err(error) => error.to_string(),
    }
}

fn flat(tokens: &TokenStream) -> String {
    tokens.to_string().split_whitespace().collect()
}

#[track_caller]
fn contains(expanded: &str, part: &TokenStream) {
    let part = flat(part);
    assert!(expanded.contains(&part), "no {part} in {expanded}");
}

#[test]
fn a_plain_function_starts_an_operation_without_labels_or_fields() {
    let expanded = expanded(
        quote!(),
        &quote!(
            pub fn create_wallet(id: u64) -> u64 {
                id
            }
        ),
    );
    assert!(expanded.starts_with("pubfncreate_wallet(id:u64)->u64{"));
    contains(&expanded, &quote!(__ironcore_telemetry::Operation::start(&__IRONCORE_TELEMETRY_SITE, &())));
    contains(&expanded, &quote!(|| -> u64 { id }));
    contains(&expanded, &quote!(domain: "wallet", operation: "create", name: "wallet.create",));
    assert!(!expanded.contains("Fields") && !expanded.contains("judge"));
}

#[test]
fn fields_are_in_a_closure_that_only_a_sampled_span_calls() {
    let expanded = expanded(
        quote!(swap, fields(chain.id = id, to = %to, raw = ?raw)),
        &quote!(
            async fn quote() {}
        ),
    );
    contains(&expanded, &quote!(&__IRONCORE_TELEMETRY_SITE, &(), 3usize, |__fields|));
    contains(&expanded, &quote!(__ironcore_telemetry::Fields::add));
    contains(&expanded, &quote!("chain.id", || __ironcore_telemetry::value(&(id))));
    contains(&expanded, &quote!("to", || (&&__ironcore_telemetry::Formatted(&(to))).__ironcore_telemetry_as_display()));
    contains(&expanded, &quote!("raw", || (&&__ironcore_telemetry::Formatted(&(raw))).__ironcore_telemetry_as_debug()));
}

#[test]
fn labels_are_a_tuple_of_references_and_their_keys_are_in_the_spec() {
    let expanded = expanded(
        quote!(swap, labels(side = side, large = amount > 7)),
        &quote!(
            fn quote() {}
        ),
    );
    contains(&expanded, &quote!(&(&(side), &(amount > 7),)));
    contains(&expanded, &quote!(labels: &["side", "large"]));
}

#[test]
fn err_and_ok_come_before_the_verdict_of_the_type() {
    let expanded = expanded(
        quote!(swap, err = E::class, ok = |_| Class::Ok),
        &quote!(
            fn quote() -> Result<(), E> {
                Ok(())
            }
        ),
    );
    contains(
        &expanded,
        &quote!(
            judge_err(__value, E::class)
                .or_else(|| __ironcore_telemetry::judge_ok(__value, |_| Class::Ok))
                .unwrap_or_else
        ),
    );
}

#[test]
fn a_block_instruments_its_methods_except_those_that_opt_out() {
    let expanded = expanded(
        quote!(domain = "custody", crate = other::telemetry),
        &quote!(
            impl Vault {
                const SIZE: usize = 1;
                #[telemetry::instrument_business(skip)]
                const fn new() -> Self {
                    Self
                }
                #[must_use]
                fn rotate(&self) {}
                #[instrument_business(user, name = "look")]
                async fn audit(&self) {}
            }
        ),
    );
    contains(&expanded, &quote!(const SIZE: usize = 1; const fn new() -> Self { Self } #[must_use] fn rotate(&self)));
    contains(&expanded, &quote!(domain: "custody", operation: "rotate"));
    contains(&expanded, &quote!(domain: "user", operation: "look"));
    contains(
        &expanded,
        &quote!(
            use other::telemetry::__private as __ironcore_telemetry;
        ),
    );
    assert!(!expanded.contains("instrument_business") && !expanded.contains("::ironcore_telemetry"));
}

#[test]
fn the_body_that_async_trait_generates_is_timed_inside_the_box() {
    let expanded = expanded(
        quote!(wallet),
        &quote!(
            fn sign(&self) -> ::core::pin::Pin<Box<dyn Future<Output = u64> + Send + '_>> {
                Box::pin(async move { 7 })
            }
        ),
    );
    let (before, inside) = expanded.split_once("Box::pin(asyncmove{").unwrap();
    assert!(!before.contains("Operation"));
    assert!(inside.contains("Operation::record") && inside.contains("letnever:u64=loop{};"));
}

#[test]
fn a_wrong_method_of_a_block_is_an_error_that_mentions_skip() {
    let why = refusal(
        quote!(wallet),
        &quote!(
            impl Vault {
                const fn size() -> u64 {
                    7
                }
            }
        ),
    );
    assert!(why.contains("const fn") && why.contains("#[instrument_business(skip)]"), "{why}");
}

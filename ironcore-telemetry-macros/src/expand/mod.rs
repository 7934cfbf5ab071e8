//! From the model to tokens. The expansion uses nothing but the library's hidden module `__private`.

#[cfg(test)]
mod tests;

use crate::arguments::{self, Captured, Name};
use crate::block;
use crate::body::{Body, BoxedBody};
use crate::closures;
use crate::error_type::ErrorType;
use crate::instrumented::Instrumented;
use crate::key_values::{Field, Format, Label};
use crate::model::Model;
use crate::return_type::{future_output, inferred, returned};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{AttrStyle, Block, Expr, ImplItem, ItemFn, ReturnType, Signature, Type};

pub(crate) fn expand(item: Instrumented) -> TokenStream {
    match item {
        Instrumented::Function(model) => function(&model),
        Instrumented::Block(block) => methods(*block),
    }
}

fn methods(block::Block { mut item, methods }: block::Block) -> TokenStream {
    for (item, model) in item.items.iter_mut().zip(&methods) {
        if let Some(model) = model {
            *item = ImplItem::Verbatim(function(model));
        }
    }
    item.into_token_stream()
}

fn function(model: &Model) -> TokenStream {
    let Model { function: ItemFn { attrs, vis, sig, block }, body, .. } = model;
    let (outer, inner): (Vec<_>, Vec<_>) = attrs.iter().partition(|attr| matches!(attr.style, AttrStyle::Outer));
    let body = match body {
        Body::Sync => recorded(model, &sync_call(model)),
        Body::Async => {
            let output = returned(&sig.output);
            let hint = return_hint(sig, Some(&output));
            let value = closures::with_bounds(&output, &private(), quote!(#block));
            let captured = captured_arguments(model);
            let keywords = quote_spanned!(block.brace_token.span.open()=> async move);
            let body = in_braces_of(block, quote!(#hint #captured #[allow(unused_braces)] #value));
            let future = quote!(#keywords #body);
            recorded(model, &async_call(model, &future))
        }
        Body::Boxed(boxed) => {
            let BoxedBody { before, bindings, pin, attrs, block } = &**boxed;
            let hint = return_hint(sig, future_output(&returned(&sig.output)));
            let future = quote!(#(#attrs)* async move { #hint #[allow(unused_braces)] #block });
            let work = recorded(model, &async_call(model, &future));
            quote!(#(#before)* #pin(async move { #(#bindings)* #work }))
        }
    };
    let body = in_braces_of(block, quote!(#(#inner)* #body));
    quote!(#(#outer)* #vis #sig #body)
}

/// Code in the user's own braces: for lints, the function begins and ends where it is written.
fn in_braces_of(block: &Block, inside: TokenStream) -> TokenStream {
    let mut tokens = TokenStream::new();
    block.brace_token.surround(&mut tokens, |tokens| tokens.extend(inside));
    tokens
}

/// The static of the function, and the call. The library's path stands in one place, so that a wrong path gives one
/// error.
fn recorded(model: &Model, call: &TokenStream) -> TokenStream {
    let (library, private, site) = (&model.library, private(), site(model));
    quote! {
        use #library::__private as #private;
        #site
        #call
    }
}

fn async_call(model: &Model, future: &TokenStream) -> TokenStream {
    let (private, operation, judge) = (private(), operation(), judge(model));
    if model.labels.is_empty() && model.fields.is_empty() {
        let work = hygienic("work");
        return quote! {
            let #work = #future;
            if #private::Operation::is_off() {
                return #work.await;
            }
            #private::Operation::record(&__IRONCORE_TELEMETRY_SITE, #work, #judge).await
        };
    }
    let start = start(model);
    // Labels and fields are evaluated before the arguments are moved into the future.
    quote! {
        let #operation = #start;
        #private::Operation::run(#operation, #future, #judge).await
    }
}

fn sync_call(model: &Model) -> TokenStream {
    let (private, operation, judge) = (private(), operation(), judge(model));
    let start = start(model);
    let ItemFn { sig, block, .. } = &model.function;
    let output = returned(&sig.output);
    let moved = captured_arguments(model);
    let type_of_body = inferred(&output, sig);
    let value = closures::with_bounds(&output, &private, quote!(#block));
    // The user's own block is the body, where nothing has to be added.
    let body = if moved.is_empty() { value } else { in_braces_of(block, quote!(#moved #value)) };
    // Where the body is, not where the attribute is: lints skip code of macros. And not `move`: an argument that the body
    // only reads is not consumed, for lints as in the bare function.
    let closure = quote_spanned!(block.brace_token.span.open()=> ||);
    quote! {
        let #operation = #start;
        #private::Operation::call(#operation, #closure -> #type_of_body #body, #judge)
    }
}

/// Code that is never executed, and mentions the arguments from the last to the first: what a closure holds is dropped in
/// the order in which it is mentioned, and arguments are dropped from the last to the first. It moves those into the
/// closure whose bindings or references are mutable: what the body returns may borrow from them for longer than a
/// closure that borrows them allows.
fn captured_arguments(model: &Model) -> TokenStream {
    let private = private();
    let (err, ok) = (&model.err, &model.ok);
    let captured = arguments::captured(&model.function, &quote!(#err #ok));
    let each = captured.iter().rev().map(|Captured { attrs, names }| {
        let configured: Vec<_> = attrs.iter().filter(|attr| attr.path().is_ident("cfg")).collect();
        let each = names.iter().rev().map(|Name { ident, is_moved }| {
            if *is_moved || model.function.sig.asyncness.is_some() {
                quote! {
                    #[allow(clippy::used_underscore_binding)]
                    if false { #private::moved(#ident) }
                }
            } else {
                quote! {
                    #[allow(let_underscore_drop, let_underscore_lock, clippy::let_underscore_future)]
                    let _ = #ident;
                }
            }
        });
        let each = quote!(#(#each)*);
        if configured.is_empty() { each } else { quote!(#(#configured)* { #each }) }
    });
    quote!(#(#each)*)
}

/// The start of the operation, with the values of the labels as a tuple of references.
fn start(model: &Model) -> TokenStream {
    let values = model.labels.iter().map(|Label { value, .. }| by_reference(value));
    let values = quote!(#(#values,)*);
    // An error about a value that is not a label is reported at the value; with several, at the word `labels`, because
    // the compiler does not report which one it is.
    let at = match &model.labels[..] {
        [Label { value, .. }] => located_at_expr(value),
        _ => Span::call_site().located_at(model.labels_at),
    };
    let private = private_at(at);
    let start = if model.fields.is_empty() {
        quote_spanned!(at=> #private::Operation::start(&__IRONCORE_TELEMETRY_SITE, &(#values)))
    } else {
        let (count, fields) = (model.fields.len(), fields(model));
        quote_spanned!(at=> #private::Operation::start_with(&__IRONCORE_TELEMETRY_SITE, &(#values), #count, #fields))
    };
    if model.labels.is_empty() {
        return start;
    }
    quote_spanned!(at=> #private::Operation::labelled(&__IRONCORE_TELEMETRY_SITE, || #start))
}

/// The fields: a closure, which is called only when the span is sampled.
fn fields(model: &Model) -> TokenStream {
    let fields = hygienic("fields");
    let each = model.fields.iter().map(|Field { key, format, value }| {
        let at = located_at_expr(value);
        let (private, reference) = (private_at(at), by_reference(value));
        let value = match format {
            Format::Plain => quote_spanned!(at=> #private::value(#reference)),
            Format::Display => {
                quote_spanned!(at=> (&&#private::Formatted(#reference)).__ironcore_telemetry_as_display())
            }
            Format::Debug => quote_spanned!(at=> (&&#private::Formatted(#reference)).__ironcore_telemetry_as_debug()),
        };
        quote_spanned!(at=> #private::Fields::add(#fields, #key, || #value);)
    });
    let private = private();
    quote! {
        |#fields| {
            #[allow(unused_imports)]
            use #private::{AsDebug as _, AsDisplay as _};
            #[allow(clippy::needless_borrow)]
            {
                #(#each)*
            }
        }
    }
}

/// The judgement on the returned value: by the functions given as `err` and `ok`, else by its type. It is a closure, so
/// that it is called where the type is known.
fn judge(model: &Model) -> TokenStream {
    let (private, value, error) = (private(), hygienic("value"), hygienic("error"));
    let result = quote!(#private::core::result::Result);
    let split = quote!((&&#private::Returned(&*#value)).__ironcore_telemetry_split());
    let by_type = quote! {
        (&&#private::Opened::new(#value)).__ironcore_telemetry_open().unwrap_or_else(|| match #split {
            #result::Ok(#value) => (&&&#value).__ironcore_telemetry_verdict(),
            #result::Err(#error) => (&&&&#error).__ironcore_telemetry_verdict(),
        })
    };
    let judged = |by: &str, judge: &Expr| {
        let at = located_at_expr(judge);
        let (private, by) = (private_at(at), Ident::new(by, at));
        let mut value = value.clone();
        value.set_span(value.span().located_at(at));
        quote_spanned!(at=> #private::#by(#value, #judge))
    };
    let err = model.err.as_ref().map(|err| judged("judge_err", err));
    let ok = model.ok.as_ref().map(|ok| judged("judge_ok", ok));
    let verdict = match (err, ok) {
        (None, None) => by_type,
        (Some(one), None) | (None, Some(one)) => quote!(#one.unwrap_or_else(|| #by_type)),
        (Some(err), Some(ok)) => quote!(#err.or_else(|| #ok).unwrap_or_else(|| #by_type)),
    };
    let (of_verdict, at) = (hygienic("verdict"), model.record_error.unwrap_or_else(Span::call_site));
    let at = Span::call_site().located_at(at);
    let at_private = private_at(at);
    let described = quote!((&&&&&&#private::Described(#error.0)).__ironcore_telemetry_describe());
    let (is_result, of_error) = if model.record_error.is_some() {
        let is_result = quote_spanned!(at=> #at_private::is_result(&*#value););
        (is_result, quote_spanned!(at=> #at_private::Judgement::of_recorded_error(#of_verdict, || #described)))
    } else {
        (TokenStream::new(), quote!(#private::Judgement::of_error(#of_verdict, || #described)))
    };
    quote! {
        |#value| -> #private::Judgement {
            #[allow(unused_imports)]
            use #private::{
                ByDefault as _, ByOptional as _, ByOutcome as _, ByResponse as _, ByStatus as _, DescribeDisplay as _,
                DescribeError as _, DescribeHeld as _, DescribeHeldHere as _, DescribeNothing as _, DescribeSecret as _,
                OpenErrorResponse as _, OpenNothing as _, SplitNothing as _, SplitResult as _,
            };
            #[allow(clippy::needless_borrow)]
            {
                #is_result
                let #of_verdict = #verdict;
                match #split {
                    #result::Ok(_) => #private::core::convert::From::from(#of_verdict),
                    #result::Err(#error) => #of_error,
                }
            }
        }
    }
}

/// A reference to the user's expression, which is not moved. Errors are reported at the expression.
fn by_reference(value: &Expr) -> TokenStream {
    quote_spanned!(located_at_expr(value)=> &(#value))
}

/// The place of the user's expression for tokens of ours: errors are reported there, and lints on style skip them.
fn located_at_expr(value: &Expr) -> Span {
    Span::call_site().located_at(value.span())
}

/// The static of this function, and its entry in the list of all statics. Items are not hygienic, hence the long name.
fn site(model: &Model) -> TokenStream {
    let Model { domain, operation, function, .. } = model;
    let private = private();
    let labels = model.labels.iter().map(|label| &label.key);
    let fields = model.fields.iter().map(|field| &field.key);
    let name = format!("{domain}.{operation}");
    let codes = hygienic("codes");
    let codes = match &model.error {
        None => quote!(|_| {}),
        Some(ErrorType { of, unknown }) => {
            let known = quote! {
                (&&#private::CodesOf::<#of>::new()).__ironcore_telemetry_codes(#codes);
            };
            // A name is looked up in the inner block, where it is what the module has under it, then in the outer one:
            // the parameters of a block around the function are never reached.
            let known = if unknown.is_empty() {
                known
            } else {
                quote! {
                    #(#[allow(unused, clippy::all, clippy::pedantic)] enum #unknown {})*
                    #[allow(unused, clippy::all, clippy::pedantic)]
                    {
                        use self::*;
                        #known
                    }
                }
            };
            quote! {
                |#codes| {
                    #[allow(unused_imports)]
                    use #private::{CodesByOutcome as _, NoCodes as _};
                    #[allow(clippy::needless_borrow)]
                    {
                        #known
                    }
                }
            }
        }
    };
    let ident = function.sig.ident.to_string();
    quote! {
        static __IRONCORE_TELEMETRY_SITE: #private::Site = #private::Site::new(#private::Spec {
            domain: #domain,
            operation: #operation,
            name: #name,
            function: #private::core::concat!(#private::core::module_path!(), "::", #ident),
            file: #private::core::file!(),
            line: #private::core::line!(),
            labels: &[#(#labels),*],
            fields: &[#(#fields),*],
            codes: #codes,
        });
        const _: () = {
            #[#private::linkme::distributed_slice(#private::SITES)]
            #[linkme(crate = #private::linkme)]
            static ENTRY: &#private::Site = &__IRONCORE_TELEMETRY_SITE;
        };
    }
}

/// A return that is never executed: it fixes the type of an async block, which `?` and `into` need, and lets the
/// compiler report a mismatch at the user's own expression.
fn return_hint(sig: &Signature, output: Option<&Type>) -> TokenStream {
    let output = match output {
        // The type is unknown or has no name.
        None | Some(Type::ImplTrait(_)) => return TokenStream::new(),
        Some(output) => inferred(output, sig),
    };
    // The place that the compiler names as the origin of the type.
    let at = Span::call_site().located_at(match &sig.output {
        ReturnType::Default => sig.ident.span(),
        ReturnType::Type(_, output) => output.span(),
    });
    quote_spanned! {at=>
        #[allow(unreachable_code, clippy::diverging_sub_expression, clippy::let_unit_value, clippy::empty_loop)]
        if false {
            let never: #output = loop {};
            return never;
        }
    }
}

/// The name of the library's hidden module in the expansion. Imports are not hygienic, hence the long name.
fn private() -> Ident {
    private_at(Span::call_site())
}

/// The same name at another place, so that errors about a value are reported there.
fn private_at(at: Span) -> Ident {
    Ident::new("__ironcore_telemetry", at)
}

fn operation() -> Ident {
    hygienic("operation")
}

/// A name that the user's code cannot see. It could still be that of a static of the user, hence the prefix.
fn hygienic(name: &str) -> Ident {
    format_ident!("__{name}", span = Span::mixed_site())
}

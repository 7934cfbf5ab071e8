//! From the model to tokens. The expansion names nothing but the library's hidden private module.

#[cfg(test)]
mod tests;

use crate::block::Block;
use crate::body::{Body, BoxedBody, future_output};
use crate::model::{Instrumented, Model};
use crate::named::{Field, How, Label};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::{VisitMut, visit_type_mut};
use syn::{AttrStyle, Expr, ImplItem, ItemFn, ReturnType, Signature, Type, parse_quote};

pub(crate) fn expand(item: Instrumented) -> TokenStream {
    match item {
        Instrumented::Function(model) => function(&model),
        Instrumented::Block(block) => methods(*block),
    }
}

fn methods(Block { mut item, methods }: Block) -> TokenStream {
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
            let hint = return_hint(sig, Some(&returned(&sig.output)));
            let future = quote!(async move { #hint #[allow(unused_braces)] #block });
            recorded(model, &async_call(model, &future))
        }
        Body::Boxed(boxed) => {
            let BoxedBody { before, names, pin, attrs, block } = &**boxed;
            let hint = return_hint(sig, future_output(&returned(&sig.output)));
            let future = quote!(#(#attrs)* async move { #hint #[allow(unused_braces)] #block });
            let work = recorded(model, &async_call(model, &future));
            quote!(#(#before)* #pin(async move { #(#names)* #work }))
        }
    };
    quote! {
        #(#outer)*
        #vis #sig {
            #(#inner)*
            #body
        }
    }
}

/// The static of the function, and the call with its verdict. The library is named in one place: when it is not there, the
/// compiler says so once.
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
    // What is told of the arguments is told before they are moved into the future.
    quote! {
        let #operation = #start;
        #private::Operation::run(#operation, #future, #judge).await
    }
}

fn sync_call(model: &Model) -> TokenStream {
    let (private, operation, judge) = (private(), operation(), judge(model));
    let start = start(model);
    let ItemFn { sig, block, .. } = &model.function;
    let output = closure_output(&sig.output);
    quote! {
        let #operation = #start;
        #private::Operation::call(#operation, move || #output #block, #judge)
    }
}

/// The start of the operation, with the values of the labels as a tuple of references.
fn start(model: &Model) -> TokenStream {
    let values = model.labels.iter().map(|Label { value, .. }| by_reference(value));
    let values = quote!(#(#values,)*);
    // What is no label is said at it, or at the word before several: the compiler does not tell which of them it was.
    let at = match &model.labels[..] {
        [Label { value, .. }] => ours_at(value),
        _ => Span::call_site().located_at(model.labels_at),
    };
    let private = private_at(at);
    if model.fields.is_empty() {
        return quote_spanned!(at=> #private::Operation::start(&__IRONCORE_TELEMETRY_SITE, &(#values)));
    }
    let (count, fields) = (model.fields.len(), fields(model));
    quote_spanned!(at=> #private::Operation::start_with(&__IRONCORE_TELEMETRY_SITE, &(#values), #count, #fields))
}

/// The fields: a closure, which is called only when somebody will see them.
fn fields(model: &Model) -> TokenStream {
    let fields = hygienic("fields");
    let each = model.fields.iter().map(|Field { key, how, value }| {
        let at = ours_at(value);
        let (private, reference) = (private_at(at), by_reference(value));
        let value = match how {
            How::Plain => quote_spanned!(at=> #private::value(#reference)),
            How::Display => quote_spanned!(at=> (&&#private::Shown(#reference)).as_display()),
            How::Debug => quote_spanned!(at=> (&&#private::Shown(#reference)).as_debug()),
        };
        quote_spanned!(at=> #private::Fields::add(#fields, #key, #value);)
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

/// How the value is judged, by the function's own judges or else by its type: a closure, so that it is done where the
/// type is known.
fn judge(model: &Model) -> TokenStream {
    let (private, value) = (private(), hygienic("value"));
    let by_type = quote!((&&&#private::Probe(#value)).verdict());
    let judged = |by: &str, judge: &Expr| {
        let at = ours_at(judge);
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
    quote! {
        |#value| {
            #[allow(unused_imports)]
            use #private::{ByDefault as _, ByOutcome as _, ByResult as _};
            #[allow(clippy::needless_borrow)]
            #verdict
        }
    }
}

/// A reference to the user's expression, which is not moved. What is wrong with it is said where it stands.
fn by_reference(value: &Expr) -> TokenStream {
    quote_spanned!(ours_at(value)=> &(#value))
}

/// The place of the user's expression, for tokens that are ours: lints on style do not look at them.
fn ours_at(value: &Expr) -> Span {
    Span::call_site().located_at(value.span())
}

/// The static of this function, and its entry in the list of all. Items are not hygienic: the name is one that nobody
/// else uses.
fn site(model: &Model) -> TokenStream {
    let Model { domain, operation, function, .. } = model;
    let private = private();
    let labels = model.labels.iter().map(|label| &label.key);
    let name = format!("{domain}.{operation}");
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
        });
        const _: () = {
            #[#private::linkme::distributed_slice(#private::SITES)]
            #[linkme(crate = #private::linkme)]
            static ENTRY: &#private::Site = &__IRONCORE_TELEMETRY_SITE;
        };
    }
}

/// A return that is never taken: it fixes the type of an async block, which `?` and `into` need, and lets the
/// compiler report a mismatch at the user's own expression.
fn return_hint(sig: &Signature, output: Option<&Type>) -> TokenStream {
    let output = match output {
        // Nothing is known of it here.
        None | Some(Type::ImplTrait(_)) => return TokenStream::new(),
        Some(output) => inferred(output),
    };
    // Where the compiler says that it has the type from.
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

fn returned(output: &ReturnType) -> Type {
    match output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, output) => (**output).clone(),
    }
}

fn closure_output(output: &ReturnType) -> TokenStream {
    let output = inferred(&returned(output));
    quote!(-> #output)
}

/// The return type with `_` for each `impl Trait`, which may stand only in the signature itself.
fn inferred(output: &Type) -> TokenStream {
    struct Inferred;
    impl VisitMut for Inferred {
        fn visit_type_mut(&mut self, part: &mut Type) {
            if matches!(part, Type::ImplTrait(_)) {
                *part = parse_quote!(_);
            } else {
                visit_type_mut(self, part);
            }
        }
    }
    let mut output = output.clone();
    Inferred.visit_type_mut(&mut output);
    quote!(#output)
}

/// The library's hidden module, as the expansion calls it: items are not hygienic, so by a name that nobody else uses.
fn private() -> Ident {
    private_at(Span::call_site())
}

/// The same at another place, so that what is wrong with a value is said there.
fn private_at(at: Span) -> Ident {
    Ident::new("__ironcore_telemetry", at)
}

fn operation() -> Ident {
    hygienic("operation")
}

/// A name that the user's code cannot see.
fn hygienic(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

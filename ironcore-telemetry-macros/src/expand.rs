//! From the model to tokens. The expansion names only the library's hidden private module.

use crate::model::{Body, BoxedBody, Model};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::visit_mut::{VisitMut, visit_type_mut};
use syn::{AttrStyle, ItemFn, ReturnType, Type, parse_quote};

pub(crate) fn expand(model: &Model) -> TokenStream {
    let Model {
        function:
            ItemFn {
                attrs,
                vis,
                sig,
                block,
            },
        body,
        ..
    } = model;
    let (outer, inner): (Vec<_>, Vec<_>) = attrs
        .iter()
        .partition(|attr| matches!(attr.style, AttrStyle::Outer));
    let body = match body {
        Body::Sync => recorded(model, &sync_call(model)),
        Body::Async => {
            let hint = return_hint(&sig.output);
            recorded(
                model,
                &async_call(
                    model,
                    &quote!(async move { #hint #[allow(unused_braces)] #block }),
                ),
            )
        }
        Body::Boxed(boxed) => {
            let BoxedBody {
                before,
                pin,
                attrs,
                block,
            } = &**boxed;
            let work = recorded(
                model,
                &async_call(model, &quote!(#(#attrs)* async move #block)),
            );
            quote!(#(#before)* #pin(async move { #work }))
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

/// The static of the function, and the call with its verdict.
fn recorded(model: &Model, call: &TokenStream) -> TokenStream {
    let site = site(model);
    quote! {
        #site
        #call
    }
}

/// How the value is judged: a closure, so that it is done where the value's type is known.
fn judge(model: &Model) -> TokenStream {
    let (private, value) = (private(model), hygienic("value"));
    quote! {
        |#value| {
            #[allow(unused_imports)]
            use #private::{ByDefault as _, ByOutcome as _, ByResult as _};
            #[allow(clippy::needless_borrow)]
            (&&&#private::Probe(#value)).verdict()
        }
    }
}

fn async_call(model: &Model, future: &TokenStream) -> TokenStream {
    let (private, judge) = (private(model), judge(model));
    let work = hygienic("work");
    quote! {
        let #work = #future;
        if #private::Operation::is_off() {
            return #work.await;
        }
        #private::Operation::record(&__IRONCORE_TELEMETRY_SITE, #work, #judge).await
    }
}

fn sync_call(model: &Model) -> TokenStream {
    let (private, operation, judge) = (private(model), operation(), judge(model));
    let ItemFn { sig, block, .. } = &model.function;
    let output = closure_output(&sig.output);
    quote! {
        let #operation = #private::Operation::start(&__IRONCORE_TELEMETRY_SITE, &(), 0);
        #private::Operation::call(#operation, move || #output #block, #judge)
    }
}

/// The static of this function, and its entry in the list of all. Items are not hygienic: the name is one that nobody
/// else uses.
fn site(model: &Model) -> TokenStream {
    let Model {
        domain,
        operation,
        function,
        ..
    } = model;
    let private = private(model);
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
            labels: &[],
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
fn return_hint(output: &ReturnType) -> TokenStream {
    let output = match output {
        ReturnType::Default => quote!(()),
        // Nothing is known of it here.
        ReturnType::Type(_, output) if matches!(**output, Type::ImplTrait(_)) => {
            return TokenStream::new();
        }
        ReturnType::Type(_, output) => inferred(output),
    };
    quote! {
        #[allow(unreachable_code, clippy::diverging_sub_expression, clippy::let_unit_value, clippy::empty_loop)]
        if false {
            let never: #output = loop {};
            return never;
        }
    }
}

fn closure_output(output: &ReturnType) -> TokenStream {
    match output {
        ReturnType::Default => quote!(-> ()),
        ReturnType::Type(_, output) => {
            let output = inferred(output);
            quote!(-> #output)
        }
    }
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

fn private(model: &Model) -> TokenStream {
    let library = &model.library;
    quote!(#library::__private)
}

fn operation() -> Ident {
    hygienic("operation")
}

/// A name that the user's code cannot see.
fn hygienic(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

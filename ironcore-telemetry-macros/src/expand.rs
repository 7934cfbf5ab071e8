//! From the model to tokens. The expansion names only the library's hidden private module.

use crate::model::Model;
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{ItemFn, ReturnType, Type};

pub(crate) fn expand(model: &Model) -> TokenStream {
    let Model {
        function:
            ItemFn {
                attrs,
                vis,
                sig,
                block,
            },
        library,
        ..
    } = model;
    let site = site(model);
    let private = quote!(#library::__private);
    let [operation, result] = ["operation", "result"].map(hygienic);
    let judge = quote! {
        #[allow(unused_imports, clippy::needless_borrow)]
        {
            use #private::{ByDefault as _, ByOutcome as _, ByResult as _};
            #private::Operation::finish(#operation, (&&&#private::Probe(&#result)).verdict());
        }
        #result
    };
    let call = if sig.asyncness.is_some() {
        let hint = return_hint(&sig.output);
        quote! {
            let #result = #private::Operation::attach(&#operation, async move { #hint #block }).await;
        }
    } else {
        let output = closure_output(&sig.output);
        quote! {
            let #result = {
                let _current = #private::Operation::enter(&#operation);
                #[allow(clippy::redundant_closure_call)]
                (move || #output #block)()
            };
        }
    };
    quote! {
        #(#attrs)*
        #vis #sig {
            #site
            let #operation = #private::Operation::start(&SITE);
            #call
            #judge
        }
    }
}

/// The static of this function, and its entry in the list of all.
fn site(
    Model {
        domain,
        operation,
        library,
        function,
    }: &Model,
) -> TokenStream {
    let private = quote!(#library::__private);
    let name = format!("{domain}.{operation}");
    let ident = function.sig.ident.to_string();
    quote! {
        static SITE: #private::Site = #private::Site::new(
            #domain,
            #operation,
            #name,
            #private::core::concat!(#private::core::module_path!(), "::", #ident),
        );
        const _: () = {
            #[#private::linkme::distributed_slice(#private::SITES)]
            #[linkme(crate = #private::linkme)]
            static ENTRY: &#private::Site = &SITE;
        };
    }
}

/// A return that is never taken: it fixes the type of an async block, which `?` and `into` need, and lets the
/// compiler report a mismatch at the user's own expression.
fn return_hint(output: &ReturnType) -> TokenStream {
    match known_type(output) {
        Some(output) => quote! {
            #[allow(unreachable_code, clippy::diverging_sub_expression, clippy::let_unit_value, clippy::empty_loop)]
            if false {
                let never: #output = loop {};
                return never;
            }
        },
        None => TokenStream::new(),
    }
}

fn closure_output(output: &ReturnType) -> TokenStream {
    match known_type(output) {
        Some(output) => quote!(-> #output),
        None => TokenStream::new(),
    }
}

/// The return type, when it can be written in a position other than that of a function's return: `impl Trait` cannot.
fn known_type(output: &ReturnType) -> Option<TokenStream> {
    match output {
        ReturnType::Default => Some(quote!(())),
        ReturnType::Type(_, output) if holds_impl_trait(output) => None,
        ReturnType::Type(_, output) => Some(quote!(#output)),
    }
}

fn holds_impl_trait(output: &Type) -> bool {
    struct Finder(bool);
    impl<'ast> syn::visit::Visit<'ast> for Finder {
        fn visit_type_impl_trait(&mut self, _: &'ast syn::TypeImplTrait) {
            self.0 = true;
        }
    }
    let mut finder = Finder(false);
    syn::visit::Visit::visit_type(&mut finder, output);
    finder.0
}

/// A name that the user's code cannot see.
fn hygienic(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

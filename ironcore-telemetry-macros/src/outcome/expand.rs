//! From the model of `#[derive(Outcome)]` to tokens.

use super::{Class, Model, Verdict, Verdicts};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use std::collections::HashSet;
use syn::visit_mut::{VisitMut, visit_path_mut};
use syn::{DeriveInput, Generics, Path, Type, parse_quote};

pub(super) fn expand(model: &Model) -> TokenStream {
    let Model { item: DeriveInput { ident, generics, .. }, library, verdicts } = model;
    let private = quote!(#library::__private);
    let all: Vec<(TokenStream, &Verdict)> = match verdicts {
        Verdicts::Struct(verdict) => vec![(quote!(Self), verdict)],
        Verdicts::Enum(variants) => {
            variants.iter().map(|(variant, verdict)| (quote!(Self::#variant), verdict)).collect()
        }
        Verdicts::Unknown => Vec::new(),
    };
    let (class, code) = if matches!(verdicts, Verdicts::Unknown) {
        (quote!(#private::OutcomeClass::Failed), quote!("error"))
    } else {
        let classes = all.iter().map(|(path, verdict)| class(&private, path, verdict));
        let codes = all.iter().map(|(path, verdict)| code(&private, path, verdict));
        // By value: a type without variants has no references to look at.
        (quote!(match *self { #(#classes)* }), quote!(match *self { #(#codes)* }))
    };
    let generics = bounded(generics, &private, all.iter().map(|(_, verdict)| *verdict));
    let (parameters, arguments, conditions) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        #[allow(deprecated, clippy::match_same_arms)]
        impl #parameters #private::Outcome for #ident #arguments #conditions {
            fn class(&self) -> #private::OutcomeClass {
                #class
            }

            fn code(&self) -> &'static #private::core::primitive::str {
                #code
            }
        }
    }
}

fn class(private: &TokenStream, path: &TokenStream, verdict: &Verdict) -> TokenStream {
    match verdict {
        Verdict::Own { class, .. } => {
            let class = Ident::new(class.name(), Span::call_site());
            quote!(#path { .. } => #private::OutcomeClass::#class,)
        }
        Verdict::Forward { field, at, .. } => {
            let call = asked(private, "class", *at);
            quote!(#path { #field: ref source, .. } => #call,)
        }
    }
}

fn code(private: &TokenStream, path: &TokenStream, verdict: &Verdict) -> TokenStream {
    match verdict {
        Verdict::Own { code, .. } => quote!(#path { .. } => #code,),
        Verdict::Forward { field, at, .. } => {
            let call = asked(private, "code", *at);
            quote!(#path { #field: ref source, .. } => #call,)
        }
    }
}

/// What the source says; that it says nothing is an error at the word `forward`.
fn asked(private: &TokenStream, what: &str, at: Span) -> TokenStream {
    let at = Span::call_site().located_at(at);
    let what = Ident::new(what, at);
    quote_spanned!(at=> #private::Outcome::#what(source))
}

/// With a bound for each source whose type hangs on a parameter.
fn bounded<'a>(generics: &Generics, private: &TokenStream, verdicts: impl Iterator<Item = &'a Verdict>) -> Generics {
    let mut generics = generics.clone();
    let parameters: HashSet<Ident> = generics.type_params().map(|one| one.ident.clone()).collect();
    if parameters.is_empty() {
        return generics;
    }
    for verdict in verdicts {
        if let Verdict::Forward { of, .. } = verdict
            && names_one(of, &parameters)
        {
            let conditions = generics.make_where_clause();
            conditions.predicates.push(parse_quote!(#of: #private::Outcome));
        }
    }
    generics
}

/// Whether the type names one of the parameters.
fn names_one(of: &Type, parameters: &HashSet<Ident>) -> bool {
    struct Search<'a> {
        parameters: &'a HashSet<Ident>,
        found: bool,
    }
    impl VisitMut for Search<'_> {
        fn visit_path_mut(&mut self, path: &mut Path) {
            let first = path.segments.first().map(|segment| &segment.ident);
            self.found |= first.is_some_and(|first| self.parameters.contains(first));
            visit_path_mut(self, path);
        }
    }
    let mut search = Search { parameters, found: false };
    search.visit_type_mut(&mut of.clone());
    search.found
}

impl Class {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "Ok",
            Self::Rejected => "Rejected",
            Self::Failed => "Failed",
        }
    }
}

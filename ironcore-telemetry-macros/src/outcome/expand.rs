//! From the rules of `#[derive(Outcome)]` to tokens.

use super::{Rule, Rules};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use std::collections::HashSet;
use syn::visit_mut::{VisitMut, visit_path_mut};
use syn::{DeriveInput, Generics, Path, Type, parse_quote};

pub(super) fn expand(DeriveInput { ident, generics, .. }: &DeriveInput, library: &Path, rules: &Rules) -> TokenStream {
    let private = quote!(#library::__private);
    let all: Vec<(TokenStream, &Rule)> = match rules {
        Rules::Struct(rule) => vec![(quote!(Self), rule)],
        Rules::Enum(variants) => variants.iter().map(|(variant, rule)| (quote!(Self::#variant), rule)).collect(),
        Rules::Invalid => Vec::new(),
    };
    let (class, code) = if matches!(rules, Rules::Invalid) {
        (quote!(#private::OutcomeClass::Failed), quote!("error"))
    } else {
        let classes = all.iter().map(|(path, rule)| class(&private, path, rule));
        let codes = all.iter().map(|(path, rule)| code(&private, path, rule));
        // By value: a reference to an enum without variants would need an arm.
        (quote!(match *self { #(#classes)* }), quote!(match *self { #(#codes)* }))
    };
    let generics = with_bounds(generics, &private, all.iter().map(|(_, rule)| *rule));
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

fn class(private: &TokenStream, path: &TokenStream, rule: &Rule) -> TokenStream {
    match rule {
        Rule::Own { class, .. } => {
            let class = Ident::new(class.name(), Span::call_site());
            quote!(#path { .. } => #private::OutcomeClass::#class,)
        }
        Rule::Forward { field, at, .. } => {
            let call = forwarded(private, "class", *at);
            quote!(#path { #field: ref source, .. } => #call,)
        }
    }
}

fn code(private: &TokenStream, path: &TokenStream, rule: &Rule) -> TokenStream {
    match rule {
        Rule::Own { code, .. } => quote!(#path { .. } => #code,),
        Rule::Forward { field, at, .. } => {
            let call = forwarded(private, "code", *at);
            quote!(#path { #field: ref source, .. } => #call,)
        }
    }
}

/// The call on the source. When the source does not implement `Outcome`, the error is reported at the word `forward`.
fn forwarded(private: &TokenStream, method: &str, at: Span) -> TokenStream {
    let at = Span::call_site().located_at(at);
    let method = Ident::new(method, at);
    quote_spanned!(at=> #private::Outcome::#method(source))
}

/// The generics with a bound on each source whose type names a type parameter.
fn with_bounds<'a>(generics: &Generics, private: &TokenStream, rules: impl Iterator<Item = &'a Rule>) -> Generics {
    let mut generics = generics.clone();
    let parameters: HashSet<Ident> = generics.type_params().map(|one| one.ident.clone()).collect();
    if parameters.is_empty() {
        return generics;
    }
    for rule in rules {
        if let Rule::Forward { of, .. } = rule
            && names_any(of, &parameters)
        {
            let conditions = generics.make_where_clause();
            conditions.predicates.push(parse_quote!(#of: #private::Outcome));
        }
    }
    generics
}

/// Whether the type names one of the parameters.
fn names_any(of: &Type, parameters: &HashSet<Ident>) -> bool {
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

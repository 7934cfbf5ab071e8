//! From the rules of `#[derive(Outcome)]` to tokens.

use super::{Rule, Rules};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use std::collections::HashSet;
use syn::visit_mut::{VisitMut, visit_path_mut};
use syn::{
    DeriveInput, GenericArgument, Generics, Path, PathArguments, TraitBoundModifier, Type, TypeParamBound, parse_quote,
};

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
    let known = all.iter().filter_map(|(_, rule)| known(&private, rule, generics));
    let known = quote!(#(#known)*);
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

            fn known_codes(__codes: &mut #private::KnownCodes)
            where
                Self: #private::core::marker::Sized,
            {
                #[allow(unused_imports)]
                use #private::{CodesByOutcome as _, NoCodes as _};
                #[allow(clippy::needless_borrow)]
                if #private::KnownCodes::enter(__codes, #private::core::any::type_name::<Self>()) {
                    #known
                }
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
            quote!(#path { #field: ref __source, .. } => #call,)
        }
    }
}

fn code(private: &TokenStream, path: &TokenStream, rule: &Rule) -> TokenStream {
    match rule {
        Rule::Own { code, .. } => quote!(#path { .. } => #code,),
        Rule::Forward { field, at, .. } => {
            let call = forwarded(private, "code", *at);
            quote!(#path { #field: ref __source, .. } => #call,)
        }
    }
}

/// Adds the codes of a rule; `None` where they belong to a type that is not known to have a size.
fn known(private: &TokenStream, rule: &Rule, generics: &Generics) -> Option<TokenStream> {
    match rule {
        Rule::Own { class, code } => {
            let class = Ident::new(class.name(), Span::call_site());
            Some(quote!(#private::KnownCodes::add(__codes, #private::OutcomeClass::#class, #code);))
        }
        Rule::Forward { of, .. } => {
            let parameters: HashSet<Ident> = generics.type_params().map(|one| one.ident.clone()).collect();
            let inner = pointee(of).filter(|inner| !names_any(inner, &parameters));
            let is_sized = generics.type_params().all(|one| !one.bounds.iter().any(is_maybe_sized));
            let of = inner.unwrap_or(of);
            if !is_sized && names_any(of, &parameters) || matches!(of, Type::TraitObject(_)) {
                return None;
            }
            // A source without an outcome is reported once, by the calls of its methods.
            Some(quote!((&&#private::CodesOf::<#of>::new()).__ironcore_telemetry_codes(__codes);))
        }
    }
}

/// `T` of `Box<T>`, `Arc<T>` and `Rc<T>`.
fn pointee(of: &Type) -> Option<&Type> {
    let Type::Path(of) = of else {
        return None;
    };
    let last = of.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    let is_pointer = ["Box", "Arc", "Rc"].iter().any(|name| last.ident == name);
    match (is_pointer, arguments.args.first()) {
        (true, Some(GenericArgument::Type(inner))) if arguments.args.len() == 1 => Some(inner),
        _ => None,
    }
}

fn is_maybe_sized(bound: &TypeParamBound) -> bool {
    matches!(bound, TypeParamBound::Trait(bound) if matches!(bound.modifier, TraitBoundModifier::Maybe(_)))
}

/// The call on the source. When the source does not implement `Outcome`, the error is reported at the word `forward`.
fn forwarded(private: &TokenStream, method: &str, at: Span) -> TokenStream {
    let at = Span::call_site().located_at(at);
    let method = Ident::new(method, at);
    quote_spanned!(at=> #private::Outcome::#method(__source))
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

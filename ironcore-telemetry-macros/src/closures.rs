//! Functions that return closures: `-> impl Fn(&str) -> Option<&str>`.
//!
//! The compiler infers the arguments of such a closure from the signature, where the closure is the value of the
//! function's body. In a body that is a closure or a block of its own it does not. There the value is passed through a
//! function that repeats the bounds, so that it is inferred from them. The repeated function is an item, which cannot
//! name what belongs to the call (type parameters, `Self`, named lifetimes): such types are parameters of it, which are
//! given where it is called.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use std::collections::HashSet;
use syn::visit_mut::{VisitMut, visit_type_mut};
use syn::{GenericArgument, Lifetime, PathArguments, ReturnType, TraitBound, Type, TypeParamBound, TypeReference};

/// Passes the value of a body through a function with the bounds of the return type; the body itself when it returns no
/// closure.
pub(crate) fn with_bounds(output: &Type, private: &Ident, body: TokenStream) -> TokenStream {
    let mut hint = Hint { values: Vec::new(), inner: Vec::new(), has_unknown_bounds: false };
    let shape = hint.shape(output);
    if hint.has_unknown_bounds || !hint.values.iter().any(|(_, bounds)| !bounds.is_empty()) {
        return body;
    }
    let values = hint.values.iter().map(|(name, bounds)| quote!(#name: #(#bounds +)* #private::core::marker::Sized));
    let inner = hint.inner.iter().map(|Inner { name, bound, .. }| match bound {
        Bound::Sized => quote!(#name),
        Bound::None => quote!(#name: ?#private::core::marker::Sized),
        Bound::ToOwned => quote!(#name: ?#private::core::marker::Sized + #private::ToOwned),
    });
    let given = hint.values.iter().map(|_| quote!(_));
    let given = given.chain(hint.inner.iter().map(|Inner { of, .. }| quote!(#of)));
    quote! {
        {
            fn __ironcore_telemetry_returned<#(#values,)* #(#inner,)*>(value: #shape) -> #shape {
                value
            }
            __ironcore_telemetry_returned::<#(#given),*>(#body)
        }
    }
}

struct Hint {
    /// The parts of the return type, with the bounds of those that are closures.
    values: Vec<(Ident, Vec<TraitBound>)>,
    /// Types in the bounds that the item cannot name.
    inner: Vec<Inner>,
    /// Whether a parameter would stand where it may have to meet bounds that are not known: then there is no item.
    has_unknown_bounds: bool,
}

struct Inner {
    name: Ident,
    of: Type,
    bound: Bound,
}

/// What a parameter has to meet where it stands.
#[derive(Clone, Copy)]
enum Bound {
    None,
    Sized,
    ToOwned,
}

/// What the parameters of a type of the standard library have to meet; of other types it is not known.
fn bound_by(name: &Ident) -> Option<Bound> {
    match name.to_string().as_str() {
        "Cow" => Some(Bound::ToOwned),
        "Box" | "Rc" | "Arc" | "Ref" | "RefMut" | "MutexGuard" | "RwLockReadGuard" | "RwLockWriteGuard" => {
            Some(Bound::None)
        }
        "Option" | "Result" | "Vec" | "VecDeque" | "Poll" | "Pin" | "HashMap" | "BTreeMap" | "HashSet" | "BTreeSet"
        | "Iter" | "IterMut" | "Drain" => Some(Bound::Sized),
        _ => None,
    }
}

impl Hint {
    fn shape(&mut self, output: &Type) -> TokenStream {
        match output {
            Type::Tuple(tuple) if !tuple.elems.is_empty() => {
                let parts = tuple.elems.iter().map(|part| self.shape(part));
                quote!((#(#parts,)*))
            }
            Type::Paren(inner) => self.shape(&inner.elem),
            _ => {
                let bounds = match output {
                    Type::ImplTrait(of) => of.bounds.iter().filter_map(|bound| self.closure(bound)).collect(),
                    _ => Vec::new(),
                };
                let name = format_ident!("R{}", self.values.len(), span = Span::mixed_site());
                self.values.push((name.clone(), bounds));
                quote!(#name)
            }
        }
    }

    /// The bound, if it is one of closures, without what the item cannot name.
    fn closure(&mut self, bound: &TypeParamBound) -> Option<TraitBound> {
        const CLOSURES: [&str; 6] = ["Fn", "FnMut", "FnOnce", "AsyncFn", "AsyncFnMut", "AsyncFnOnce"];
        let TypeParamBound::Trait(bound) = bound else {
            return None;
        };
        let mut bound = bound.clone();
        let last = bound.path.segments.last_mut()?;
        let PathArguments::Parenthesized(arguments) = &mut last.arguments else {
            return None;
        };
        if !CLOSURES.iter().any(|name| last.ident == name) {
            return None;
        }
        let declared = bound.lifetimes.iter().flat_map(|lifetimes| &lifetimes.lifetimes);
        let declared: HashSet<Ident> = declared
            .filter_map(|parameter| match parameter {
                syn::GenericParam::Lifetime(one) => Some(one.lifetime.ident.clone()),
                _ => None,
            })
            .collect();
        for input in &mut arguments.inputs {
            self.rename(input, &declared, Bound::Sized);
        }
        if let ReturnType::Type(_, output) = &mut arguments.output {
            self.rename(output, &declared, Bound::Sized);
        }
        Some(bound)
    }

    /// Replaces the parts that the item may not be able to name by parameters: the largest ones without a lifetime of the
    /// bound. Of a path it cannot be said what it names, so each is replaced.
    fn rename(&mut self, part: &mut Type, declared: &HashSet<Ident>, bound: Bound) {
        if !has_own_lifetime(part, declared) {
            if let (Type::Slice(slice), Bound::None | Bound::Sized) = (&mut *part, bound) {
                self.rename(&mut slice.elem, declared, Bound::Sized);
            } else if matches!(part, Type::TraitObject(_)) {
                // Its own lifetime depends on where it stands.
                self.has_unknown_bounds |= has_names(part);
            } else if !is_primitive(part) {
                let name = format_ident!("P{}", self.inner.len(), span = Span::mixed_site());
                let of = std::mem::replace(part, syn::parse_quote!(#name));
                self.inner.push(Inner { name, of, bound });
            }
            return;
        }
        match part {
            Type::Reference(TypeReference { elem, .. }) => self.rename(elem, declared, Bound::None),
            Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(|part| self.rename(part, declared, Bound::Sized)),
            Type::Array(array) => self.rename(&mut array.elem, declared, Bound::Sized),
            Type::Slice(slice) => self.rename(&mut slice.elem, declared, Bound::Sized),
            Type::Paren(inner) => self.rename(&mut inner.elem, declared, bound),
            Type::Path(path) => {
                for segment in &mut path.path.segments {
                    let bound = bound_by(&segment.ident);
                    if let PathArguments::AngleBracketed(arguments) = &mut segment.arguments {
                        for argument in &mut arguments.args {
                            if let GenericArgument::Type(part) = argument {
                                let before = self.inner.len();
                                self.rename(part, declared, bound.unwrap_or(Bound::Sized));
                                self.has_unknown_bounds |= bound.is_none() && self.inner.len() > before;
                            }
                        }
                    }
                }
            }
            Type::TraitObject(_) | Type::BareFn(_) if has_names(part) => self.has_unknown_bounds = true,
            _ => {}
        }
    }
}

/// Whether the type is one of the language: `str`, `u8`, `()`.
fn is_primitive(part: &Type) -> bool {
    match part {
        Type::Path(of) => {
            let name = of.path.get_ident().map(Ident::to_string);
            of.qself.is_none() && name.is_some_and(|name| name.starts_with(|first: char| first.is_ascii_lowercase()))
        }
        Type::Tuple(of) => of.elems.is_empty(),
        _ => false,
    }
}

/// Whether a type may name what belongs to the call: a lifetime, or a type that is not one of the language.
fn has_names(part: &Type) -> bool {
    struct Search(bool);

    impl VisitMut for Search {
        fn visit_type_mut(&mut self, part: &mut Type) {
            self.0 |= matches!(part, Type::Path(_)) && !is_primitive(part);
            visit_type_mut(self, part);
        }

        fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
            self.0 |= lifetime.ident != "_" && lifetime.ident != "static";
        }
    }

    let mut search = Search(false);
    search.visit_type_mut(&mut part.clone());
    search.0
}

/// Whether a type has a lifetime that belongs to the bound: one that it declares, or one that is left out.
fn has_own_lifetime(part: &Type, declared: &HashSet<Ident>) -> bool {
    struct Search<'a> {
        declared: &'a HashSet<Ident>,
        found: bool,
    }

    impl VisitMut for Search<'_> {
        fn visit_type_mut(&mut self, part: &mut Type) {
            self.found |= matches!(part, Type::Reference(TypeReference { lifetime: None, .. }));
            visit_type_mut(self, part);
        }

        fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
            self.found |= lifetime.ident == "_" || self.declared.contains(&lifetime.ident);
        }
    }

    let mut search = Search { declared, found: false };
    search.visit_type_mut(&mut part.clone());
    search.found
}

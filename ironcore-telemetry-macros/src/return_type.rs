//! Facts about a return type that can be read from its tokens.

use proc_macro2::TokenStream;
use quote::quote;
use syn::visit_mut::{VisitMut, visit_type_mut};
use syn::{
    GenericArgument, Lifetime, PathArguments, PathSegment, ReturnType, Signature, Type, TypeBareFn, TypeParamBound,
    TypeTraitObject, parse_quote,
};

/// The type after `->`; `()` when there is none.
pub(crate) fn returned(output: &ReturnType) -> Type {
    match output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, output) => (**output).clone(),
    }
}

/// Whether the function returns `()`, or a future of it.
pub(crate) fn is_unit(output: &ReturnType) -> bool {
    let ReturnType::Type(_, output) = output else {
        return true;
    };
    let output = future_output(output).unwrap_or(output);
    matches!(output, Type::Tuple(tuple) if tuple.elems.is_empty())
}

/// The return type with `_` for each `impl Trait`, which is allowed only in the signature itself, and `'_` for each
/// lifetime of the function: for lints, the body uses none that the user has not written there.
pub(crate) fn inferred(output: &Type, sig: &Signature) -> TokenStream {
    struct Inferred<'sig>(Vec<&'sig Lifetime>);

    impl VisitMut for Inferred<'_> {
        fn visit_type_mut(&mut self, part: &mut Type) {
            if matches!(part, Type::ImplTrait(_)) {
                *part = parse_quote!(_);
            } else {
                visit_type_mut(self, part);
            }
        }

        // In `dyn Fn(…) -> …` and the like, `'_` would be a lifetime of their arguments.
        fn visit_type_trait_object_mut(&mut self, _: &mut TypeTraitObject) {}

        fn visit_type_bare_fn_mut(&mut self, _: &mut TypeBareFn) {}

        fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
            if self.0.iter().any(|of_function| of_function.ident == lifetime.ident) {
                *lifetime = Lifetime::new("'_", lifetime.span());
            }
        }
    }

    let mut output = output.clone();
    Inferred(sig.generics.lifetimes().map(|one| &one.lifetime).collect()).visit_type_mut(&mut output);
    quote!(#output)
}

/// Whether the type is `impl Future<…>` or a pinned box of one.
pub(crate) fn is_future(output: &Type) -> bool {
    match output {
        Type::ImplTrait(output) => future_bound(&output.bounds).is_some(),
        Type::TraitObject(output) => future_bound(&output.bounds).is_some(),
        Type::Path(output) => output.path.segments.last().is_some_and(|segment| {
            let wraps = segment.ident == "Pin" || segment.ident == "Box";
            segment.ident == "BoxFuture"
                || segment.ident == "LocalBoxFuture"
                || (wraps && type_arguments(segment).any(is_future))
        }),
        _ => false,
    }
}

/// The output of a future type, where its tokens name it: `T` of `Pin<Box<dyn Future<Output = T>>>`.
pub(crate) fn future_output(output: &Type) -> Option<&Type> {
    let bound = match output {
        Type::ImplTrait(output) => future_bound(&output.bounds),
        Type::TraitObject(output) => future_bound(&output.bounds),
        Type::Path(output) => {
            let segment = output.path.segments.last()?;
            return if segment.ident == "Pin" || segment.ident == "Box" {
                type_arguments(segment).find_map(future_output)
            } else if segment.ident == "BoxFuture" || segment.ident == "LocalBoxFuture" {
                type_arguments(segment).next()
            } else {
                None
            };
        }
        _ => None,
    };
    let PathArguments::AngleBracketed(arguments) = &bound?.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(bound) if bound.ident == "Output" => Some(&bound.ty),
        _ => None,
    })
}

/// The types in the angle brackets.
fn type_arguments(segment: &PathSegment) -> impl Iterator<Item = &Type> {
    let list = match &segment.arguments {
        PathArguments::AngleBracketed(list) => Some(list.args.iter()),
        _ => None,
    };
    list.into_iter().flatten().filter_map(|argument| match argument {
        GenericArgument::Type(inner) => Some(inner),
        _ => None,
    })
}

/// The bound that is `Future<…>`.
fn future_bound<'a>(bounds: impl IntoIterator<Item = &'a TypeParamBound>) -> Option<&'a PathSegment> {
    bounds.into_iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else {
            return None;
        };
        bound.path.segments.last().filter(|segment| segment.ident == "Future")
    })
}

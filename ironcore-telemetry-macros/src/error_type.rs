//! The error type of a function, where a static beside its body can name it.
//!
//! The static cannot name what belongs to one call: type parameters, `Self`, `impl Trait`. The parameters of an `impl`
//! around a method are not visible to the attribute on the method: a name that may be one is looked up in the module
//! first, and is else a type without codes. Inside of another type, whose bounds it would have to meet, it is left alone.
//! Only the codes that would stand at zero are lost.

use crate::return_type::{future_output, returned};
use std::collections::HashSet;
use syn::visit_mut::{VisitMut, visit_path_mut, visit_type_mut};
use syn::{GenericArgument, GenericParam, Generics, Ident, Lifetime, Path, PathArguments, Signature, Type, TypePath};

/// The error type of a function.
pub(crate) struct ErrorType {
    pub(crate) of: Type,
    /// The names in it that may be parameters of a block around the function.
    pub(crate) unknown: Vec<Ident>,
}

/// The type of the error of a `Result`; of another return type, or of an alias of `Result`, the type itself.
pub(crate) fn nameable(sig: &Signature, outer: Option<&Generics>) -> Option<ErrorType> {
    let output = returned(&sig.output);
    let output = if sig.asyncness.is_some() { &output } else { future_output(&output).unwrap_or(&output) };
    let Type::Path(of) = output else {
        return None;
    };
    let mut error = error_of_result(of).unwrap_or(output).clone();
    if !matches!(&error, Type::Path(of) if !is_primitive(&of.path)) {
        return None;
    }
    let mut names = Names::of(sig);
    if let Some(outer) = outer {
        names.add(outer);
    }
    if !names.can_name(&error) {
        return None;
    }
    let unknown = if outer.is_some() { Vec::new() } else { unknown(&error)? };
    StaticLifetimes.visit_type_mut(&mut error);
    Some(ErrorType { of: error, unknown })
}

/// The names that may be parameters of a block: the type itself, or parts of a `Result`, which bounds nothing.
fn unknown(error: &Type) -> Option<Vec<Ident>> {
    let mut found = Vec::new();
    let mut search = Unknown { found: &mut found };
    search.visit_type_mut(&mut error.clone());
    let may_be_unknown = match error {
        Type::Path(of) => of.path.get_ident().is_some() || of.path.segments.last()?.ident == "Result",
        _ => false,
    };
    (found.is_empty() || may_be_unknown).then_some(found)
}

struct Unknown<'a> {
    found: &'a mut Vec<Ident>,
}

impl VisitMut for Unknown<'_> {
    fn visit_path_mut(&mut self, path: &mut Path) {
        let name = path.get_ident().filter(|_| !is_primitive(path));
        if let Some(name) = name.filter(|name| !self.found.contains(name)) {
            self.found.push(name.clone());
        }
        visit_path_mut(self, path);
    }
}

/// `E` of `Result<T, E>`.
fn error_of_result(of: &TypePath) -> Option<&Type> {
    let last = of.path.segments.last().filter(|last| last.ident == "Result")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    let mut types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(of) => Some(of),
        _ => None,
    });
    types.nth(1)
}

fn is_primitive(path: &Path) -> bool {
    path.get_ident().is_some_and(|name| name.to_string().starts_with(char::is_lowercase))
}

/// The names of the parameters in scope.
struct Names(HashSet<Ident>);

impl Names {
    /// Those that the signature shows.
    fn of(sig: &Signature) -> Self {
        let mut names = Self(HashSet::new());
        names.add(&sig.generics);
        names
    }

    fn add(&mut self, generics: &Generics) {
        self.0.extend(generics.params.iter().filter_map(|parameter| match parameter {
            GenericParam::Type(one) => Some(one.ident.clone()),
            GenericParam::Const(one) => Some(one.ident.clone()),
            GenericParam::Lifetime(_) => None,
        }));
    }

    /// Whether an item can name the type, but for lifetimes.
    fn can_name(&self, of: &Type) -> bool {
        let mut check = Check { names: self, is_nameable: true };
        check.visit_type_mut(&mut of.clone());
        check.is_nameable
    }

    fn allow(&self, path: &Path) -> bool {
        let Some(first) = path.segments.first().map(|segment| &segment.ident) else {
            return false;
        };
        if path.leading_colon.is_some() || first.to_string().starts_with(|first: char| !first.is_uppercase()) {
            // From a crate or a module, or a primitive type.
            return true;
        }
        // `Type::Error` is a type of a parameter, or of a type that may be one.
        path.segments.len() == 1 && first != "Self" && !self.0.contains(first)
    }
}

struct Check<'a> {
    names: &'a Names,
    is_nameable: bool,
}

impl VisitMut for Check<'_> {
    fn visit_type_mut(&mut self, part: &mut Type) {
        self.is_nameable &= match part {
            Type::Path(path) => path.qself.is_none(),
            Type::Tuple(_) | Type::Reference(_) | Type::Array(_) | Type::Slice(_) | Type::Paren(_) => true,
            _ => false,
        };
        visit_type_mut(self, part);
    }

    fn visit_path_mut(&mut self, path: &mut Path) {
        self.is_nameable &= self.names.allow(path);
        visit_path_mut(self, path);
    }
}

/// Makes named lifetimes, which belong to the function, `'static`.
struct StaticLifetimes;

impl VisitMut for StaticLifetimes {
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident != "_" {
            *lifetime = Lifetime::new("'static", lifetime.span());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::{ToTokens, quote};
    use syn::parse_quote;

    fn named(sig: &Signature, outer: Option<&Generics>) -> Option<String> {
        nameable(sig, outer).map(|error| error.of.to_token_stream().to_string())
    }

    #[test]
    fn the_error_type_is_named_where_nothing_of_a_call_is_in_it() {
        let cases: [(Signature, Option<proc_macro2::TokenStream>); 17] = [
            (parse_quote!(fn f() -> Result<(), SwapError>), Some(quote!(SwapError))),
            (parse_quote!(async fn f<T>(t: T) -> Result<T, crate::Error>), Some(quote!(crate::Error))),
            (parse_quote!(fn f(&self) -> std::result::Result<Self, SwapError>), Some(quote!(SwapError))),
            (parse_quote!(fn f<'a>(&'a self) -> Result<&'a u8, SwapError<'a>>), Some(quote!(SwapError<'static>))),
            (parse_quote!(fn f() -> Result<Wallet>), Some(quote!(Result<Wallet>))),
            (parse_quote!(fn f() -> io::Result<u8>), Some(quote!(io::Result<u8>))),
            (parse_quote!(fn f() -> Verdict), Some(quote!(Verdict))),
            (
                parse_quote!(fn f() -> Pin<Box<dyn Future<Output = Result<u8, SwapError>> + Send + '_>>),
                Some(quote!(SwapError)),
            ),
            (parse_quote!(fn f() -> u64), None),
            (parse_quote!(fn f<Failure>() -> Result<(), Failure>), None),
            (parse_quote!(fn f() -> Result<(), Swap<Failure>>), None),
            (parse_quote!(fn f() -> Result<(), Swap<u8>>), Some(quote!(Swap<u8>))),
            (parse_quote!(fn f() -> Result<(), S::Error>), None),
            (parse_quote!(fn f() -> Result<(), Self::Error>), None),
            (parse_quote!(fn f() -> Result<(), <S as Signer>::Error>), None),
            (parse_quote!(fn f() -> Result<(), impl Display>), None),
            (parse_quote!(fn f() -> Result<(), Box<dyn Error>>), None),
        ];
        for (sig, expected) in cases {
            assert_eq!(named(&sig, None), expected.map(|of| of.to_string()), "{}", sig.to_token_stream());
        }
    }

    #[test]
    fn the_parameters_of_a_block_are_known() {
        let sig: Signature = parse_quote!(fn f(&self) -> Result<(), Why>);
        assert_eq!(nameable(&sig, None).unwrap().unknown, ["Why"]);
        assert!(nameable(&sig, Some(&Generics::default())).unwrap().unknown.is_empty());
        assert_eq!(named(&sig, Some(&Generics::default())).as_deref(), Some("Why"));
        let block: syn::ItemImpl = parse_quote!(
            impl<Why> Vault<Why> {}
        );
        assert_eq!(named(&sig, Some(&block.generics)), None);
    }
}

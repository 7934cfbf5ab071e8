//! The checked model of the function and its arguments; from here on nothing can fail.

use crate::args::Args;
use crate::domain;
use proc_macro2::TokenStream;
use syn::{ItemFn, LitStr, Path, parse_quote};

/// An operation and the function that it is made of.
pub(crate) struct Model {
    pub(crate) function: ItemFn,
    pub(crate) domain: String,
    pub(crate) operation: String,
    /// The path of the library.
    pub(crate) library: Path,
}

impl Model {
    pub(crate) fn parse(args: TokenStream, item: &TokenStream) -> syn::Result<Self> {
        let args: Args = syn::parse2(args)?;
        let function: ItemFn = syn::parse2(item.clone()).map_err(|_| {
            syn::Error::new_spanned(
                item,
                "#[instrument_business] goes on a function or a method with a body",
            )
        })?;
        if let Some(keyword) = &function.sig.constness {
            return Err(syn::Error::new_spanned(
                keyword,
                "a const fn cannot be a business operation: it may run at compile time",
            ));
        }
        let name = function.sig.ident.to_string();
        let name = name.trim_start_matches("r#");
        let given = args.name.as_ref().map(LitStr::value);
        let (domain, operation) = if let Some(domain) = args.domain {
            let domain = domain.value();
            let operation = given.unwrap_or_else(|| domain::operation(name, &domain));
            (domain, operation)
        } else {
            let (domain, operation) = domain::from_function(name)
                .map_err(|why| syn::Error::new(function.sig.ident.span(), why))?;
            (domain.to_owned(), given.unwrap_or(operation))
        };
        let library = args
            .library
            .unwrap_or_else(|| parse_quote!(::ironcore_telemetry));
        Ok(Self {
            function,
            domain,
            operation,
            library,
        })
    }
}

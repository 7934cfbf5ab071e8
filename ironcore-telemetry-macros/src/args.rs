//! The grammar of the attribute's arguments: `wallet`, `domain = "…"`, `name = "…"`, `crate = path`.

use crate::domain;
use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Ident, LitStr, Path, Token};

/// What may stand in the parentheses.
const ALLOWED: &str = "a domain (wallet, transaction, swap, payment, user), domain = \"…\", name = \"…\", crate = path";

/// The arguments as given, each at most once.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) domain: Option<LitStr>,
    pub(crate) name: Option<LitStr>,
    pub(crate) library: Option<Path>,
}

enum Arg {
    Domain(LitStr),
    Name(LitStr),
    Library(Path),
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut args = Self::default();
        let list = Punctuated::<(Span, Arg), Token![,]>::parse_terminated_with(input, parse_arg)?;
        for (at, arg) in list {
            match arg {
                Arg::Domain(domain) => set_once(&mut args.domain, domain, "the domain", at)?,
                Arg::Name(name) => set_once(&mut args.name, name, "`name`", at)?,
                Arg::Library(path) => set_once(&mut args.library, path, "`crate`", at)?,
            }
        }
        Ok(args)
    }
}

fn parse_arg(input: ParseStream<'_>) -> syn::Result<(Span, Arg)> {
    let key = input
        .call(Ident::parse_any)
        .map_err(|error| syn::Error::new(error.span(), format!("expected {ALLOWED}")))?;
    let arg = match key.to_string().as_str() {
        "domain" => Arg::Domain(checked(value(input)?)?),
        "name" => Arg::Name(checked(value(input)?)?),
        "crate" => Arg::Library(value(input)?),
        known if domain::is_known(known) => Arg::Domain(LitStr::new(known, key.span())),
        unknown => {
            return Err(syn::Error::new(
                key.span(),
                format!("unknown argument `{unknown}`: expected {ALLOWED}"),
            ));
        }
    };
    Ok((key.span(), arg))
}

fn value<T: Parse>(input: ParseStream<'_>) -> syn::Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}

/// A domain or an operation becomes a label and a part of the span's name.
fn checked(text: LitStr) -> syn::Result<LitStr> {
    let value = text.value();
    let valid = value.starts_with(|first: char| first.is_ascii_lowercase())
        && value.len() <= 32
        && value
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if valid {
        Ok(text)
    } else {
        Err(syn::Error::new(
            text.span(),
            "use lower-case letters, digits and _, a letter first, 32 at most",
        ))
    }
}

fn set_once<T>(place: &mut Option<T>, value: T, what: &str, at: Span) -> syn::Result<()> {
    if place.replace(value).is_some() {
        return Err(syn::Error::new(at, format!("{what} is given twice")));
    }
    Ok(())
}

//! The grammar of the attribute's arguments.

use crate::domain;
use crate::named::{Field, Label, fields, labels};
use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Expr, Ident, LitStr, Path, Token};

/// What may stand in the parentheses.
const ALLOWED: &str = "a domain (wallet, transaction, swap, payment, user), `domain = \"…\"`, `name = \"…\"`, \
                       `fields(key = expr)`, `labels(key = expr)`, `err = function`, `ok = function`, `crate = path`, or \
                       `skip`, each at most once";

/// The arguments as given, each at most once.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) domain: Option<Given<LitStr>>,
    pub(crate) name: Option<Given<LitStr>>,
    pub(crate) fields: Option<Given<Vec<Field>>>,
    pub(crate) labels: Option<Given<Vec<Label>>>,
    pub(crate) err: Option<Given<Expr>>,
    pub(crate) ok: Option<Given<Expr>>,
    pub(crate) library: Option<Given<Path>>,
    pub(crate) skip: Option<Given<()>>,
}

/// An argument's value, and where its key stands: what is wrong with it is said there.
#[derive(Clone)]
pub(crate) struct Given<T> {
    pub(crate) at: Span,
    pub(crate) value: T,
}

impl Args {
    /// These arguments of a method, with what the block around it says where they say nothing.
    pub(crate) fn within(mut self, block: &Self) -> Self {
        self.domain = self.domain.or_else(|| block.domain.clone());
        self.library = self.library.or_else(|| block.library.clone());
        self
    }

    /// Whether nothing but `skip` is given.
    pub(crate) fn is_only_skip(&self) -> bool {
        matches!(
            self,
            Self {
                domain: None,
                name: None,
                fields: None,
                labels: None,
                err: None,
                ok: None,
                library: None,
                skip: Some(_),
            }
        )
    }

    fn take(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        let key = input
            .call(Ident::parse_any)
            .map_err(|error| syn::Error::new(error.span(), format!("expected {ALLOWED}")))?;
        match key.to_string().as_str() {
            "domain" => set_once(&mut self.domain, &key, || text(input)),
            "name" => set_once(&mut self.name, &key, || text(input)),
            "fields" => set_once(&mut self.fields, &key, || fields(&key, input)),
            "labels" => set_once(&mut self.labels, &key, || labels(&key, input)),
            "err" => set_once(&mut self.err, &key, || value(input)),
            "ok" => set_once(&mut self.ok, &key, || value(input)),
            "crate" => set_once(&mut self.library, &key, || value(input)),
            "skip" => set_once(&mut self.skip, &key, || Ok(())),
            known if domain::is_known(known) => set_once(&mut self.domain, &key, || Ok(LitStr::new(known, key.span()))),
            unknown => {
                let why = format!("unknown argument `{unknown}`: expected {ALLOWED}");
                Err(syn::Error::new(key.span(), why))
            }
        }
    }
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut args = Self::default();
        while !input.is_empty() {
            args.take(input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(args)
    }
}

/// Reads the value of a key that has none yet.
fn set_once<T>(place: &mut Option<Given<T>>, key: &Ident, read: impl FnOnce() -> syn::Result<T>) -> syn::Result<()> {
    if place.is_some() {
        let why = if domain::is_known(&key.to_string()) || key == "domain" {
            format!("the domain is given twice: expected {ALLOWED}")
        } else {
            format!("`{key}` is given twice: expected {ALLOWED}")
        };
        return Err(syn::Error::new(key.span(), why));
    }
    *place = Some(Given { at: key.span(), value: read()? });
    Ok(())
}

fn value<T: Parse>(input: ParseStream<'_>) -> syn::Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}

/// A domain or an operation: it becomes a label and a part of the span's name.
fn text(input: ParseStream<'_>) -> syn::Result<LitStr> {
    let text: LitStr = value(input)?;
    if is_word(&text.value(), 32) {
        Ok(text)
    } else {
        Err(syn::Error::new(text.span(), "use lower-case letters, digits and _, a letter first, 32 at most"))
    }
}

/// Whether this is `[a-z][a-z0-9_]*` and no longer than that.
pub(crate) fn is_word(text: &str, longest: usize) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.len() <= longest
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(args: &str) -> String {
        let Err(error) = syn::parse_str::<Args>(args) else {
            panic!("`{args}` is accepted");
        };
        error.to_string()
    }

    #[test]
    fn every_argument_may_stand_beside_every_other_in_any_order() {
        let args: Args = syn::parse_str(
            r#"ok = |_| OutcomeClass::Ok, crate = a::b, err = E::class, labels(side = side), name = "n", swap,
               fields(chain.id = id, to = %to, raw = ?raw),"#,
        )
        .unwrap();
        assert!(args.ok.is_some() && args.err.is_some() && args.library.is_some());
        assert_eq!(args.domain.unwrap().value.value(), "swap");
        assert_eq!(args.fields.unwrap().value.len(), 3);
        assert_eq!(args.labels.unwrap().value.len(), 1);
    }

    #[test]
    fn an_argument_given_twice_is_refused_whatever_stands_between() {
        for (args, key) in [
            ("wallet, swap", "the domain"),
            ("domain = \"a\", wallet", "the domain"),
            ("name = \"a\", name = \"b\"", "`name`"),
            ("fields(a = 1), err = f, fields(b = 1)", "`fields`"),
            ("labels(a = b), labels(b = b)", "`labels`"),
            ("err = f, ok = g, err = f", "`err`"),
            ("ok = f, ok = g", "`ok`"),
            ("crate = a, crate = b", "`crate`"),
            ("skip, skip", "`skip`"),
        ] {
            let expected = format!("{key} is given twice: expected {ALLOWED}");
            assert_eq!(refusal(args), expected, "{args}");
        }
    }

    #[test]
    fn an_unknown_argument_is_refused_with_what_is_allowed() {
        let expected = format!("unknown argument `level`: expected {ALLOWED}");
        assert_eq!(refusal("wallet, level = \"info\""), expected);
        assert_eq!(refusal("\"wallet\""), format!("expected {ALLOWED}"));
    }
}

//! The grammar of the attribute's arguments.

use crate::domain;
use crate::given::{Given, set_once};
use crate::key_values::{Field, Label, fields, labels};
use crate::snake_case::is_snake_case;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Expr, Ident, LitStr, Path, Token};

/// The arguments that are allowed in the parentheses.
const ALLOWED: &str = "a domain (wallet, transaction, swap, payment, user), `domain = \"…\"`, `name = \"…\"`, \
                       `fields(key = expr)`, `labels(key = expr)`, `err = function`, `ok = function`, `crate = path`, \
                       or `skip`, each at most once";

/// The arguments of one attribute.
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

impl Args {
    /// A method's arguments, with the block's domain and `crate` where the method has none.
    pub(crate) fn with_defaults_of(mut self, block: &Self) -> Self {
        self.domain = self.domain.or_else(|| block.domain.clone());
        self.library = self.library.or_else(|| block.library.clone());
        self
    }

    /// Whether `skip` is the only argument.
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

    fn parse_argument(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        let key = input
            .call(Ident::parse_any)
            .map_err(|error| syn::Error::new(error.span(), format!("expected {ALLOWED}")))?;
        let text = key.to_string();
        match text.as_str() {
            "domain" => set_domain(&mut self.domain, &key, || word(input)),
            "name" => set(&mut self.name, &key, || word(input)),
            "fields" => set(&mut self.fields, &key, || fields(&key, input)),
            "labels" => set(&mut self.labels, &key, || labels(&key, input)),
            "err" => set(&mut self.err, &key, || value(input)),
            "ok" => set(&mut self.ok, &key, || value(input)),
            "crate" => set(&mut self.library, &key, || value(input)),
            "skip" => set(&mut self.skip, &key, || Ok(())),
            known if domain::is_known(known) => {
                set_domain(&mut self.domain, &key, || Ok(LitStr::new(known, key.span())))
            }
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
            args.parse_argument(input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(args)
    }
}

fn set<T>(place: &mut Option<Given<T>>, key: &Ident, read: impl FnOnce() -> syn::Result<T>) -> syn::Result<()> {
    set_once(place, &format!("`{key}`"), key.span(), ALLOWED, read)
}

/// The domain has two spellings: `wallet` and `domain = "wallet"`.
fn set_domain(
    place: &mut Option<Given<LitStr>>,
    key: &Ident,
    read: impl FnOnce() -> syn::Result<LitStr>,
) -> syn::Result<()> {
    set_once(place, "the domain", key.span(), ALLOWED, read)
}

fn value<T: Parse>(input: ParseStream<'_>) -> syn::Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}

/// A domain or an operation: it becomes a label value and a part of the span's name.
fn word(input: ParseStream<'_>) -> syn::Result<LitStr> {
    let text: LitStr = value(input)?;
    if is_snake_case(&text.value(), 32) {
        Ok(text)
    } else {
        let why = "use at most 32 lower-case letters, digits and _, starting with a letter";
        Err(syn::Error::new(text.span(), why))
    }
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
    fn arguments_may_be_combined_in_any_order() {
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
    fn an_argument_given_twice_is_an_error() {
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
    fn an_unknown_argument_is_an_error_that_lists_the_allowed_ones() {
        let expected = format!("unknown argument `level`: expected {ALLOWED}");
        assert_eq!(refusal("wallet, level = \"info\""), expected);
        assert_eq!(refusal("\"wallet\""), format!("expected {ALLOWED}"));
    }
}

//! The grammar of the attribute's arguments.

use crate::domain;
use crate::given::{Given, set_once};
use crate::key_values::{Field, Label, fields, labels};
use crate::snake_case::is_snake_case;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Expr, Ident, LitStr, Path, Token, token};

/// The arguments that are allowed in the parentheses.
const ALLOWED: &str = "a domain (wallet, transaction, swap, payment, user), `domain = \"…\"`, `name = \"…\"`, \
                       `fields(key = expr)`, `labels(key = expr)`, `err = function`, `ok = function`, `record_error`, \
                       `crate = path`, or `skip`, each at most once";

/// Arguments of `#[tracing::instrument]`, and what is done here instead.
const OF_TRACING: &[(&str, &str)] = &[
    ("skip_all", NOTHING_IS_RECORDED),
    (
        "level",
        "every operation has a span; the level of its log line follows from its outcome, and `RUST_LOG` decides which \
         levels are logged, as in `RUST_LOG=info,business=debug`",
    ),
    ("target", "the log lines of all operations have the target `business`; give the operation a domain instead"),
    (
        "ret",
        "the returned value is never recorded, and its outcome always is: name what may be recorded as \
         `fields(key = expr)`",
    ),
    ("parent", "the parent is the span that is current; `saved_context` continues the one of a job or a task"),
    ("follows_from", "`saved_context` links the attempts of a job to the request that made it"),
];

const NOTHING_IS_RECORDED: &str =
    "no argument is recorded unless `fields` or `labels` name it: there is nothing to skip, leave this out";

const ERR_ALONE: &str = "an `Err` is what its type's `Outcome` says, else `failed`: leave this out. \
                         `err = function` is for another verdict, as in `err = |error: &MyError| \
                         OutcomeClass::Rejected`; `record_error` records the text of the error";

const OK_ALONE: &str = "an `Ok` is `ok` already: leave this out. `ok = function` is for another verdict, as in \
                        `ok = |value: &MyValue| OutcomeClass::Rejected`";

/// The arguments of one attribute.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) domain: Option<Given<LitStr>>,
    pub(crate) name: Option<Given<LitStr>>,
    pub(crate) fields: Option<Given<Vec<Field>>>,
    pub(crate) labels: Option<Given<Vec<Label>>>,
    pub(crate) err: Option<Given<Expr>>,
    pub(crate) ok: Option<Given<Expr>>,
    pub(crate) record_error: Option<Given<()>>,
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
                record_error: None,
                library: None,
                skip: Some(_),
            }
        )
    }

    fn parse_argument(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        if let Ok(text) = input.fork().parse::<LitStr>() {
            let why = format!("text alone is no argument: write `domain = {0}`, or `name = {0}`", text.token());
            return Err(syn::Error::new(text.span(), why));
        }
        let key = input
            .call(Ident::parse_any)
            .map_err(|error| syn::Error::new(error.span(), format!("expected {ALLOWED}")))?;
        let has_value = input.peek(Token![=]);
        let refuse = |why: &str| Err(syn::Error::new(key.span(), why));
        let text = key.to_string();
        match text.as_str() {
            "err" if !has_value => refuse(ERR_ALONE),
            "ok" if !has_value => refuse(OK_ALONE),
            "skip" if input.peek(token::Paren) => refuse(NOTHING_IS_RECORDED),
            "skip" | "record_error" if has_value || input.peek(token::Paren) => {
                refuse(&format!("`{text}` stands alone: it has no value"))
            }
            "domain" => set_domain(&mut self.domain, &key, || word(&key, input)),
            "name" => set(&mut self.name, &key, || word(&key, input)),
            "fields" => set(&mut self.fields, &key, || fields(&key, input)),
            "labels" => set(&mut self.labels, &key, || labels(&key, input)),
            "err" => set(&mut self.err, &key, || value(input)),
            "ok" => set(&mut self.ok, &key, || value(input)),
            "record_error" => set(&mut self.record_error, &key, || Ok(())),
            "crate" => set(&mut self.library, &key, || path(input)),
            "skip" => set(&mut self.skip, &key, || Ok(())),
            known if domain::is_known(known) => {
                set_domain(&mut self.domain, &key, || Ok(LitStr::new(known, key.span())))
            }
            unknown => refuse(&unknown_argument(unknown, input)),
        }
    }
}

/// What to do instead of an argument that is not allowed.
fn unknown_argument(key: &str, input: ParseStream<'_>) -> String {
    if let Some((_, why)) = OF_TRACING.iter().find(|(known, _)| *known == key) {
        return format!("`{key}` is an argument of `tracing::instrument`: {why}");
    }
    let stands_alone = input.is_empty() || input.peek(Token![,]);
    if stands_alone && is_snake_case(key, 32) {
        return format!("unknown argument `{key}`: a domain of your own is `domain = \"{key}\"`; expected {ALLOWED}");
    }
    format!("unknown argument `{key}`: expected {ALLOWED}")
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

/// The path of the library; in quotes, as other crates have it, it is not one.
fn path(input: ParseStream<'_>) -> syn::Result<Path> {
    input.parse::<Token![=]>()?;
    if let Ok(text) = input.fork().parse::<LitStr>() {
        let why = format!("the path of the library is written without quotes: `crate = {}`", text.value());
        return Err(syn::Error::new(text.span(), why));
    }
    input.parse()
}

/// A domain or an operation: it becomes a label value and a part of the span's name.
fn word(key: &Ident, input: ParseStream<'_>) -> syn::Result<LitStr> {
    let what = "use at most 32 lower-case letters, digits and _, starting with a letter";
    if !input.peek(Token![=]) {
        return Err(syn::Error::new(key.span(), format!("`{key}` needs a value: `{key} = \"…\"`; {what}")));
    }
    input.parse::<Token![=]>()?;
    let text: LitStr = input.parse().map_err(|error: syn::Error| {
        let given = input.fork().call(Ident::parse_any);
        let given = given.map_or_else(|_| "…".to_owned(), |given| given.to_string());
        syn::Error::new(error.span(), format!("the value of `{key}` is text: write `{key} = \"{given}\"`; {what}"))
    })?;
    if is_snake_case(&text.value(), 32) { Ok(text) } else { Err(syn::Error::new(text.span(), what)) }
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
        let expected = format!("unknown argument `colour`: expected {ALLOWED}");
        assert_eq!(refusal("wallet, colour = \"red\""), expected);
        assert_eq!(refusal("7"), format!("expected {ALLOWED}"));
    }

    #[test]
    fn a_habit_from_elsewhere_is_an_error_that_says_what_is_written_here() {
        for (args, says) in [
            ("domain = refund", "write `domain = \"refund\"`"),
            ("domain", "`domain = \"…\"`"),
            ("name = create", "write `name = \"create\"`"),
            ("name = 7", "write `name = \"…\"`"),
            ("refund", "a domain of your own is `domain = \"refund\"`"),
            ("\"wallet\"", "write `domain = \"wallet\"`, or `name = \"wallet\"`"),
            ("skip(id)", "unless `fields` or `labels` name it"),
            ("skip_all", "unless `fields` or `labels` name it"),
            ("skip = true", "`skip` stands alone"),
            ("record_error = true", "`record_error` stands alone"),
            ("err", "an `Err` is what its type's `Outcome` says"),
            ("err(Debug)", "`record_error` records the text"),
            ("err, wallet", "`err = |error: &MyError|"),
            ("ok", "an `Ok` is `ok` already"),
            ("ret", "the returned value is never recorded"),
            ("ret(Display)", "the returned value is never recorded"),
            ("level = \"info\"", "`RUST_LOG`"),
            ("target = \"x\"", "target `business`"),
            ("parent = None", "`saved_context`"),
            ("follows_from = causes", "`saved_context`"),
            ("crate = \"a::b\"", "without quotes: `crate = a::b`"),
            ("fields(user_id)", "write `user_id = user_id`"),
            ("fields(user.id)", "write `user.id = user.id`"),
            ("fields(%user_id)", "write `key = %expr`"),
            ("labels(side)", "write `side = side`"),
        ] {
            let why = refusal(args);
            assert!(why.contains(says), "{args}: {why}");
        }
    }
}

//! The lists of keys and expressions: `fields(key = expr, …)` and `labels(key = expr, …)`.

use crate::snake_case::is_snake_case;
use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit_mut::{VisitMut, visit_expr_mut};
use syn::{Expr, ExprTry, Ident, Token, parenthesized, token};

/// An attribute of the span.
#[derive(Clone)]
pub(crate) struct Field {
    pub(crate) key: String,
    pub(crate) format: Format,
    pub(crate) value: Expr,
}

/// How a field's value is formatted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `expr`: a boolean, a number or text, as it is.
    Plain,
    /// `%expr`.
    Display,
    /// `?expr`.
    Debug,
}

/// A label of the metrics.
#[derive(Clone)]
pub(crate) struct Label {
    pub(crate) key: String,
    pub(crate) value: Expr,
}

const A_FIELD: &str = "a field is `key = expr`, `key = %expr` (by Display) or `key = ?expr` (by Debug)";
const A_LABEL: &str = "a label is `key = expr`, the key one word";
/// Each label multiplies the number of series.
const MOST_LABELS: usize = 4;
/// Labels that the metrics of operations have already, and `le`, which the text format of histograms uses.
const OUR_LABELS: &[&str] = &["domain", "operation", "outcome", "code", "le"];
/// Labels that Prometheus sets for each target.
const TARGET_LABELS: &[&str] = &["job", "instance", "host", "service", "environment", "cluster"];
/// Attributes that the span of each operation has already.
const OUR_ATTRIBUTES: &[&str] = &["error.type", "code.function.name"];

/// Parses what follows the word `fields`.
pub(crate) fn fields(word: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<Field>> {
    let mut fields: Vec<Field> = Vec::new();
    list(word, input, A_FIELD, |input| {
        if input.peek(Token![%]) || input.peek(Token![?]) {
            let why = format!("the field has no key: write `key = %expr` or `key = ?expr`; {A_FIELD}");
            return Err(syn::Error::new(input.span(), why));
        }
        let path = dotted(input)?;
        let key = path.iter().map(|segment| segment.unraw().to_string()).collect::<Vec<_>>().join(".");
        if let Some(odd) = path.iter().find(|segment| !is_snake_case(&segment.unraw().to_string(), 64)) {
            let why = "a field's key is lower-case letters, digits and _, a letter first, its parts separated by dots";
            return Err(syn::Error::new(odd.span(), why));
        }
        let at = path.first().map_or_else(|| word.span(), Ident::span);
        if key.starts_with("ironcore.") || OUR_ATTRIBUTES.contains(&key.as_str()) {
            let why = format!(
                "`{key}` is the library's own: ironcore.*, error.type and code.function.name are set on every span"
            );
            return Err(syn::Error::new(at, why));
        }
        if fields.iter().any(|field| field.key == key) {
            return Err(syn::Error::new(at, format!("the field `{key}` is named twice")));
        }
        equals_sign(input, at, &key, A_FIELD)?;
        let format = if input.parse::<Option<Token![%]>>()?.is_some() {
            Format::Display
        } else if input.parse::<Option<Token![?]>>()?.is_some() {
            Format::Debug
        } else {
            Format::Plain
        };
        let value = expression(input)?;
        fields.push(Field { key, format, value });
        Ok(())
    })?;
    Ok(fields)
}

/// Parses what follows the word `labels`.
pub(crate) fn labels(word: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<Label>> {
    let mut labels: Vec<Label> = Vec::new();
    list(word, input, A_LABEL, |input| {
        let name = input.call(Ident::parse_any).map_err(|error| syn::Error::new(error.span(), A_LABEL))?;
        let key = name.unraw().to_string();
        let refuse = |why: &str| Err(syn::Error::new(name.span(), why));
        if !is_snake_case(&key, 64) {
            return refuse("a label's key is lower-case letters, digits and _, a letter first");
        }
        if OUR_LABELS.contains(&key.as_str()) {
            return refuse(&format!(
                "`{key}` is the library's own: the metrics have domain, operation, outcome, code and le already"
            ));
        }
        if TARGET_LABELS.contains(&key.as_str()) {
            return refuse(&format!(
                "`{key}` is a label of the scraped target: Prometheus would rename this one to `exported_{key}`"
            ));
        }
        if labels.iter().any(|label| label.key == key) {
            return refuse(&format!("the label `{key}` is named twice"));
        }
        if labels.len() == MOST_LABELS {
            return refuse("more than 4 labels: put this one on the span with `fields(…)`, or leave it out");
        }
        equals_sign(input, name.span(), &key, A_LABEL)?;
        if input.peek(Token![%]) || input.peek(Token![?]) {
            let why = "a label is a value that implements `Label`, not text: `%` and `?` are for fields";
            return Err(syn::Error::new(input.span(), why));
        }
        let value = expression(input)?;
        labels.push(Label { key, value });
        Ok(())
    })?;
    Ok(labels)
}

/// Parses `(item, item)`, with at least one item.
fn list(
    word: &Ident,
    input: ParseStream<'_>,
    an_item: &str,
    mut item: impl FnMut(ParseStream<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    if !input.peek(token::Paren) {
        let why = format!("`{word}` takes a list, as in `{word}(key = expr)`: {an_item}");
        return Err(syn::Error::new(word.span(), why));
    }
    let content;
    parenthesized!(content in input);
    if content.is_empty() {
        let why = format!("`{word}` is empty: {an_item}");
        return Err(syn::Error::new(word.span(), why));
    }
    while !content.is_empty() {
        item(&content)?;
        if !content.is_empty() {
            content.parse::<Token![,]>()?;
        }
    }
    Ok(())
}

/// Parses an expression that cannot leave the function: recording a value must not end the caller's work.
fn expression(input: ParseStream<'_>) -> syn::Result<Expr> {
    struct Leaving(Option<syn::Error>);

    impl VisitMut for Leaving {
        fn visit_expr_mut(&mut self, part: &mut Expr) {
            match part {
                Expr::Try(ExprTry { question_token, .. }) => self.refuse(question_token.span()),
                Expr::Return(part) => self.refuse(part.return_token.span()),
                Expr::Await(part) => self.refuse(part.await_token.span()),
                // Control flow inside these does not leave the function.
                Expr::Closure(_) | Expr::Async(_) => {}
                part => visit_expr_mut(self, part),
            }
        }
    }

    impl Leaving {
        fn refuse(&mut self, at: Span) {
            let why =
                "the value of a field or a label is evaluated before the body: no `?`, `return` or `.await` in it";
            self.0.get_or_insert_with(|| syn::Error::new(at, why));
        }
    }

    let mut value: Expr = input.parse()?;
    let mut leaving = Leaving(None);
    leaving.visit_expr_mut(&mut value);
    leaving.0.map_or(Ok(value), Err)
}

/// Parses the `=` after a key.
fn equals_sign(input: ParseStream<'_>, at: Span, key: &str, an_item: &str) -> syn::Result<()> {
    if input.peek(Token![=]) {
        input.parse::<Token![=]>().map(drop)
    } else if input.is_empty() || input.peek(Token![,]) {
        let why = format!("`{key}` has no value: write `{key} = {key}` to record what has this name; {an_item}");
        Err(syn::Error::new(at, why))
    } else {
        Err(syn::Error::new(input.span(), an_item))
    }
}

/// Parses identifiers separated by dots; keywords are allowed.
fn dotted(input: ParseStream<'_>) -> syn::Result<Punctuated<Ident, Token![.]>> {
    Punctuated::parse_separated_nonempty_with(input, Ident::parse_any)
        .map_err(|error| syn::Error::new(error.span(), A_FIELD))
}

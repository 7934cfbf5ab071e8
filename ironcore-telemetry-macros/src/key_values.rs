//! The lists of named expressions: `fields(key = expr, …)` and `labels(key = expr, …)`.

use crate::args::is_word;
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
    pub(crate) how: How,
    pub(crate) value: Expr,
}

/// How a field shows its value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// As it is.
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
/// More would multiply to more series than anybody looks at.
const MOST_LABELS: usize = 4;
/// What the metrics of operations carry already, and what the text format keeps for itself.
const OUR_LABELS: &[&str] = &["domain", "operation", "outcome", "code", "le"];
/// What each span of an operation carries already.
const OUR_ATTRIBUTES: &[&str] = &["error.type", "code.function.name"];

/// What follows the word `fields`.
pub(crate) fn fields(word: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<Field>> {
    let mut fields: Vec<Field> = Vec::new();
    list(word, input, A_FIELD, |input| {
        let path = dotted(input)?;
        let key = path.iter().map(|segment| segment.unraw().to_string()).collect::<Vec<_>>().join(".");
        if let Some(odd) = path.iter().find(|segment| !is_word(&segment.unraw().to_string(), 64)) {
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
        assigned(input, A_FIELD)?;
        let how = if input.parse::<Option<Token![%]>>()?.is_some() {
            How::Display
        } else if input.parse::<Option<Token![?]>>()?.is_some() {
            How::Debug
        } else {
            How::Plain
        };
        let value = staying(input)?;
        fields.push(Field { key, how, value });
        Ok(())
    })?;
    Ok(fields)
}

/// What follows the word `labels`.
pub(crate) fn labels(word: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<Label>> {
    let mut labels: Vec<Label> = Vec::new();
    list(word, input, A_LABEL, |input| {
        let name = input.call(Ident::parse_any).map_err(|error| syn::Error::new(error.span(), A_LABEL))?;
        let key = name.unraw().to_string();
        let refuse = |why: &str| Err(syn::Error::new(name.span(), why));
        if !is_word(&key, 64) {
            return refuse("a label's key is lower-case letters, digits and _, a letter first");
        }
        if OUR_LABELS.contains(&key.as_str()) {
            return refuse(&format!(
                "`{key}` is the library's own: the metrics have domain, operation, outcome, code and le already"
            ));
        }
        if labels.iter().any(|label| label.key == key) {
            return refuse(&format!("the label `{key}` is named twice"));
        }
        if labels.len() == MOST_LABELS {
            return refuse("more than 4 labels: put this one on the span with `fields(…)`, or leave it out");
        }
        assigned(input, A_LABEL)?;
        if input.peek(Token![%]) || input.peek(Token![?]) {
            let why = "a label is a value that implements `Label`, not text: `%` and `?` are for fields";
            return Err(syn::Error::new(input.span(), why));
        }
        let value = staying(input)?;
        labels.push(Label { key, value });
        Ok(())
    })?;
    Ok(labels)
}

/// `(item, item)`, with one item at least.
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
        let why = format!("`{word}` names nothing: {an_item}");
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

/// An expression that does not leave the function: nobody's work ends because of what is told about it.
fn staying(input: ParseStream<'_>) -> syn::Result<Expr> {
    struct Leaving(Option<syn::Error>);

    impl VisitMut for Leaving {
        fn visit_expr_mut(&mut self, part: &mut Expr) {
            match part {
                Expr::Try(ExprTry { question_token, .. }) => self.refuse(question_token.span()),
                Expr::Return(part) => self.refuse(part.return_token.span()),
                Expr::Await(part) => self.refuse(part.await_token.span()),
                // These have a way of their own.
                Expr::Closure(_) | Expr::Async(_) => {}
                part => visit_expr_mut(self, part),
            }
        }
    }

    impl Leaving {
        fn refuse(&mut self, at: Span) {
            let why =
                "the value of a field or a label is told before the body begins: no `?`, `return` or `.await` in it";
            self.0.get_or_insert_with(|| syn::Error::new(at, why));
        }
    }

    let mut value: Expr = input.parse()?;
    let mut leaving = Leaving(None);
    leaving.visit_expr_mut(&mut value);
    leaving.0.map_or(Ok(value), Err)
}

/// The `=` after a key.
fn assigned(input: ParseStream<'_>, an_item: &str) -> syn::Result<()> {
    if input.peek(Token![=]) {
        input.parse::<Token![=]>().map(drop)
    } else {
        Err(syn::Error::new(input.span(), an_item))
    }
}

/// Identifiers between dots, keywords too.
fn dotted(input: ParseStream<'_>) -> syn::Result<Punctuated<Ident, Token![.]>> {
    Punctuated::parse_separated_nonempty_with(input, Ident::parse_any)
        .map_err(|error| syn::Error::new(error.span(), A_FIELD))
}

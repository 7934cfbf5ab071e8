//! The checked model of the function and its arguments; from here on nothing can fail.

use crate::args::{Args, Given};
use crate::block::Block;
use crate::body::{self, Body};
use crate::domain;
use crate::named::{Field, Label};
use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt;
use syn::{Expr, Item, ItemFn, ItemImpl, LitStr, Path, ReturnType, TraitItemFn, Type, parse_quote};

/// What the attribute stands on.
pub(crate) enum Instrumented {
    Function(Box<Model>),
    Block(Box<Block>),
}

/// An operation and the function that it is made of.
pub(crate) struct Model {
    pub(crate) function: ItemFn,
    pub(crate) body: Body,
    pub(crate) domain: String,
    pub(crate) operation: String,
    pub(crate) fields: Vec<Field>,
    pub(crate) labels: Vec<Label>,
    /// The word `labels`.
    pub(crate) labels_at: Span,
    /// What judges an error, when its type does not.
    pub(crate) err: Option<Expr>,
    /// What judges a value, when its type does not.
    pub(crate) ok: Option<Expr>,
    /// The path of the library.
    pub(crate) library: Path,
}

impl Instrumented {
    pub(crate) fn parse(args: TokenStream, item: &TokenStream) -> syn::Result<Self> {
        let args: Args = syn::parse2(args)?;
        let not_a_function = match syn::parse2::<ItemFn>(item.clone()) {
            Ok(function) => {
                let model = Model::of(args, function)?;
                return Ok(Self::Function(Box::new(model)));
            }
            Err(error) => error,
        };
        if let Ok(block) = syn::parse2::<ItemImpl>(item.clone()) {
            return Block::of(&args, block).map(|block| Self::Block(Box::new(block)));
        }
        if syn::parse2::<TraitItemFn>(item.clone()).is_ok() {
            let why = "a method without a body does nothing to record: put the attribute on its implementations";
            return Err(syn::Error::new_spanned(item, why));
        }
        if syn::parse2::<Item>(item.clone()).is_ok() {
            let why = "#[instrument_business] goes on a function, a method or an impl block";
            return Err(syn::Error::new_spanned(item, why));
        }
        Err(not_a_function)
    }
}

impl Model {
    pub(crate) fn of(args: Args, function: ItemFn) -> syn::Result<Self> {
        if let Some(skip) = args.skip {
            let why = "`skip` is for methods of a block that carries the attribute; here, leave the attribute out";
            return Err(syn::Error::new(skip.at, why));
        }
        if let Some(keyword) = &function.sig.constness {
            let why = "a const fn cannot be a business operation: it may run at compile time";
            return Err(syn::Error::new_spanned(keyword, why));
        }
        let mut body = Body::of(&function)?;
        if args.fields.is_some() || args.labels.is_some() {
            body.name_arguments_first();
        }
        if returns_nothing(&function.sig.output) {
            refuse_judge("err", args.err.as_ref())?;
            refuse_judge("ok", args.ok.as_ref())?;
        }
        let labels_at = args.labels.as_ref().map(|labels| labels.at);
        let (domain, operation) = names(args.domain, args.name, &function)?;
        Ok(Self {
            function,
            body,
            domain,
            operation,
            fields: args.fields.map_or_else(Vec::new, |fields| fields.value),
            labels: args.labels.map_or_else(Vec::new, |labels| labels.value),
            labels_at: labels_at.unwrap_or_else(Span::call_site),
            err: args.err.map(|err| err.value),
            ok: args.ok.map(|ok| ok.value),
            library: library(args.library.map(|path| path.value)),
        })
    }
}

/// The path of the library: its own name, unless another is given.
pub(crate) fn library(given: Option<Path>) -> Path {
    given.unwrap_or_else(|| parse_quote!(::ironcore_telemetry))
}

/// The domain and the operation: what is given, and the function's name for what is not.
fn names(
    domain: Option<Given<LitStr>>,
    name: Option<Given<LitStr>>,
    function: &ItemFn,
) -> syn::Result<(String, String)> {
    let ident = &function.sig.ident;
    let written = ident.unraw().to_string();
    let given = name.map(|name| name.value.value());
    if let Some(domain) = domain {
        let domain = domain.value.value();
        let operation = given.unwrap_or_else(|| domain::operation(&written, &domain));
        return Ok((domain, operation));
    }
    let (domain, operation) = domain::from_function(&written).map_err(|why| syn::Error::new(ident.span(), why))?;
    Ok((domain.to_owned(), given.unwrap_or(operation)))
}

fn refuse_judge(word: &str, judge: Option<&Given<Expr>>) -> syn::Result<()> {
    let Some(judge) = judge else {
        return Ok(());
    };
    let why = format!("`{word}` judges a `Result`, and this function does not return one");
    Err(syn::Error::new(judge.at, why))
}

/// Whether what the function gives is `()`, whatever it does to give it.
fn returns_nothing(output: &ReturnType) -> bool {
    match output {
        ReturnType::Default => true,
        ReturnType::Type(_, output) => is_unit(body::future_output(output).unwrap_or(output)),
    }
}

fn is_unit(output: &Type) -> bool {
    matches!(output, Type::Tuple(tuple) if tuple.elems.is_empty())
}

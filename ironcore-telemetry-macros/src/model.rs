//! The checked model of one instrumented function; from here on nothing can fail.

use crate::args::Args;
use crate::body::Body;
use crate::domain;
use crate::error_type::{self, ErrorType};
use crate::given::Given;
use crate::key_values::{Field, Label};
use crate::library;
use crate::return_type;
use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::{Expr, Generics, ItemFn, LitStr, Path};

/// A function and the operation that it becomes.
pub(crate) struct Model {
    pub(crate) function: ItemFn,
    pub(crate) body: Body,
    pub(crate) domain: String,
    pub(crate) operation: String,
    pub(crate) fields: Vec<Field>,
    pub(crate) labels: Vec<Label>,
    /// The place of the word `labels`.
    pub(crate) labels_at: Span,
    /// Gives the verdict on an error, in place of its type.
    pub(crate) err: Option<Expr>,
    /// Gives the verdict on a value, in place of its type.
    pub(crate) ok: Option<Expr>,
    /// The error type, where the signature names it, or the return type that has it inside.
    pub(crate) error: Option<ErrorType>,
    /// The place of the word `record_error`, if the error is recorded.
    pub(crate) record_error: Option<Span>,
    /// The path of the library.
    pub(crate) library: Path,
}

impl Model {
    /// `outer` are the generics of the block around a method, where they are known.
    pub(crate) fn build(args: Args, function: ItemFn, outer: Option<&Generics>) -> syn::Result<Self> {
        if let Some(skip) = args.skip {
            let why = "`skip` is for methods of a block that carries the attribute; here, leave the attribute out";
            return Err(syn::Error::new(skip.at, why));
        }
        if let Some(keyword) = &function.sig.constness {
            let why = "a const fn cannot be a business operation: it may run at compile time";
            return Err(syn::Error::new_spanned(keyword, why));
        }
        let mut body = Body::detect(&function)?;
        if args.fields.is_some() || args.labels.is_some() {
            body.bind_arguments_first();
        }
        if return_type::is_unit(&function.sig.output) {
            reject_judge("err", args.err.as_ref())?;
            reject_judge("ok", args.ok.as_ref())?;
            if let Some(word) = &args.record_error {
                let why = "`record_error` records the error of a `Result`, and this function does not return one";
                return Err(syn::Error::new(word.at, why));
            }
        }
        let labels_at = args.labels.as_ref().map(|labels| labels.at);
        let (domain, operation) = names(args.domain, args.name, &function)?;
        let error = match &args.err {
            // Its codes are not those of the type.
            Some(_) => None,
            None => error_type::nameable(&function.sig, outer),
        };
        Ok(Self {
            error,
            function,
            body,
            domain,
            operation,
            fields: args.fields.map_or_else(Vec::new, |fields| fields.value),
            labels: args.labels.map_or_else(Vec::new, |labels| labels.value),
            labels_at: labels_at.unwrap_or_else(Span::call_site),
            err: args.err.map(|err| err.value),
            ok: args.ok.map(|ok| ok.value),
            record_error: args.record_error.map(|word| word.at),
            library: library::path(args.library),
        })
    }
}

/// The domain and the operation, each as it is given, or else read from the function's name.
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

fn reject_judge(word: &str, judge: Option<&Given<Expr>>) -> syn::Result<()> {
    let Some(judge) = judge else {
        return Ok(());
    };
    let why = format!("`{word}` judges a `Result`, and this function does not return one");
    Err(syn::Error::new(judge.at, why))
}

//! The checked model of the function and its arguments; from here on nothing can fail.

use crate::args::Args;
use crate::domain;
use proc_macro2::TokenStream;
use syn::{
    Attribute, Block, Expr, ExprAsync, GenericArgument, ItemFn, LitStr, Path, PathArguments,
    ReturnType, Stmt, Type, TypeParamBound, parse_quote,
};

/// An operation and the function that it is made of.
pub(crate) struct Model {
    pub(crate) function: ItemFn,
    pub(crate) body: Body,
    pub(crate) domain: String,
    pub(crate) operation: String,
    /// The path of the library.
    pub(crate) library: Path,
}

/// How the function does its work.
pub(crate) enum Body {
    /// It is done when the function returns.
    Sync,
    /// It is an `async fn`.
    Async,
    /// What `async_trait` makes of a method: `Box::pin(async move { … })` at the end.
    Boxed(Box<BoxedBody>),
}

/// The parts of a boxed body.
pub(crate) struct BoxedBody {
    pub(crate) before: Vec<Stmt>,
    /// `Box::pin`, as it is written.
    pub(crate) pin: Expr,
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) block: Block,
}

impl Model {
    pub(crate) fn parse(args: TokenStream, item: &TokenStream) -> syn::Result<Self> {
        let args: Args = syn::parse2(args)?;
        let function: ItemFn = syn::parse2(item.clone()).map_err(|_| {
            let why = "#[instrument_business] goes on a function or a method with a body";
            syn::Error::new_spanned(item, why)
        })?;
        if let Some(keyword) = &function.sig.constness {
            let why = "a const fn cannot be a business operation: it may run at compile time";
            return Err(syn::Error::new_spanned(keyword, why));
        }
        let body = Body::of(&function)?;
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
            body,
            domain,
            operation,
            library,
        })
    }
}

impl Body {
    fn of(function: &ItemFn) -> syn::Result<Self> {
        if function.sig.asyncness.is_some() {
            return match &function.sig.output {
                ReturnType::Type(_, output) if matches!(**output, Type::Never(_)) => {
                    Err(never(output))
                }
                _ => Ok(Self::Async),
            };
        }
        let ReturnType::Type(_, output) = &function.sig.output else {
            return Ok(Self::Sync);
        };
        if matches!(**output, Type::Never(_)) {
            return Err(never(output));
        }
        if !is_future(output) {
            return Ok(Self::Sync);
        }
        BoxedBody::of(function).map(|body| Self::Boxed(Box::new(body))).ok_or_else(|| {
            let why = "this function returns before its future has done the work: make it an `async fn`, or end its \
                       body in `Box::pin(async move { … })`";
            syn::Error::new_spanned(output, why)
        })
    }
}

impl BoxedBody {
    fn of(function: &ItemFn) -> Option<Self> {
        let (last, before) = function.block.stmts.split_last()?;
        let Stmt::Expr(Expr::Call(call), None) = last else {
            return None;
        };
        let Expr::Path(path) = &*call.func else {
            return None;
        };
        let mut names = path
            .path
            .segments
            .iter()
            .rev()
            .map(|segment| segment.ident.to_string());
        let is_box_pin = names.next()? == "pin" && names.next()? == "Box";
        let (
            Some(Expr::Async(ExprAsync {
                attrs,
                block,
                capture: Some(_),
                ..
            })),
            1,
            true,
        ) = (call.args.first(), call.args.len(), is_box_pin)
        else {
            return None;
        };
        Some(Self {
            before: before.to_vec(),
            pin: (*call.func).clone(),
            attrs: attrs.clone(),
            block: block.clone(),
        })
    }
}

fn never(output: &Type) -> syn::Error {
    syn::Error::new_spanned(
        output,
        "a function that never returns has no outcome to record",
    )
}

/// Whether the type is `impl Future<…>` or a pinned box of one.
fn is_future(output: &Type) -> bool {
    match output {
        Type::ImplTrait(output) => names_future(&output.bounds),
        Type::TraitObject(output) => names_future(&output.bounds),
        Type::Path(output) => output.path.segments.last().is_some_and(|segment| {
            let wraps = segment.ident == "Pin" || segment.ident == "Box";
            let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
                return segment.ident == "BoxFuture" || segment.ident == "LocalBoxFuture";
            };
            let inner = |argument: &GenericArgument| matches!(argument, GenericArgument::Type(inner) if is_future(inner));
            segment.ident == "BoxFuture"
                || segment.ident == "LocalBoxFuture"
                || (wraps && arguments.args.iter().any(inner))
        }),
        _ => false,
    }
}

fn names_future<'a>(bounds: impl IntoIterator<Item = &'a TypeParamBound>) -> bool {
    bounds.into_iter().any(|bound| {
        let TypeParamBound::Trait(bound) = bound else {
            return false;
        };
        bound
            .path
            .segments
            .last()
            .is_some_and(|segment| segment.ident == "Future")
    })
}

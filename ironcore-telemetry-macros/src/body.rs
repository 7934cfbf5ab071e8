//! How a function does its work, read from its signature and its body.

use syn::{
    Attribute, Block, Expr, ExprAsync, ExprBlock, GenericArgument, ItemFn, Local, LocalInit, PathArguments,
    PathSegment, ReturnType, Stmt, Type, TypeParamBound,
};

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
    /// Statements of the block that name what is in the arguments: first, for expressions that see the arguments.
    pub(crate) names: Vec<Stmt>,
    /// `Box::pin`, as it is written.
    pub(crate) pin: Expr,
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) block: Block,
}

impl Body {
    pub(crate) fn of(function: &ItemFn) -> syn::Result<Self> {
        let output = match &function.sig.output {
            ReturnType::Default => None,
            ReturnType::Type(_, output) => Some(&**output),
        };
        if let Some(output @ Type::Never(_)) = output {
            let why = "a function that never returns has no outcome to record";
            return Err(syn::Error::new_spanned(output, why));
        }
        if function.sig.asyncness.is_some() {
            return Ok(Self::Async);
        }
        let Some(output) = output.filter(|output| is_future(output)) else {
            return Ok(Self::Sync);
        };
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
        let mut names = path.path.segments.iter().rev().map(|segment| segment.ident.to_string());
        let is_box_pin = names.next()? == "pin" && names.next()? == "Box";
        let (Some(Expr::Async(ExprAsync { attrs, block, capture: Some(_), .. })), 1, true) =
            (call.args.first(), call.args.len(), is_box_pin)
        else {
            return None;
        };
        Some(Self {
            before: before.to_vec(),
            names: Vec::new(),
            pin: (*call.func).clone(),
            attrs: attrs.clone(),
            block: block.clone(),
        })
    }
}

impl Body {
    /// Takes the patterns of arguments out of the block, into which `async_trait` writes them.
    pub(crate) fn name_arguments_first(&mut self) {
        if let Self::Boxed(boxed) = self {
            let names = boxed.block.stmts.extract_if(.., |part| is_name(part));
            boxed.names = names.collect();
        }
    }
}

/// Whether it is `let (a, b) = { let __arg1 = __arg1; __arg1 };`, or shorter, as `async_trait` wrote it once.
fn is_name(statement: &Stmt) -> bool {
    let Stmt::Local(Local { init: Some(LocalInit { expr, .. }), .. }) = statement else {
        return false;
    };
    let mut value = &**expr;
    if let Expr::Block(ExprBlock { block, .. }) = value
        && let Some(Stmt::Expr(last, None)) = block.stmts.last()
    {
        value = last;
    }
    let Expr::Path(path) = value else {
        return false;
    };
    let name = path.path.get_ident();
    name.is_some_and(|name| name.to_string().starts_with("__arg"))
}

/// Whether the type is `impl Future<…>` or a pinned box of one.
fn is_future(output: &Type) -> bool {
    match output {
        Type::ImplTrait(output) => names_future(&output.bounds).is_some(),
        Type::TraitObject(output) => names_future(&output.bounds).is_some(),
        Type::Path(output) => output.path.segments.last().is_some_and(|segment| {
            let wraps = segment.ident == "Pin" || segment.ident == "Box";
            segment.ident == "BoxFuture"
                || segment.ident == "LocalBoxFuture"
                || (wraps && arguments(segment).any(is_future))
        }),
        _ => false,
    }
}

/// What the future gives that the type is, where it says so: `T` of `Pin<Box<dyn Future<Output = T>>>`.
pub(crate) fn future_output(output: &Type) -> Option<&Type> {
    let bound = match output {
        Type::ImplTrait(output) => names_future(&output.bounds),
        Type::TraitObject(output) => names_future(&output.bounds),
        Type::Path(output) => {
            let segment = output.path.segments.last()?;
            return if segment.ident == "Pin" || segment.ident == "Box" {
                arguments(segment).find_map(future_output)
            } else if segment.ident == "BoxFuture" || segment.ident == "LocalBoxFuture" {
                arguments(segment).next()
            } else {
                None
            };
        }
        _ => None,
    };
    let PathArguments::AngleBracketed(arguments) = &bound?.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(bound) if bound.ident == "Output" => Some(&bound.ty),
        _ => None,
    })
}

/// The types in the angle brackets.
fn arguments(segment: &PathSegment) -> impl Iterator<Item = &Type> {
    let list = match &segment.arguments {
        PathArguments::AngleBracketed(list) => Some(list.args.iter()),
        _ => None,
    };
    list.into_iter().flatten().filter_map(
        |argument| {
            if let GenericArgument::Type(inner) = argument { Some(inner) } else { None }
        },
    )
}

/// The bound that is `Future<…>`.
fn names_future<'a>(bounds: impl IntoIterator<Item = &'a TypeParamBound>) -> Option<&'a PathSegment> {
    bounds.into_iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else {
            return None;
        };
        bound.path.segments.last().filter(|segment| segment.ident == "Future")
    })
}

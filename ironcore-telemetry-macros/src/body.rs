//! The kind of a function's body: synchronous, `async`, or a boxed future.

use crate::return_type::is_future;
use syn::{Attribute, Block, Expr, ExprAsync, ExprBlock, ItemFn, Local, LocalInit, ReturnType, Stmt, Type};

pub(crate) enum Body {
    /// The work is done when the function returns.
    Sync,
    /// An `async fn`.
    Async,
    /// The body that `async_trait` generates: it ends in `Box::pin(async move { … })`.
    Boxed(Box<BoxedBody>),
}

/// The parts of a boxed body.
pub(crate) struct BoxedBody {
    pub(crate) before: Vec<Stmt>,
    /// The statements of the async block that bind the arguments, when fields or labels need them before it.
    pub(crate) bindings: Vec<Stmt>,
    /// `Box::pin`, as the function writes it.
    pub(crate) pin: Expr,
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) block: Block,
}

impl Body {
    pub(crate) fn detect(function: &ItemFn) -> syn::Result<Self> {
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
        BoxedBody::detect(function).map(|body| Self::Boxed(Box::new(body))).ok_or_else(|| {
            let why = "this function returns before its future has done the work: make it an `async fn`, or end its \
                       body in `Box::pin(async move { … })`";
            syn::Error::new_spanned(output, why)
        })
    }

    /// Moves the statements that bind the arguments out of the async block, where `async_trait` puts them, so that
    /// fields and labels can use the names.
    pub(crate) fn bind_arguments_first(&mut self) {
        if let Self::Boxed(boxed) = self {
            let bindings = boxed.block.stmts.extract_if(.., |part| binds_argument(part));
            boxed.bindings = bindings.collect();
        }
    }
}

impl BoxedBody {
    fn detect(function: &ItemFn) -> Option<Self> {
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
            bindings: Vec::new(),
            pin: (*call.func).clone(),
            attrs: attrs.clone(),
            block: block.clone(),
        })
    }
}

/// Whether it is `let (a, b) = { let __arg1 = __arg1; __arg1 };`, or `let (a, b) = __arg1;` of older versions of
/// `async_trait`.
fn binds_argument(statement: &Stmt) -> bool {
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

//! What is current on a thread while a `tracing` span is entered.

use opentelemetry::{Context, ContextGuard};
use std::cell::RefCell;
use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;
use tracing_core::span::Id;

thread_local! {
    static ENTERED: RefCell<Vec<Entered>> = const { RefCell::new(Vec::new()) };
}

struct Entered {
    span: Id,
    _context: Option<ContextGuard>,
    _dispatch: Option<DefaultGuard>,
}

/// Makes a context and a subscriber current until the span is [left](pop).
pub(super) fn push(span: &Id, context: Option<Context>, dispatch: Option<&Dispatch>) {
    if context.is_none() && dispatch.is_none() {
        return;
    }
    let entered = Entered {
        span: span.clone(),
        _context: context.map(Context::attach),
        _dispatch: dispatch.map(tracing::dispatcher::set_default),
    };
    ENTERED.with_borrow_mut(|stack| stack.push(entered));
}

/// The span is left.
pub(super) fn pop(span: &Id) {
    let left = ENTERED.with_borrow_mut(|stack| {
        let position = stack.iter().rposition(|entered| entered.span == *span)?;
        Some(stack.remove(position))
    });
    // Outside of the borrow: a subscriber may end with its guard.
    drop(left);
}

//! An argument as it was given.

use proc_macro2::Span;

/// An argument's value, and the place of its key, where errors about the argument are reported.
#[derive(Clone)]
pub(crate) struct Given<T> {
    pub(crate) at: Span,
    pub(crate) value: T,
}

/// Reads an argument that must not be given twice. `expected` lists the allowed arguments, for the message.
pub(crate) fn set_once<T>(
    place: &mut Option<Given<T>>,
    name: &str,
    at: Span,
    expected: &str,
    read: impl FnOnce() -> syn::Result<T>,
) -> syn::Result<()> {
    if place.is_some() {
        return Err(syn::Error::new(at, format!("{name} is given twice: expected {expected}")));
    }
    *place = Some(Given { at, value: read()? });
    Ok(())
}

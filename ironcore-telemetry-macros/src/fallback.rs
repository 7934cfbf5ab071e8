//! What is emitted when the attribute cannot be used: the error and the untouched item, so that one mistake makes one
//! message.

use proc_macro2::TokenStream;

pub(crate) fn fallback(error: &syn::Error, item: TokenStream) -> TokenStream {
    let mut tokens = error.to_compile_error();
    tokens.extend(item);
    tokens
}

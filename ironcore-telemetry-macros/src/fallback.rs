//! The output for a wrong use of the attribute: the error, and the item without the attribute, so that one mistake
//! gives one message.

use crate::block;
use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::ItemImpl;

pub(crate) fn fallback(error: &syn::Error, item: TokenStream) -> TokenStream {
    let mut tokens = error.to_compile_error();
    match syn::parse2::<ItemImpl>(item.clone()) {
        Ok(mut block) => {
            block::strip(&mut block);
            block.to_tokens(&mut tokens);
        }
        Err(_) => tokens.extend(item),
    }
    tokens
}

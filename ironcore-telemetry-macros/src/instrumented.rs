//! The item that carries the attribute.

use crate::args::Args;
use crate::block::Block;
use crate::model::Model;
use proc_macro2::TokenStream;
use syn::{Item, ItemFn, ItemImpl, TraitItemFn};

pub(crate) enum Instrumented {
    Function(Box<Model>),
    Block(Box<Block>),
}

impl Instrumented {
    pub(crate) fn parse(args: TokenStream, item: &TokenStream) -> syn::Result<Self> {
        let args: Args = syn::parse2(args)?;
        let not_a_function = match syn::parse2::<ItemFn>(item.clone()) {
            Ok(function) => {
                let model = Model::build(args, function, None)?;
                return Ok(Self::Function(Box::new(model)));
            }
            Err(error) => error,
        };
        if let Ok(block) = syn::parse2::<ItemImpl>(item.clone()) {
            return Block::build(&args, block).map(|block| Self::Block(Box::new(block)));
        }
        if syn::parse2::<TraitItemFn>(item.clone()).is_ok() {
            let why = "a method without a body has nothing to record: put the attribute on its implementations";
            return Err(syn::Error::new_spanned(item, why));
        }
        if syn::parse2::<Item>(item.clone()).is_ok() {
            let why = "#[instrument_business] goes on a function, a method or an impl block";
            return Err(syn::Error::new_spanned(item, why));
        }
        Err(not_a_function)
    }
}

//! A whole `impl` block: each of its methods is an operation of the block's domain, unless it says otherwise.

use crate::args::{Args, Given};
use crate::model::Model;
use proc_macro2::{Span, TokenTree};
use syn::{Attribute, ImplItem, ImplItemFn, ItemFn, ItemImpl, Meta};

/// A block without the attributes inside it, and the operations in the places of their methods.
pub(crate) struct Block {
    pub(crate) item: ItemImpl,
    pub(crate) methods: Vec<Option<Model>>,
}

impl Block {
    pub(crate) fn of(args: &Args, mut item: ItemImpl) -> syn::Result<Self> {
        refuse_what_is_a_methods_own(args)?;
        let mut methods = Vec::with_capacity(item.items.len());
        let mut errors: Option<syn::Error> = None;
        for method in &mut item.items {
            let model = match method {
                ImplItem::Fn(method) => operation(args, method),
                _ => Ok(None),
            };
            match (model, &mut errors) {
                (Ok(model), _) => methods.push(model),
                (Err(error), Some(errors)) => errors.combine(error),
                (Err(error), None) => errors = Some(error),
            }
        }
        match errors {
            Some(errors) => Err(errors),
            None => Ok(Self { item, methods }),
        }
    }
}

/// Takes the attributes inside a block away: the block's own speaks for them.
pub(crate) fn strip(item: &mut ItemImpl) {
    for item in &mut item.items {
        if let ImplItem::Fn(method) = item {
            method.attrs.retain(|attr| !is_ours(attr) && !hides_ours(attr));
        }
    }
}

/// The operation that a method is; `None` when it opts out.
fn operation(block: &Args, method: &mut ImplItemFn) -> syn::Result<Option<Model>> {
    let own = own(method)?;
    let says_itself = own.is_some();
    let args = own.unwrap_or_default();
    if let Some(skip) = &args.skip {
        return if args.is_only_skip() {
            Ok(None)
        } else {
            let why = "`skip` stands alone: a method that is left out has no arguments";
            Err(syn::Error::new(skip.at, why))
        };
    }
    let way_out = |error: syn::Error| {
        if says_itself {
            return error;
        }
        let why = "or leave the method out with #[instrument_business(skip)]";
        syn::Error::new(error.span(), format!("{error}; {why}"))
    };
    if let Some(keyword) = &method.defaultness {
        let why = "a `default fn` cannot be a business operation";
        return Err(way_out(syn::Error::new_spanned(keyword, why)));
    }
    let function = ItemFn {
        attrs: method.attrs.clone(),
        vis: method.vis.clone(),
        sig: method.sig.clone(),
        block: Box::new(method.block.clone()),
    };
    Model::of(args.within(block), function).map(Some).map_err(way_out)
}

/// The arguments of a method's own attribute, which is taken away.
fn own(method: &mut ImplItemFn) -> syn::Result<Option<Args>> {
    if let Some(hidden) = method.attrs.iter().find(|attr| hides_ours(attr)) {
        let why = "the block cannot see what stands in `cfg_attr`: write the attribute itself, or `cfg` two methods";
        return Err(syn::Error::new_spanned(hidden, why));
    }
    let mut own = None;
    for attr in method.attrs.extract_if(.., |attr| is_ours(attr)) {
        let args = match &attr.meta {
            Meta::Path(_) => Args::default(),
            meta => meta.require_list()?.parse_args()?,
        };
        if own.replace(args).is_some() {
            let why = "this method has the attribute twice";
            return Err(syn::Error::new_spanned(attr, why));
        }
    }
    Ok(own)
}

/// By whatever path it is named.
fn is_ours(attr: &Attribute) -> bool {
    let name = attr.path().segments.last();
    name.is_some_and(|name| name.ident == "instrument_business")
}

/// Whether it stands in a `cfg_attr`, which is resolved only after the block.
fn hides_ours(attr: &Attribute) -> bool {
    let Meta::List(list) = &attr.meta else {
        return false;
    };
    let is_ours = |token: TokenTree| matches!(token, TokenTree::Ident(name) if name == "instrument_business");
    list.path.is_ident("cfg_attr") && list.tokens.clone().into_iter().any(is_ours)
}

fn refuse_what_is_a_methods_own(args: &Args) -> syn::Result<()> {
    fn at<T>(word: &'static str, given: Option<&Given<T>>) -> Option<(&'static str, Span)> {
        given.map(|given| (word, given.at))
    }
    let own = [
        at("name", args.name.as_ref()),
        at("fields", args.fields.as_ref()),
        at("labels", args.labels.as_ref()),
        at("err", args.err.as_ref()),
        at("ok", args.ok.as_ref()),
        at("skip", args.skip.as_ref()),
    ];
    match own.into_iter().flatten().next() {
        None => Ok(()),
        Some((word, at)) => {
            let why = format!(
                "`{word}` belongs to one method, in an attribute of its own: a block gives its methods a domain and \
                 `crate`, nothing else"
            );
            Err(syn::Error::new(at, why))
        }
    }
}

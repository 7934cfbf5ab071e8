//! The attribute on an `impl` block: it instruments each method that does not opt out.

use crate::args::Args;
use crate::given::Given;
use crate::model::Model;
use proc_macro2::{Span, TokenTree};
use syn::{Attribute, Generics, ImplItem, ImplItemFn, ItemFn, ItemImpl, Meta};

/// A block without the attributes inside it, and for each of its items the model of the instrumented method.
pub(crate) struct Block {
    pub(crate) item: ItemImpl,
    pub(crate) methods: Vec<Option<Model>>,
}

impl Block {
    pub(crate) fn build(args: &Args, mut item: ItemImpl) -> syn::Result<Self> {
        reject_method_arguments(args)?;
        let mut methods = Vec::with_capacity(item.items.len());
        let mut errors: Option<syn::Error> = None;
        for method in &mut item.items {
            let model = match method {
                ImplItem::Fn(method) => build_method(args, method, &item.generics),
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

/// Removes the attributes from the methods of a block that cannot be expanded.
pub(crate) fn strip(item: &mut ItemImpl) {
    for item in &mut item.items {
        if let ImplItem::Fn(method) = item {
            method.attrs.retain(|attr| !is_ours(attr) && !is_ours_in_cfg_attr(attr));
        }
    }
}

/// The model of a method; `None` when it opts out.
fn build_method(block: &Args, method: &mut ImplItemFn, generics: &Generics) -> syn::Result<Option<Model>> {
    let own = take_own_args(method)?;
    let has_own_attribute = own.is_some();
    let args = own.unwrap_or_default();
    if let Some(skip) = &args.skip {
        return if args.is_only_skip() {
            Ok(None)
        } else {
            let why = "`skip` stands alone: a method that is left out has no arguments";
            Err(syn::Error::new(skip.at, why))
        };
    }
    let with_way_out = |error: syn::Error| {
        if has_own_attribute {
            return error;
        }
        let why = "or leave the method out with #[instrument_business(skip)]";
        syn::Error::new(error.span(), format!("{error}; {why}"))
    };
    if let Some(keyword) = &method.defaultness {
        let why = "a `default fn` cannot be a business operation";
        return Err(with_way_out(syn::Error::new_spanned(keyword, why)));
    }
    let function = ItemFn {
        attrs: method.attrs.clone(),
        vis: method.vis.clone(),
        sig: method.sig.clone(),
        block: Box::new(method.block.clone()),
    };
    Model::build(args.with_defaults_of(block), function, Some(generics)).map(Some).map_err(with_way_out)
}

/// Removes the attribute from a method and returns its arguments.
fn take_own_args(method: &mut ImplItemFn) -> syn::Result<Option<Args>> {
    if let Some(hidden) = method.attrs.iter().find(|attr| is_ours_in_cfg_attr(attr)) {
        let why =
            "the block cannot see an attribute inside `cfg_attr`: write the attribute itself, or `cfg` two methods";
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

/// Whether this is `#[instrument_business]`, under any path.
fn is_ours(attr: &Attribute) -> bool {
    let name = attr.path().segments.last();
    name.is_some_and(|name| name.ident == "instrument_business")
}

/// The compiler resolves `cfg_attr` inside the block only after the block's attribute has been expanded.
fn is_ours_in_cfg_attr(attr: &Attribute) -> bool {
    let Meta::List(list) = &attr.meta else {
        return false;
    };
    let is_ours = |token: TokenTree| matches!(token, TokenTree::Ident(name) if name == "instrument_business");
    list.path.is_ident("cfg_attr") && list.tokens.clone().into_iter().any(is_ours)
}

fn reject_method_arguments(args: &Args) -> syn::Result<()> {
    fn at<T>(word: &'static str, given: Option<&Given<T>>) -> Option<(&'static str, Span)> {
        given.map(|given| (word, given.at))
    }
    let given = [
        at("name", args.name.as_ref()),
        at("fields", args.fields.as_ref()),
        at("labels", args.labels.as_ref()),
        at("err", args.err.as_ref()),
        at("ok", args.ok.as_ref()),
        at("record_error", args.record_error.as_ref()),
        at("skip", args.skip.as_ref()),
    ];
    match given.into_iter().flatten().next() {
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

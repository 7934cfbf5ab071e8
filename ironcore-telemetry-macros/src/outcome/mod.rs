//! `#[derive(Outcome)]`: the verdict of each variant of an error type. Here are the checks; the tokens are made in
//! `outcome/expand.rs`.

mod args;
mod expand;

use crate::given::Given;
use crate::library;
use crate::snake_case::{is_snake_case, to_snake_case};
use args::{ALLOWED, Class, OutcomeArgs};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::{Attribute, Data, DeriveInput, Field, Fields, Ident, Member, Type, Variant};

/// How a variant, or a struct, gets its verdict.
enum Rule {
    /// It has its own class and code.
    Own { class: Class, code: String },
    /// It has the verdict of the field, which is of type `of`.
    Forward { field: Member, of: Box<Type>, at: Span },
}

enum Rules {
    Struct(Rule),
    Enum(Vec<(Ident, Rule)>),
    /// The attributes are wrong.
    Invalid,
}

pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let item: DeriveInput = match syn::parse2(item) {
        Ok(item) => item,
        Err(error) => return error.to_compile_error(),
    };
    let args = OutcomeArgs::parse(&item.attrs);
    let library = library::path(args.as_ref().ok().and_then(|args| args.library.clone()));
    let (rules, error) = match args.and_then(|args| rules(&args, &item)) {
        Ok(rules) => (rules, TokenStream::new()),
        // The implementation is emitted too, so that one mistake gives one message.
        Err(error) => (Rules::Invalid, error.to_compile_error()),
    };
    let expanded = expand::expand(&item, &library, &rules);
    quote!(#error #expanded)
}

fn rules(args: &OutcomeArgs, item: &DeriveInput) -> syn::Result<Rules> {
    match &item.data {
        Data::Struct(data) => {
            let rule = rule(args, &item.ident, &data.fields)?.ok_or_else(|| {
                let why = format!("`{}` has no verdict: write #[outcome(…)] on it, with {ALLOWED}", item.ident);
                syn::Error::new(item.ident.span(), why)
            })?;
            Ok(Rules::Struct(rule))
        }
        Data::Enum(data) => {
            if let Some(verdict) = &args.verdict {
                let why = "an enum as a whole has no verdict: write #[outcome(…)] on each variant";
                return Err(syn::Error::new(verdict.at, why));
            }
            rules_of_variants(data.variants.iter())
        }
        Data::Union(data) => {
            let why = "a union does not know what it holds: derive Outcome on an enum or a struct";
            Err(syn::Error::new_spanned(data.union_token, why))
        }
    }
}

fn rules_of_variants<'a>(variants: impl Iterator<Item = &'a Variant>) -> syn::Result<Rules> {
    let mut rules = Vec::new();
    let mut missing: Vec<&Ident> = Vec::new();
    for variant in variants {
        let args = OutcomeArgs::parse(&variant.attrs)?;
        if let Some(Given { at, .. }) = args.library {
            let why = "`crate` belongs on the enum itself";
            return Err(syn::Error::new(at, why));
        }
        match rule(&args, &variant.ident, &variant.fields)? {
            Some(rule) => rules.push((variant.ident.clone(), rule)),
            None => missing.push(&variant.ident),
        }
    }
    let Some(first) = missing.first() else {
        return Ok(Rules::Enum(rules));
    };
    let names: Vec<_> = missing.iter().map(|name| format!("`{name}`")).collect();
    let why = format!("no verdict for {}: write #[outcome(…)] on each, with {ALLOWED}", names.join(", "));
    Err(syn::Error::new(first.span(), why))
}

/// The rule of an item with this name and these fields; `None` when its attributes give no verdict.
fn rule(args: &OutcomeArgs, name: &Ident, fields: &Fields) -> syn::Result<Option<Rule>> {
    let verdict = match (&args.verdict, &args.code) {
        (Some(verdict), _) => verdict,
        (None, None) => return Ok(None),
        (None, Some(code)) => {
            let why = "a code needs a verdict beside it: `ok`, `rejected` or `failed`";
            return Err(syn::Error::new(code.at, why));
        }
    };
    let Some(class) = verdict.value else {
        if let Some(code) = &args.code {
            let why = "a forwarded outcome brings its own code";
            return Err(syn::Error::new(code.at, why));
        }
        let (member, field) = source(verdict.at, fields)?;
        return Ok(Some(Rule::Forward { field: member, of: Box::new(field.ty.clone()), at: verdict.at }));
    };
    let code = match &args.code {
        Some(code) => code.value.value(),
        None => to_snake_case(&name.unraw().to_string()),
    };
    if !is_snake_case(&code, 64) {
        let why = "this name cannot be a code: give one, as in `code = \"signer_unavailable\"`";
        return Err(syn::Error::new(name.span(), why));
    }
    Ok(Some(Rule::Own { class, code }))
}

/// The field that a verdict is forwarded to: the only one, or the one that is marked.
fn source(at: Span, fields: &Fields) -> syn::Result<(Member, &Field)> {
    let is_marked = |field: &Field| {
        let is_mark = |attr: &Attribute| attr.path().is_ident("source") || attr.path().is_ident("from");
        field.attrs.iter().any(is_mark)
    };
    let member = |(place, field): (usize, &Field)| {
        let name = field.ident.clone();
        name.map_or_else(|| Member::from(place), Member::Named)
    };
    let all: Vec<_> = fields.iter().enumerate().map(member).zip(fields).collect();
    let sources: Vec<_> = all.iter().filter(|(_, field)| is_marked(field)).collect();
    match (&all[..], &sources[..]) {
        ([only], _) => Ok(only.clone()),
        (_, [only]) => Ok((*only).clone()),
        _ => {
            let why = "`forward` takes the verdict of the only field, or of the one marked #[source] or #[from]";
            Err(syn::Error::new(at, why))
        }
    }
}

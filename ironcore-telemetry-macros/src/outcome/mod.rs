//! `#[derive(Outcome)]`: the verdict of each variant of an error type. The attribute's grammar and the checked model; the
//! tokens are made in `outcome/expand.rs`.

mod expand;

use crate::args::is_word;
use crate::model::library;
use crate::words::snake_case;
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Data, DeriveInput, Field, Fields, Ident, LitStr, Member, Path, Variant};

const ALLOWED: &str = "`ok`, `rejected`, `failed` or `forward`, and `code = \"…\"` beside the first three";

/// What one variant, or a struct, says of itself.
enum Verdict {
    /// A class and a code of its own.
    Own { class: Class, code: String },
    /// That of the field, which has this type.
    Forward { field: Member, of: Box<syn::Type>, at: Span },
}

#[derive(Clone, Copy)]
enum Class {
    Ok,
    Rejected,
    Failed,
}

/// The checked type.
struct Model {
    item: DeriveInput,
    library: Path,
    verdicts: Verdicts,
}

enum Verdicts {
    Struct(Verdict),
    Enum(Vec<(Ident, Verdict)>),
    /// There was an error.
    Unknown,
}

/// What the attributes of one item say, each at most once.
#[derive(Default)]
struct Given {
    /// Where the verdict stands, and its class; none when it is `forward`.
    verdict: Option<(Span, Option<Class>)>,
    code: Option<(Span, LitStr)>,
    library: Option<(Span, Path)>,
}

pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let item: DeriveInput = match syn::parse2(item) {
        Ok(item) => item,
        Err(error) => return error.to_compile_error(),
    };
    let given = Given::of(&item.attrs);
    let path = given.as_ref().ok().and_then(|given| given.library.clone());
    let library = library(path.map(|(_, path)| path));
    let (verdicts, error) = match given.and_then(|given| verdicts(&given, &item)) {
        Ok(verdicts) => (verdicts, TokenStream::new()),
        // With an implementation all the same, so that one mistake makes one message.
        Err(error) => (Verdicts::Unknown, error.to_compile_error()),
    };
    let expanded = expand::expand(&Model { item, library, verdicts });
    quote!(#error #expanded)
}

fn verdicts(given: &Given, item: &DeriveInput) -> syn::Result<Verdicts> {
    match &item.data {
        Data::Struct(data) => {
            let verdict = given.verdict(&item.ident, &data.fields)?.ok_or_else(|| {
                let why = format!("`{}` has no verdict: write #[outcome(…)] on it, with {ALLOWED}", item.ident);
                syn::Error::new(item.ident.span(), why)
            })?;
            Ok(Verdicts::Struct(verdict))
        }
        Data::Enum(data) => {
            if let Some((at, _)) = given.verdict {
                let why = "each variant says its own verdict: there is none for the whole enum";
                return Err(syn::Error::new(at, why));
            }
            of_variants(data.variants.iter())
        }
        Data::Union(data) => {
            let why = "a union does not know what it holds: derive Outcome on an enum or a struct";
            Err(syn::Error::new_spanned(data.union_token, why))
        }
    }
}

fn of_variants<'a>(variants: impl Iterator<Item = &'a Variant>) -> syn::Result<Verdicts> {
    let mut verdicts = Vec::new();
    let mut without: Vec<&Ident> = Vec::new();
    for variant in variants {
        let given = Given::of(&variant.attrs)?;
        if let Some((at, _)) = given.library {
            let why = "`crate` belongs on the enum itself";
            return Err(syn::Error::new(at, why));
        }
        match given.verdict(&variant.ident, &variant.fields)? {
            Some(verdict) => verdicts.push((variant.ident.clone(), verdict)),
            None => without.push(&variant.ident),
        }
    }
    let Some(first) = without.first() else {
        return Ok(Verdicts::Enum(verdicts));
    };
    let names: Vec<_> = without.iter().map(|name| format!("`{name}`")).collect();
    let why = format!("no verdict for {}: write #[outcome(…)] on each, with {ALLOWED}", names.join(", "));
    Err(syn::Error::new(first.span(), why))
}

impl Given {
    fn of(attrs: &[Attribute]) -> syn::Result<Self> {
        let mut given = Self::default();
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("outcome")) {
            attr.parse_nested_meta(|meta| given.take(&meta))?;
        }
        Ok(given)
    }

    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let unknown = || meta.error(format!("unknown argument: expected {ALLOWED}"));
        let key = meta.path.get_ident().ok_or_else(unknown)?;
        let at = key.span();
        let class = match key.to_string().as_str() {
            "ok" => Some(Class::Ok),
            "rejected" => Some(Class::Rejected),
            "failed" => Some(Class::Failed),
            "forward" => None,
            "code" => return once(&mut self.code, at, "code", || code(meta)),
            "crate" => return once(&mut self.library, at, "crate", || meta.value()?.parse()),
            _ => return Err(unknown()),
        };
        if self.verdict.is_some() {
            let why = format!("the verdict is given twice: expected one of {ALLOWED}");
            return Err(syn::Error::new(at, why));
        }
        self.verdict = Some((at, class));
        Ok(())
    }

    /// What this says of an item with that name and those fields; `None` when it says nothing.
    fn verdict(&self, name: &Ident, fields: &Fields) -> syn::Result<Option<Verdict>> {
        let (class, at) = match (self.verdict, &self.code) {
            (Some((at, class)), _) => (class, at),
            (None, None) => return Ok(None),
            (None, Some((at, _))) => {
                let why = "a code needs a verdict beside it: `ok`, `rejected` or `failed`";
                return Err(syn::Error::new(*at, why));
            }
        };
        let Some(class) = class else {
            if let Some((at, _)) = self.code {
                let why = "a forwarded outcome brings its own code";
                return Err(syn::Error::new(at, why));
            }
            let (member, field) = source(at, fields)?;
            return Ok(Some(Verdict::Forward { field: member, of: Box::new(field.ty.clone()), at }));
        };
        let code = match &self.code {
            Some((_, code)) => code.value(),
            None => snake_case(&name.unraw().to_string()),
        };
        if !is_word(&code, 64) {
            let why = "this name makes no code: give one, as in `code = \"signer_unavailable\"`";
            return Err(syn::Error::new(name.span(), why));
        }
        Ok(Some(Verdict::Own { class, code }))
    }
}

/// The field that a verdict is forwarded to: the only one, or the one that is marked.
fn source(at: Span, fields: &Fields) -> syn::Result<(Member, &Field)> {
    let marked = |field: &Field| {
        let mark = |attr: &Attribute| attr.path().is_ident("source") || attr.path().is_ident("from");
        field.attrs.iter().any(mark)
    };
    let member = |(place, field): (usize, &Field)| {
        let name = field.ident.clone();
        name.map_or_else(|| Member::from(place), Member::Named)
    };
    let all: Vec<_> = fields.iter().enumerate().map(member).zip(fields).collect();
    let sources: Vec<_> = all.iter().filter(|(_, field)| marked(field)).collect();
    match (&all[..], &sources[..]) {
        ([only], _) => Ok(only.clone()),
        (_, [only]) => Ok((*only).clone()),
        _ => {
            let why = "`forward` asks the only field, or the one marked #[source] or #[from]";
            Err(syn::Error::new(at, why))
        }
    }
}

fn code(meta: &ParseNestedMeta<'_>) -> syn::Result<LitStr> {
    let code: LitStr = meta.value()?.parse()?;
    if is_word(&code.value(), 64) {
        Ok(code)
    } else {
        let why = "a code is lower-case letters, digits and _, a letter first, 64 at most";
        Err(syn::Error::new(code.span(), why))
    }
}

fn once<T>(
    place: &mut Option<(Span, T)>,
    at: Span,
    key: &str,
    read: impl FnOnce() -> syn::Result<T>,
) -> syn::Result<()> {
    if place.is_some() {
        return Err(syn::Error::new(at, format!("`{key}` is given twice: expected {ALLOWED}")));
    }
    *place = Some((at, read()?));
    Ok(())
}

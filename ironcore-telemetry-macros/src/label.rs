//! `#[derive(Label)]`: an enum without fields as a label of metrics.

use crate::given::{Given, set_once};
use crate::library;
use crate::snake_case::to_snake_case;
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::{Attribute, Data, DeriveInput, Ident, LitStr, Path, Variant};

/// With five outcomes each, more values would exceed the 200 series of one instrumented function.
const MOST: usize = 40;
const LONGEST: usize = 64;

pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let item: DeriveInput = match syn::parse2(item) {
        Ok(item) => item,
        Err(error) => return error.to_compile_error(),
    };
    let path = given_path(&item.attrs);
    let library = library::path(path.as_ref().ok().cloned().flatten());
    let (values, error) = match path.and_then(|_| values(&item)) {
        Ok(values) => (values, TokenStream::new()),
        // The implementation is emitted too, so that one mistake gives one message.
        Err(error) => (Vec::new(), error.to_compile_error()),
    };
    let expanded = expand(&item, &library, &values);
    quote!(#error #expanded)
}

/// Each variant with its value.
fn values(item: &DeriveInput) -> syn::Result<Vec<(Ident, String)>> {
    let Data::Enum(data) = &item.data else {
        let why = "a label is one of a closed set: derive Label on an enum without fields";
        return Err(syn::Error::new(item.ident.span(), why));
    };
    let count = data.variants.len();
    if count == 0 || count > MOST {
        let why = format!("a label has 1 to {MOST} values, and this enum has {count}");
        return Err(syn::Error::new(item.ident.span(), why));
    }
    let mut values: Vec<(Ident, String)> = Vec::with_capacity(count);
    for variant in &data.variants {
        if !variant.fields.is_empty() {
            let why = "a label is one of a closed set: its variants have no fields";
            return Err(syn::Error::new_spanned(&variant.fields, why));
        }
        let (at, value) = value(variant)?;
        if let Some((other, _)) = values.iter().find(|(_, known)| *known == value) {
            let why = format!("`{other}` has the value `{value}` already");
            return Err(syn::Error::new(at, why));
        }
        values.push((variant.ident.clone(), value));
    }
    Ok(values)
}

/// The value of a variant, and the place where errors about it are reported.
fn value(variant: &Variant) -> syn::Result<(Span, String)> {
    let mut given: Option<LitStr> = None;
    for attr in label_attributes(&variant.attrs) {
        let name: LitStr = attr.parse_args().map_err(|error| {
            let why = "expected the value of the label, as in #[label(\"btc\")]";
            syn::Error::new(error.span(), why)
        })?;
        if given.is_some() {
            let why = "the value of the label is given twice: expected one, as in #[label(\"btc\")]";
            return Err(syn::Error::new(name.span(), why));
        }
        given = Some(name);
    }
    let (at, value) = given.map_or_else(
        || (variant.ident.span(), to_snake_case(&variant.ident.unraw().to_string())),
        |given| (given.span(), given.value()),
    );
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if value.is_empty() || value.len() > LONGEST || !value.bytes().all(is_allowed) {
        let why = format!(
            "the value of a label is at most {LONGEST} ASCII letters, digits, _, - and .: give one, as in \
             #[label(\"btc\")]"
        );
        return Err(syn::Error::new(at, why));
    }
    Ok((at, value))
}

/// `#[label(crate = path)]` on the enum.
fn given_path(attrs: &[Attribute]) -> syn::Result<Option<Given<Path>>> {
    const ALLOWED: &str = "`crate = path`";
    let mut given = None;
    for attr in label_attributes(attrs) {
        attr.parse_nested_meta(|meta| match meta.path.get_ident() {
            Some(key) if key == "crate" => {
                set_once(&mut given, "`crate`", key.span(), ALLOWED, || meta.value()?.parse())
            }
            _ => Err(meta.error(format!("unknown argument: expected {ALLOWED}"))),
        })?;
    }
    Ok(given)
}

fn label_attributes(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("label"))
}

fn expand(item: &DeriveInput, library: &Path, values: &[(Ident, String)]) -> TokenStream {
    let private = quote!(#library::__private);
    let name = &item.ident;
    let (generics, arguments, conditions) = item.generics.split_for_impl();
    let texts = values.iter().map(|(_, value)| value);
    let arms = values.iter().enumerate().map(|(index, (variant, _))| quote!(Self::#variant { .. } => #index,));
    // After an error there are no variants to match.
    let index = if values.is_empty() { quote!(0usize) } else { quote!(match self { #(#arms)* }) };
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #generics #private::SealedLabel for #name #arguments #conditions {}

        #[automatically_derived]
        #[allow(deprecated)]
        impl #generics #private::Label for #name #arguments #conditions {
            const VALUES: &'static [&'static #private::core::primitive::str] = &[#(#texts),*];

            #[inline]
            fn index(&self) -> #private::core::primitive::usize {
                #index
            }
        }
    }
}

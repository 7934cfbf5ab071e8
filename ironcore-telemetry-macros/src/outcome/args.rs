//! The grammar of `#[outcome(…)]`.

use crate::given::{Given, set_once};
use crate::snake_case::is_snake_case;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, LitStr, Path};

pub(super) const ALLOWED: &str = "`ok`, `rejected`, `failed` or `forward`, and `code = \"…\"` beside the first three";

/// The arguments of the attributes of one item.
#[derive(Default)]
pub(super) struct OutcomeArgs {
    /// The class; `None` inside for `forward`.
    pub(super) verdict: Option<Given<Option<Class>>>,
    pub(super) code: Option<Given<LitStr>>,
    pub(super) library: Option<Given<Path>>,
}

#[derive(Clone, Copy)]
pub(super) enum Class {
    Ok,
    Rejected,
    Failed,
}

impl OutcomeArgs {
    pub(super) fn parse(attrs: &[Attribute]) -> syn::Result<Self> {
        let mut args = Self::default();
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("outcome")) {
            attr.parse_nested_meta(|meta| args.parse_argument(&meta))?;
        }
        Ok(args)
    }

    fn parse_argument(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let unknown = || meta.error(format!("unknown argument: expected {ALLOWED}"));
        let key = meta.path.get_ident().ok_or_else(unknown)?;
        let at = key.span();
        let class = match key.to_string().as_str() {
            "ok" => Some(Class::Ok),
            "rejected" => Some(Class::Rejected),
            "failed" => Some(Class::Failed),
            "forward" => None,
            "code" => return set_once(&mut self.code, "`code`", at, ALLOWED, || code(meta)),
            "crate" => return set_once(&mut self.library, "`crate`", at, ALLOWED, || meta.value()?.parse()),
            _ => return Err(unknown()),
        };
        set_once(&mut self.verdict, "the verdict", at, ALLOWED, || Ok(class))
    }
}

impl Class {
    /// The name of the variant of `OutcomeClass`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ok => "Ok",
            Self::Rejected => "Rejected",
            Self::Failed => "Failed",
        }
    }
}

fn code(meta: &ParseNestedMeta<'_>) -> syn::Result<LitStr> {
    let code: LitStr = meta.value()?.parse()?;
    if is_snake_case(&code.value(), 64) {
        Ok(code)
    } else {
        let why = "a code is at most 64 lower-case letters, digits and _, starting with a letter";
        Err(syn::Error::new(code.span(), why))
    }
}

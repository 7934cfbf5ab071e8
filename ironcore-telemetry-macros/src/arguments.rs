//! Facts about the arguments of a function that can be read from its tokens.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::visit_mut::{VisitMut, visit_pat_ident_mut};
use syn::{Attribute, FnArg, Ident, ItemFn, Lifetime, PatIdent, PatType, Receiver, Type, TypeReference};

/// Names that one argument binds, with the attributes of the argument.
pub(crate) struct Moved<'function> {
    pub(crate) attrs: &'function [Attribute],
    pub(crate) names: Vec<Ident>,
}

/// The names that must be moved into a closure with the body: those that are `mut`, and all of an argument with a `&mut`
/// or a lifetime in its type, which may hold a `&mut`. Without those that the body does not mention: they stay unused.
pub(crate) fn moved(function: &ItemFn) -> impl Iterator<Item = Moved<'_>> {
    let body = function.block.to_token_stream();
    function.sig.inputs.iter().filter_map(move |argument| {
        let (attrs, mut names) = match argument {
            FnArg::Receiver(Receiver { attrs, reference, mutability, self_token, colon_token, ty }) => {
                let is_value = reference.is_none() && colon_token.is_none();
                let is_moved = is_value || mutability.is_some() || may_lend(ty);
                (attrs, if is_moved { vec![Ident::new("self", self_token.span)] } else { Vec::new() })
            }
            FnArg::Typed(PatType { attrs, pat, ty, .. }) => {
                let mut names = Names { all: may_lend(ty), found: Vec::new() };
                names.visit_pat_mut(&mut pat.clone());
                (attrs, names.found)
            }
        };
        names.retain(|name| mentions(body.clone(), &name.to_string()));
        (!names.is_empty()).then_some(Moved { attrs, names })
    })
}

struct Names {
    all: bool,
    found: Vec<Ident>,
}

impl VisitMut for Names {
    fn visit_pat_ident_mut(&mut self, name: &mut PatIdent) {
        // A name in capitals may be a constant, which binds nothing.
        let may_bind = !name.ident.to_string().starts_with(char::is_uppercase);
        if may_bind && name.by_ref.is_none() && (self.all || name.mutability.is_some()) {
            self.found.push(name.ident.clone());
        }
        visit_pat_ident_mut(self, name);
    }
}

/// Whether the name is among the tokens, or in the text of a literal, where a format string may mention it.
fn mentions(tokens: TokenStream, name: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => mentions(group.stream(), name),
        TokenTree::Ident(ident) => ident == name,
        TokenTree::Literal(literal) => literal.to_string().contains(name),
        TokenTree::Punct(_) => false,
    })
}

/// Whether a value of the type can lend out what it only borrows mutably.
fn may_lend(of: &Type) -> bool {
    struct Search(bool);

    impl VisitMut for Search {
        fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
            self.0 |= reference.mutability.is_some();
            self.visit_type_mut(&mut reference.elem);
        }

        fn visit_lifetime_mut(&mut self, _: &mut Lifetime) {
            self.0 = true;
        }
    }

    let mut search = Search(false);
    search.visit_type_mut(&mut of.clone());
    search.0
}

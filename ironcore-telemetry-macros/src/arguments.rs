//! Facts about the arguments of a function that can be read from its tokens.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::visit_mut::{VisitMut, visit_pat_ident_mut};
use syn::{Attribute, FnArg, Ident, ItemFn, Lifetime, PatIdent, PatType, Receiver, Type, TypeReference};

/// Names that one argument binds, with the attributes of the argument.
pub(crate) struct Captured<'function> {
    pub(crate) attrs: &'function [Attribute],
    /// In the order in which they are bound.
    pub(crate) names: Vec<Name>,
}

pub(crate) struct Name {
    pub(crate) ident: Ident,
    /// Whether it must be moved into the closure with the body.
    pub(crate) is_moved: bool,
}

/// The names that a closure with the body has to mention first, in the order in which they are bound.
///
/// Those are moved that are `mut`, and all of an argument with a `&mut` or a lifetime in its type, which may hold a
/// `&mut`; and, as arguments are dropped from the last to the first, all behind one that is moved, for that one is
/// dropped with the closure. Without those that the body does not mention, which stay unused, and those that `judge`
/// mentions, which borrows them.
pub(crate) fn captured<'function>(function: &'function ItemFn, judge: &TokenStream) -> Vec<Captured<'function>> {
    let body = function.block.to_token_stream();
    let mut is_behind_moved = false;
    let mut captured = Vec::new();
    for argument in &function.sig.inputs {
        let mut names = Names { all: false, found: Vec::new() };
        let (attrs, ty) = match argument {
            FnArg::Receiver(Receiver { attrs, reference, mutability, self_token, colon_token, ty }) => {
                let is_value = reference.is_none() && colon_token.is_none();
                let is_moved = is_value || mutability.is_some() || may_lend(ty);
                names.found.push((Ident::new("self", self_token.span), is_moved));
                (attrs, ty)
            }
            FnArg::Typed(PatType { attrs, pat, ty, .. }) => {
                names.all = may_lend(ty);
                names.visit_pat_mut(&mut pat.clone());
                (attrs, ty)
            }
        };
        let may_drop = !matches!(**ty, Type::Reference(_));
        let mut kept = Vec::new();
        for (ident, must_move) in names.found {
            let name = ident.to_string();
            let (is_mentioned, is_silent) = (mentions(body.clone(), &name), name.starts_with('_'));
            let follows = is_behind_moved && may_drop && (is_mentioned || is_silent) && !mentions(judge.clone(), &name);
            let is_moved = must_move && is_mentioned || follows;
            is_behind_moved |= is_moved && may_drop;
            if is_moved || is_mentioned && may_drop {
                kept.push(Name { ident, is_moved });
            }
        }
        if !kept.is_empty() {
            captured.push(Captured { attrs, names: kept });
        }
    }
    // The order of one is no order.
    let is_needed = captured.iter().flat_map(|one| &one.names).any(|name| name.is_moved)
        || captured.iter().map(|one| one.names.len()).sum::<usize>() > 1;
    if is_needed { captured } else { Vec::new() }
}

struct Names {
    all: bool,
    /// Each with whether it must be moved.
    found: Vec<(Ident, bool)>,
}

impl VisitMut for Names {
    fn visit_pat_ident_mut(&mut self, name: &mut PatIdent) {
        // A name in capitals may be a constant, which binds nothing.
        let may_bind = !name.ident.to_string().starts_with(char::is_uppercase);
        if may_bind && name.by_ref.is_none() {
            self.found.push((name.ident.clone(), self.all || name.mutability.is_some()));
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

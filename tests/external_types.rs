//! The public interface of the library names types and traits of other crates only where `external_types.txt` lists
//! them with a reason: a breaking release of such a crate is one of ours.
//!
//! The sources are parsed. An item that is `pub` is public, because the lint `unreachable_pub` refuses all others. Code
//! that comes of `macro_rules!` is not seen.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use syn::visit_mut::VisitMut;
use syn::{
    Attribute, File, GenericParam, Generics, ImplItem, Item, ItemImpl, Meta, TraitItem, Type, UseTree, Visibility,
};

#[test]
fn types_of_other_crates_in_the_public_interface_are_listed_with_a_reason() {
    let listed = listed();
    let named = named_in_public_interface();
    assert!(named.len() > 10, "the scan finds {named:?}");
    let new: Vec<_> = named.iter().filter(|(name, _)| !listed.contains_key(*name)).collect();
    assert!(
        new.is_empty(),
        "new in the public interface: {new:#?}; keep them out, or list each in tests/external_types.txt with the reason"
    );
    let gone: Vec<_> = listed.keys().filter(|name| !named.contains_key(*name)).collect();
    assert!(gone.is_empty(), "no longer in the public interface: {gone:#?}; delete these lines");
}

/// The lines of `external_types.txt`: a path, and the reason behind it.
fn listed() -> BTreeMap<String, String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("external_types.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let entry = |line: &str| {
        let (name, reason) = line.split_once(' ').unwrap_or_else(|| panic!("no reason: {line}"));
        (name.to_owned(), reason.trim().to_owned())
    };
    lines.map(entry).collect()
}

/// The paths of other crates that public items name, each with the files where it stands.
fn named_in_public_interface() -> BTreeMap<String, BTreeSet<String>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ironcore-telemetry/src");
    let files: Vec<_> = files(&source)
        .into_iter()
        .map(|path| {
            let file = syn::parse_file(&fs::read_to_string(&path).unwrap());
            let file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path.strip_prefix(&source).unwrap().display().to_string(), expand(file.items))
        })
        .collect();
    let own: HashSet<_> = files.iter().flat_map(|(_, items)| type_names(items, &is_public)).collect();
    let crates = dependencies();
    let mut named = BTreeMap::<_, BTreeSet<_>>::new();
    for (file, items) in files {
        let private = type_names(&items, &|visibility| !is_public(visibility)).into_iter().collect();
        let mut scan = Scan { own: &own, private, crates: &crates, imports: HashMap::new(), named: BTreeSet::new() };
        scan.items(items);
        for name in scan.named {
            named.entry(name).or_default().insert(file.clone());
        }
    }
    named
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let entries = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// The crates that the library depends on, as code spells them.
fn dependencies() -> HashSet<String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ironcore-telemetry/Cargo.toml");
    let manifest = fs::read_to_string(manifest).unwrap();
    let (_, dependencies) = manifest.split_once("\n[dependencies]\n").unwrap();
    let dependencies = dependencies.split("\n[").next().unwrap().lines();
    let names = dependencies.filter(|line| !line.starts_with('#')).filter_map(|line| line.split(['.', ' ']).next());
    names.filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

/// Leaves out the code of tests, and replaces each `pin_project!` by the items in it.
fn expand(items: Vec<Item>) -> Vec<Item> {
    let expanded = items.into_iter().filter(|item| !attributes(item).iter().any(is_test)).flat_map(|item| match item {
        Item::Macro(call) if call.mac.path.is_ident("pin_project") => {
            expand(syn::parse2::<File>(call.mac.tokens).unwrap().items)
        }
        Item::Mod(mut module) => {
            module.content = module.content.map(|(brace, items)| (brace, expand(items)));
            vec![Item::Mod(module)]
        }
        item => vec![item],
    });
    expanded.collect()
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn is_test(attribute: &Attribute) -> bool {
    matches!(&attribute.meta, Meta::List(list) if list.path.is_ident("cfg") && list.tokens.to_string() == "test")
}

const fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// The names of the types and traits that are as visible as is asked for.
fn type_names(items: &[Item], is_wanted: &dyn Fn(&Visibility) -> bool) -> Vec<String> {
    let names = items.iter().flat_map(|item| match item {
        Item::Struct(item) if is_wanted(&item.vis) => vec![item.ident.to_string()],
        Item::Enum(item) if is_wanted(&item.vis) => vec![item.ident.to_string()],
        Item::Trait(item) if is_wanted(&item.vis) => vec![item.ident.to_string()],
        Item::Type(item) if is_wanted(&item.vis) => vec![item.ident.to_string()],
        Item::Mod(module) => module.content.iter().flat_map(|(_, items)| type_names(items, is_wanted)).collect(),
        _ => Vec::new(),
    });
    names.collect()
}

/// The imports of one module, and the paths of other crates that its public items name.
struct Scan<'own> {
    /// The public types and traits of the library.
    own: &'own HashSet<String>,
    /// The other types and traits of this file.
    private: HashSet<String>,
    crates: &'own HashSet<String>,
    imports: HashMap<String, Vec<String>>,
    named: BTreeSet<String>,
}

impl Scan<'_> {
    fn items(&mut self, items: Vec<Item>) {
        for item in &items {
            if let Item::Use(item) = item {
                let names = flatten(&item.tree, &[]);
                if is_public(&item.vis) {
                    for (_, path) in &names {
                        self.name(path);
                    }
                }
                self.imports.extend(names);
            }
        }
        for item in items {
            self.item(item);
        }
    }

    fn item(&mut self, item: Item) {
        match item {
            Item::Struct(mut item) if is_public(&item.vis) => {
                self.visit_generics_mut(&mut item.generics);
                for field in item.fields.iter_mut().filter(|field| is_public(&field.vis)) {
                    self.visit_type_mut(&mut field.ty);
                }
            }
            Item::Enum(mut item) if is_public(&item.vis) => {
                self.visit_generics_mut(&mut item.generics);
                for field in item.variants.iter_mut().flat_map(|variant| variant.fields.iter_mut()) {
                    self.visit_type_mut(&mut field.ty);
                }
            }
            Item::Trait(mut item) if is_public(&item.vis) => {
                self.visit_generics_mut(&mut item.generics);
                item.supertraits.iter_mut().for_each(|bound| self.visit_type_param_bound_mut(bound));
                for item in &mut item.items {
                    if let TraitItem::Fn(function) = item {
                        function.default = None;
                    }
                    self.visit_trait_item_mut(item);
                }
            }
            Item::Type(mut item) if is_public(&item.vis) => self.visit_item_type_mut(&mut item),
            Item::Fn(mut item) if is_public(&item.vis) => self.visit_signature_mut(&mut item.sig),
            Item::Const(mut item) if is_public(&item.vis) => self.visit_type_mut(&mut item.ty),
            Item::Static(mut item) if is_public(&item.vis) => self.visit_type_mut(&mut item.ty),
            Item::Impl(item) => self.implementation(item),
            Item::Mod(module) => {
                let outer = self.imports.clone();
                self.items(module.content.map(|(_, items)| items).unwrap_or_default());
                self.imports = outer;
            }
            _ => {}
        }
    }

    fn implementation(&mut self, mut item: ItemImpl) {
        let Some((_, trait_path, _)) = &mut item.trait_ else {
            let mut public = false;
            for item in &mut item.items {
                match item {
                    ImplItem::Fn(function) if is_public(&function.vis) => {
                        self.visit_signature_mut(&mut function.sig);
                    }
                    ImplItem::Const(constant) if is_public(&constant.vis) => self.visit_type_mut(&mut constant.ty),
                    _ => continue,
                }
                public = true;
            }
            if public {
                self.visit_generics_mut(&mut item.generics);
            }
            return;
        };
        // Implementations of private traits, or for private types, cannot be seen from outside.
        let is_visible = |first: &str, last: &str| {
            let is_private = first == last && self.private.contains(last);
            let is_known = self.own.contains(last) || is_prelude(last) || is_parameter(&item.generics, last);
            !is_private && (is_known || self.is_foreign(first))
        };
        let ends = |path: &syn::Path| {
            let name = |segment: &syn::PathSegment| segment.ident.to_string();
            (name(path.segments.first().unwrap()), name(path.segments.last().unwrap()))
        };
        let (first, last) = ends(trait_path);
        let self_is_visible = match &*item.self_ty {
            Type::Path(path) => {
                let (first, last) = ends(&path.path);
                is_visible(&first, &last)
            }
            _ => true,
        };
        if !self_is_visible || !is_visible(&first, &last) {
            return;
        }
        self.visit_path_mut(trait_path);
        self.visit_generics_mut(&mut item.generics);
        self.visit_type_mut(&mut item.self_ty);
        for item in &mut item.items {
            if let ImplItem::Type(associated) = item {
                self.visit_type_mut(&mut associated.ty);
            }
        }
    }

    /// Whether a path that begins so leads out of the library.
    fn is_foreign(&self, first: &str) -> bool {
        let first = self.imports.get(first).map_or(first, |path| path[0].as_str());
        self.crates.contains(first) || matches!(first, "std" | "core" | "alloc")
    }

    /// Notes a path when it is one of another crate, up to its type.
    fn name(&mut self, path: &[String]) {
        if self.crates.contains(&path[0]) && path[0] != "ironcore_telemetry_macros" {
            let is_type = |name: &String| name.starts_with(char::is_uppercase);
            let length = path.iter().position(is_type).map_or(path.len(), |position| position + 1);
            self.named.insert(path[..length].join("::"));
        }
    }
}

impl VisitMut for Scan<'_> {
    fn visit_path_mut(&mut self, path: &mut syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        match self.imports.get(&segments[0]) {
            Some(import) if path.leading_colon.is_none() => {
                let whole: Vec<_> = import.iter().chain(&segments[1..]).cloned().collect();
                self.name(&whole);
            }
            // A single name is one of the module itself, or of the prelude.
            _ if segments.len() > 1 => self.name(&segments),
            _ => {}
        }
        syn::visit_mut::visit_path_mut(self, path);
    }
}

/// The names that a `use` brings in, each with its whole path.
fn flatten(tree: &UseTree, before: &[String]) -> Vec<(String, Vec<String>)> {
    let with = |name: &dyn ToString| [before, &[name.to_string()]].concat();
    match tree {
        UseTree::Path(path) => flatten(&path.tree, &with(&path.ident)),
        UseTree::Name(name) if name.ident == "self" => vec![(before[before.len() - 1].clone(), before.to_vec())],
        UseTree::Name(name) => vec![(name.ident.to_string(), with(&name.ident))],
        UseTree::Rename(name) => vec![(name.rename.to_string(), with(&name.ident))],
        UseTree::Group(group) => group.items.iter().flat_map(|tree| flatten(tree, before)).collect(),
        // Nothing is imported so from another crate.
        UseTree::Glob(_) => Vec::new(),
    }
}

fn is_parameter(generics: &Generics, name: &str) -> bool {
    generics.params.iter().any(|parameter| matches!(parameter, GenericParam::Type(ty) if ty.ident == name))
}

/// Types and traits of the standard library that need no import.
fn is_prelude(name: &str) -> bool {
    matches!(
        name,
        "Option"
            | "Result"
            | "Vec"
            | "String"
            | "Box"
            | "Clone"
            | "Default"
            | "Drop"
            | "From"
            | "Iterator"
            | "bool"
            | "str"
    )
}

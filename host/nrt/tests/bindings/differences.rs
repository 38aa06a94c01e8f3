//! What one set of bindings has differently from another: values of constants, fields of structs, types of functions.

use std::collections::BTreeMap;

use quote::ToTokens;
use syn::{FnArg, ImplItem, Item, ReturnType, Type, UseTree};

/// Lines that say what of `ours` is different or missing in `theirs`. What only `theirs` has is not a difference.
pub(crate) fn differences(ours: &str, theirs: &str) -> Vec<String> {
    let (ours, theirs) = (Declarations::of(ours), Declarations::of(theirs));
    let difference = |(name, ours): (&String, &String)| match theirs.items.get(name) {
        None => Some(format!("the SDK has no {name}")),
        Some(theirs) if theirs != ours => Some(format!("{name} is {ours}, the SDK's is {theirs}")),
        Some(_) => None,
    };
    ours.items.iter().filter_map(difference).collect()
}

/// Names with what they are, in types that are not aliases.
struct Declarations {
    items: BTreeMap<String, String>,
}

/// What an alias is of.
type Aliases = BTreeMap<String, String>;

impl Declarations {
    fn of(bindings: &str) -> Self {
        let file = syn::parse_file(bindings).expect("bindgen makes Rust");
        let aliases: Aliases = file.items.iter().filter_map(alias).collect();
        let mut items = BTreeMap::new();
        for item in &file.items {
            match item {
                // Not the list of names, nor the assertions of layout.
                Item::Const(item) if item.ident != "_" && item.ident != "NAMES" => {
                    items.insert(item.ident.to_string(), item.expr.to_token_stream().to_string());
                }
                // Structs of bindgen's own are generic; a struct without fields is opaque.
                Item::Struct(item) if item.generics.params.is_empty() && item.ident != "Functions" => {
                    let field = |field: &syn::Field| {
                        let name = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
                        format!("{name}: {}", shown(&field.ty, &aliases))
                    };
                    let fields: Vec<_> = item.fields.iter().map(field).collect();
                    if !fields[0].starts_with("_unused") {
                        items.insert(item.ident.to_string(), format!("{{{}}}", fields.join(", ")));
                    }
                }
                Item::Impl(block) if shown(&block.self_ty, &aliases) == "Functions" => {
                    items.extend(block.items.iter().filter_map(|item| function(item, &aliases)));
                }
                _ => {}
            }
        }
        Self { items }
    }
}

fn alias(item: &Item) -> Option<(String, String)> {
    match item {
        Item::Type(item) => Some((item.ident.to_string(), item.ty.to_token_stream().to_string())),
        // `pub use self::nrt_dtype as nrt_dtype_t;`
        Item::Use(item) => match &item.tree {
            UseTree::Path(path) => match &*path.tree {
                UseTree::Rename(rename) => Some((rename.rename.to_string(), rename.ident.to_string())),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

fn function(item: &ImplItem, aliases: &Aliases) -> Option<(String, String)> {
    let ImplItem::Fn(function) = item else { return None };
    let name = function.sig.ident.to_string();
    if !name.starts_with("nrt_") {
        return None;
    }
    let argument = |argument: &FnArg| match argument {
        FnArg::Receiver(_) => None,
        FnArg::Typed(argument) => Some(shown(&argument.ty, aliases)),
    };
    let arguments: Vec<_> = function.sig.inputs.iter().filter_map(argument).collect();
    let result = match &function.sig.output {
        ReturnType::Default => "()".to_owned(),
        ReturnType::Type(_, ty) => shown(ty, aliases),
    };
    Some((name, format!("({}) -> {result}", arguments.join(", "))))
}

/// A type as text, with aliases replaced by what they are of.
fn shown(ty: &Type, aliases: &Aliases) -> String {
    match ty {
        Type::Ptr(pointer) => {
            let constness = pointer.mutability.to_token_stream();
            format!("*{constness} {}", shown(&pointer.elem, aliases))
        }
        Type::Array(array) => {
            let len = array.len.to_token_stream().to_string();
            format!("[{}; {}]", shown(&array.elem, aliases), len.trim_end_matches("usize"))
        }
        Type::Path(path) => {
            let last = path.path.segments.last().expect("a path has a segment");
            let name = last.ident.to_string();
            // The documentation leaves it open what a set is, and only pointers to it are used.
            if name == "nrt_tensor_set_t" {
                return name;
            }
            match aliases.get(&name) {
                Some(target) => shown(&syn::parse_str(target).expect("a type"), aliases),
                None => last.to_token_stream().to_string(),
            }
        }
        other => other.to_token_stream().to_string(),
    }
}

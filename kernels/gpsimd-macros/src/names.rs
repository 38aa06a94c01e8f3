//! Names that leave Rust: an op is `torch.ops.<library>.<op>` in Python and a function in C++, an operand a keyword
//! argument.

use syn::Ident;
use syn::ext::IdentExt;

/// Words that Python keeps for itself, and `NoneType`, which the parser of PyTorch's schemas does.
const PYTHON: &[&str] = &[
    "False", "None", "NoneType", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda",
    "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// Words that C++ keeps for itself and Python does not, and `main`.
const CPP: &[&str] = &[
    "alignas",
    "alignof",
    "and_eq",
    "asm",
    "auto",
    "bitand",
    "bitor",
    "bool",
    "case",
    "catch",
    "char",
    "char16_t",
    "char32_t",
    "compl",
    "const",
    "const_cast",
    "constexpr",
    "decltype",
    "default",
    "delete",
    "do",
    "double",
    "dynamic_cast",
    "enum",
    "explicit",
    "export",
    "extern",
    "false",
    "float",
    "friend",
    "goto",
    "inline",
    "int",
    "long",
    "main",
    "mutable",
    "namespace",
    "new",
    "noexcept",
    "not_eq",
    "nullptr",
    "operator",
    "or_eq",
    "private",
    "protected",
    "public",
    "register",
    "reinterpret_cast",
    "short",
    "signed",
    "sizeof",
    "static",
    "static_assert",
    "static_cast",
    "struct",
    "switch",
    "template",
    "this",
    "thread_local",
    "throw",
    "true",
    "typedef",
    "typeid",
    "typename",
    "union",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "wchar_t",
    "xor",
    "xor_eq",
];

/// The name of an op, as hosts write it.
pub(crate) fn op(ident: &Ident) -> syn::Result<String> {
    let name = identifier(ident, "op")?;
    if CPP.contains(&name.as_str()) {
        return Err(syn::Error::new(ident.span(), format!("`{name}` is a word of C++, where an op is a function")));
    }
    Ok(name)
}

/// The name of an operand, as hosts write it. In C++ it ends in `_`, so that it may be any word there.
pub(crate) fn operand(ident: &Ident) -> syn::Result<String> {
    identifier(ident, "operand")
}

fn identifier(ident: &Ident, what: &str) -> syn::Result<String> {
    let name = plain(ident);
    if !name.is_ascii() {
        let message = format!("the name of an {what} is ASCII, as C++ and PyTorch take it: letters, digits and `_`");
        return Err(syn::Error::new(ident.span(), message));
    }
    if PYTHON.contains(&name.as_str()) || name == "_" {
        let message = format!("`{name}` is a word of Python, where the {what} could not be named");
        return Err(syn::Error::new(ident.span(), message));
    }
    Ok(name)
}

/// The name without the `r#` of a raw identifier.
pub(crate) fn plain(ident: &Ident) -> String {
    ident.unraw().to_string()
}

/// Names for a message: "`x`, `bias`".
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

//! `op_library!`: the descriptor of the library, its C entry point on a host, its exports in a kernel image.

use gpsimd_descriptor::limits::{self, MAX_OPS, RESERVED_LIBRARY};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Ident, LitInt, LitStr, Path, Token, bracketed};

use crate::crates;
use crate::names::{list, plain};

/// What an image keeps for buffers unless told otherwise.
const TCM_BYTES: u32 = 12 * 1024;
/// The pool that a custom op may allocate from.
const TCM_POOL_BYTES: u32 = limits::TCM_POOL_BYTES as u32;

pub(crate) fn expand(input: TokenStream) -> syn::Result<TokenStream> {
    let LibrarySyntax { name, ops, tcm_bytes } = syn::parse2(input)?;
    let gpsimd = crates::gpsimd();
    let op_count = ops.len() as u32;
    let section = gpsimd_descriptor::IMAGE_SECTION;
    let pool_bytes = gpsimd_descriptor::POOL_BYTES_EXPORT;
    let head = format!("{{\"name\":\"{}\",\"version\":\"", name.value());
    let pool_of_ops = format!("\",\"tcm_bytes\":{tcm_bytes},\"ops\":[");
    // By the number that the op's macro is, the compiler finds what belongs to it: see `custom_op`.
    let numbers: Vec<_> = ops
        .iter()
        .map(|op| {
            let number = lookup(op, &quote! { number });
            quote_spanned! { op.span() => <_, #number> }
        })
        .collect();
    let commas = (0..ops.len()).map(|i| if i == 0 { "" } else { "," });
    let parts = quote! {
        &[
            #head, #gpsimd::entry::core::env!("CARGO_PKG_VERSION"), #pool_of_ops,
            #(#commas, #gpsimd::ops::info::#numbers().descriptor,)*
            "]}"
        ]
    };
    let checks = ops.iter().map(|op| {
        let check = lookup(op, &quote! { check #gpsimd::ops::check; #name; &[#(#gpsimd::ops::info::#numbers()),*] });
        quote! { const _: () = #check; }
    });
    let names = || ops.iter().map(op_name);
    let run_exports = names().map(|op| format!("run:{op}"));
    let shape_exports = names().map(|op| format!("shape:{op}"));
    let without_std = without_std(&gpsimd);
    let Exports { host: of_host, image: of_image, variables } = exports();
    let entry_point = Ident::new(gpsimd_abi::ENTRY_POINT, name.span());
    let references = references(&gpsimd, &numbers, name.span());

    Ok(quote! {
        #(#checks)*

        const _: () = {
            const PARTS: &[&str] = #parts;
            const LEN: usize = #gpsimd::entry::concat_len(PARTS);

            // Not `#[used]`, which would keep a second copy in linear memory: TCM.
            #of_image
            #[cfg(target_arch = "wasm32")]
            #[unsafe(link_section = #section)]
            static DESCRIPTOR: [u8; LEN] = #gpsimd::entry::concat::<LEN>(PARTS);
        };

        /// The op library, as hosts see it.
        #[cfg(not(target_arch = "wasm32"))]
        pub static OP_LIBRARY: #gpsimd::entry::gpsimd_abi::LibraryTable = {
            use #gpsimd::entry::gpsimd_abi as abi;
            const PARTS: &[&str] = #parts;
            const LEN: usize = #gpsimd::entry::concat_len(PARTS);
            static DESCRIPTOR: [u8; LEN] = #gpsimd::entry::concat::<LEN>(PARTS);
            static OPS: &[abi::OpFunctions] = &[#(#gpsimd::ops::entry::#numbers()),*];
            abi::LibraryTable {
                magic: abi::MAGIC,
                abi_version: abi::ABI_VERSION,
                op_count: #op_count,
                descriptor: abi::Text { data: DESCRIPTOR.as_ptr(), len: LEN },
                cpu_features: abi::Text::new(#gpsimd::entry::CPU_FEATURES),
                ops: OPS.as_ptr(),
            }
        };

        // So that cargo compiles this again when they change.
        #(const _: #gpsimd::entry::core::option::Option<&str> = #gpsimd::entry::core::option_env!(#variables);)*

        #of_host
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            /// The one symbol that hosts look up.
            #[unsafe(no_mangle)]
            pub extern "C" fn #entry_point() -> *const #gpsimd::entry::gpsimd_abi::LibraryTable {
                &OP_LIBRARY
            }
        };

        #of_host
        #references

        #of_image
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            // The pool itself is not a static: the code generator puts it behind the constants.
            #[unsafe(export_name = #pool_bytes)]
            pub static POOL_BYTES: u32 = #tcm_bytes;

            #(const _: () = {
                #[unsafe(export_name = #run_exports)]
                extern "C" fn run() -> u32 {
                    #gpsimd::ops::run::#numbers()
                }

                #[unsafe(export_name = #shape_exports)]
                unsafe extern "C" fn shape(
                    operands: *const #gpsimd::entry::gpsimd_abi::RawTensorType,
                    operand_count: u32,
                    outputs: *mut #gpsimd::entry::gpsimd_abi::RawTensorType,
                    output_count: u32,
                    error: *mut #gpsimd::entry::gpsimd_abi::RawShapeError,
                ) -> u32 {
                    // SAFETY: the caller's promise.
                    unsafe { #gpsimd::ops::shape::#numbers(operands, operand_count, outputs, output_count, error) }
                }
            };)*
        };

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #without_std
        };
    })
}

/// The entry point of the references of ops of these numbers.
fn references(gpsimd: &TokenStream, numbers: &[TokenStream], span: Span) -> TokenStream {
    let entry_point = Ident::new(gpsimd_abi::REFERENCES, span);
    quote! {
        #[cfg(not(any(target_arch = "wasm32", target_arch = "xtensa")))]
        const _: () = {
            /// What ops are compared with.
            #[unsafe(no_mangle)]
            pub extern "C" fn #entry_point()
            -> *const #gpsimd::entry::core::option::Option<#gpsimd::entry::gpsimd_abi::ReferenceFunction> {
                static REFERENCES: &[#gpsimd::entry::core::option::Option<
                    #gpsimd::entry::gpsimd_abi::ReferenceFunction
                >] = &[#(#gpsimd::ops::reference::#numbers()),*];
                REFERENCES.as_ptr()
            }
        };
    }
}

/// Attributes that leave the symbols out where they are not this crate's to export: see `LIBRARY_VARIABLE`.
struct Exports {
    host: Option<TokenStream>,
    image: Option<TokenStream>,
    /// The environment variables that say so.
    variables: [String; 2],
}

/// Without the variables nobody says which crate is the library. A program for a host needs no entry point then, and may
/// hold several libraries; an image has one, and needs its exports.
fn exports() -> Exports {
    let library = std::env::var("CARGO_CRATE_NAME").unwrap_or_default();
    let variables = [gpsimd_descriptor::LIBRARY_VARIABLE.to_owned(), gpsimd_descriptor::library_variable(&library)];
    let [is_one_named, is_named] = [0, 1].map(|index: usize| std::env::var_os(&variables[index]).is_some());
    let unless = |exports: bool| (!exports).then(|| quote! { #[cfg(false)] });
    Exports { host: unless(is_named), image: unless(is_named || !is_one_named), variables }
}

/// A block that calls the macro of an op. By a name that nothing else has: an op may be called like a macro. Where
/// there is none, the compiler says that it finds no macro of this name.
fn lookup(op: &Path, arguments: &TokenStream) -> TokenStream {
    let name = Ident::new(&format!("attribute_custom_op_of_{}", op_name(op)), op.span());
    let here = (op.segments.len() == 1 && op.leading_colon.is_none()).then(|| quote! { self:: });
    quote_spanned! { op.span() => {
        #[allow(unused_imports)]
        use #here #op as #name;
        #name!(#arguments)
    } }
}

/// An error where an image would be linked with std, which has a panic handler, too: the compiler would say no more than
/// that there are two.
fn without_std(gpsimd: &TokenStream) -> Option<TokenStream> {
    let message = "the crate of an op library begins with `#![no_std]`: a core has no operating system; what kernels need \
                   is in `core` and `gpsimd`";
    is_std_linked().then(|| quote! { #gpsimd::entry::core::compile_error!(#message); })
}

/// Whether the library is in the root of a crate that does not say `no_std`. In another file nobody knows.
fn is_std_linked() -> bool {
    let Some(file) = Span::call_site().unwrap().local_file() else { return false };
    let is_root = file.ends_with("src/lib.rs");
    is_root && std::fs::read_to_string(file).is_ok_and(|text| !text.contains("no_std"))
}

struct LibrarySyntax {
    name: LitStr,
    ops: Punctuated<Path, Token![,]>,
    tcm_bytes: u32,
}

impl Parse for LibrarySyntax {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let (mut name, mut ops, mut tcm_bytes) = (None, None, TCM_BYTES);
        let mut given = Vec::new();
        while !input.is_empty() {
            let field: Ident = input.parse()?;
            input.parse::<Token![:]>()?;
            if given.contains(&field) {
                return Err(syn::Error::new(field.span(), format!("`{field}` is given twice")));
            }
            given.push(field.clone());
            match field.to_string().as_str() {
                "name" => name = Some(library_name(input.parse()?)?),
                "ops" => {
                    let list;
                    bracketed!(list in input);
                    ops = Some((field.span(), Punctuated::<Path, Token![,]>::parse_terminated(&list)?));
                }
                "tcm" => tcm_bytes = tcm(&input.parse()?)?,
                _ => {
                    let message = format!("unknown field `{field}`; there are `name`, `ops` and `tcm`");
                    return Err(syn::Error::new(field.span(), message));
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let missing = |what: &str| syn::Error::new(Span::call_site(), what);
        let name = name.ok_or_else(|| missing("the name is missing: `name: \"my_ops\"`"))?;
        let (span, ops) = ops.ok_or_else(|| missing("the ops are missing: `ops: [my_op]`"))?;
        if ops.is_empty() {
            return Err(syn::Error::new(span, "an op library has at least one op"));
        }
        if let Some(op) = ops.iter().nth(MAX_OPS) {
            let names: Vec<_> = ops.iter().map(op_name).collect();
            let names = list(names.iter().map(String::as_str));
            let message = format!(
                "the {}th op: the vendor's limit is {MAX_OPS} in one library, and in one model, found {}: {names}",
                MAX_OPS + 1,
                ops.len()
            );
            return Err(syn::Error::new_spanned(op, message));
        }
        for (i, op) in ops.iter().enumerate() {
            if ops.iter().take(i).any(|other| op_name(other) == op_name(op)) {
                let message = format!("a second op called `{}`", op_name(op));
                return Err(syn::Error::new_spanned(op, message));
            }
        }
        Ok(Self { name, ops, tcm_bytes })
    }
}

/// The op's name: the last segment of its path.
fn op_name(op: &Path) -> String {
    op.segments.last().map(|last| plain(&last.ident)).unwrap_or_default()
}

fn library_name(name: LitStr) -> syn::Result<LitStr> {
    let text = name.value();
    let is_identifier = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !is_identifier {
        let message = "the name of an op library is lower case letters, digits and `_`: torch.ops.<name>";
        return Err(syn::Error::new(name.span(), message));
    }
    if text == RESERVED_LIBRARY {
        return Err(syn::Error::new(name.span(), "the vendor's runtime keeps the name \"builtin\" for itself"));
    }
    Ok(name)
}

fn tcm(bytes: &LitInt) -> syn::Result<u32> {
    let value: u32 = bytes.base10_parse()?;
    if value == 0 || value > TCM_POOL_BYTES || !value.is_multiple_of(64) {
        let message = format!("buffers take a multiple of 64 bytes, at most the pool's {TCM_POOL_BYTES}");
        return Err(syn::Error::new(bytes.span(), message));
    }
    Ok(value)
}

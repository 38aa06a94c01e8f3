//! `reference = "module:function"`, a Python function, and `reference = path`, a Rust function.

use gpsimd_descriptor::{OperandKind, Reference, ScalarType};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::ParseStream;
use syn::{Ident, LitFloat, LitStr, Path, Token, parenthesized};

use crate::arguments::{equals, expect_more};
use crate::crates;
use crate::kernel::Kernel;

/// The argument as written.
pub(crate) enum ReferenceSyntax {
    Python(LitStr),
    Rust(Path),
}

const FORM: &str = "reference = path` or `reference = \"module:function\"";
const TOLERANCE: &str = "tolerance = (1e-5, 2e-6)";

impl ReferenceSyntax {
    /// Parses what follows the word `reference`, which stands at `before`.
    pub(crate) fn parse(input: ParseStream<'_>, before: Span) -> syn::Result<Self> {
        let after = equals(input, before, FORM)?;
        expect_more(input, after, FORM)?;
        if input.peek(Ident)
            || input.peek(Token![::])
            || input.peek(Token![crate])
            || input.peek(Token![self])
            || input.peek(Token![super])
        {
            return Ok(Self::Rust(input.parse()?));
        }
        let wrong = |span| syn::Error::new(span, format!("expected a function: `{FORM}`"));
        let name = input.parse::<LitStr>().map_err(|error| wrong(error.span()))?;
        let is_name = |name: &str| {
            name.chars().all(|c| c == '_' || c.is_alphanumeric())
                && name.chars().next().is_some_and(|c| !c.is_numeric())
        };
        let text = name.value();
        match text.split_once(':') {
            Some((module, function)) if module.split('.').all(is_name) && is_name(function) => Ok(Self::Python(name)),
            _ => Err(wrong(name.span())),
        }
    }

    /// The descriptor's form.
    pub(crate) fn resolve(&self, tolerance: Option<&ToleranceSyntax>) -> syn::Result<Reference> {
        match (self, tolerance) {
            (Self::Python(name), None) => Ok(Reference::Python(name.value())),
            (Self::Python(name), Some(tolerance)) => {
                let name = name.value();
                let function = name.rsplit(':').next().unwrap_or_default();
                let message =
                    format!("a function in Python has its tolerance there: `{function}.tolerance = 1e-5, 2e-6`");
                Err(syn::Error::new(tolerance.span, message))
            }
            (Self::Rust(path), tolerance) => {
                let rust = path.to_token_stream().to_string().replace(' ', "");
                Ok(Reference::Rust { rust, tolerance: tolerance.map(|tolerance| tolerance.numbers) })
            }
        }
    }

    /// The op's `REFERENCE`. The function's type is written out, so that a wrong signature is reported at the path, beside the
    /// right one.
    pub(crate) fn implementation(&self, kernel: &Kernel) -> syn::Result<TokenStream> {
        let Self::Rust(path) = self else { return Ok(TokenStream::new()) };
        if kernel.has_second_phase {
            let message = "the outputs of an op of two phases are those of the second, which this function does not know: name a \
                           Python function, \"module:function\"";
            return Err(syn::Error::new_spanned(path, message));
        }
        let (gpsimd, mixed) = (crates::gpsimd(), Span::mixed_site());
        let numbered = |prefix: &str, count: usize| -> Vec<_> {
            (0..count).map(|index| Ident::new(&format!("{prefix}{index}"), mixed)).collect()
        };
        let operands = numbered("operand", kernel.operands.len());
        let outputs = numbered("output", kernel.outputs.len());
        let (types, takes): (Vec<_>, Vec<_>) = kernel
            .operands
            .iter()
            .map(|operand| match operand.kind {
                OperandKind::Tensor(_) => (quote! { #gpsimd::F64Tensor<'_> }, "tensor"),
                OperandKind::Size => (quote! { #gpsimd::entry::core::primitive::usize }, "usize"),
                OperandKind::Scalar(ScalarType::F32) => (quote! { #gpsimd::entry::core::primitive::f64 }, "f64"),
                OperandKind::Scalar(ScalarType::I32) => (quote! { #gpsimd::entry::core::primitive::i32 }, "i32"),
                OperandKind::Scalar(ScalarType::U32) => (quote! { #gpsimd::entry::core::primitive::u32 }, "u32"),
                OperandKind::Scalar(ScalarType::Bool) => (quote! { #gpsimd::entry::core::primitive::bool }, "bool"),
            })
            .map(|(ty, method)| (ty, Ident::new(method, mixed)))
            .unzip();
        let written = outputs.iter().map(|_| quote! { &mut [#gpsimd::entry::core::primitive::f64] });
        Ok(quote_spanned! { mixed =>
            #[cfg(not(any(target_arch = "wasm32", target_arch = "xtensa")))]
            const REFERENCE: #gpsimd::entry::core::option::Option<#gpsimd::entry::gpsimd_abi::ReferenceFunction> = {
                unsafe extern "C" fn reference(
                    operands: *const #gpsimd::entry::gpsimd_abi::ReferenceTensor,
                    operand_count: u32,
                    outputs: *const #gpsimd::entry::gpsimd_abi::ReferenceTensor,
                    output_count: u32,
                    error: *mut #gpsimd::entry::gpsimd_abi::RawShapeError,
                ) -> u32 {
                    // SAFETY: the caller's promise.
                    unsafe {
                        #gpsimd::references::call(
                            (operands, operand_count),
                            (outputs, output_count),
                            error,
                            |[#(#operands),*], [#(#outputs),*]| {
                                let reference: fn(#(#types,)* #(#written),*) = #path;
                                reference(#(#operands.#takes(),)* #(#outputs),*)
                            },
                        )
                    }
                }
                #gpsimd::entry::core::option::Option::Some(reference)
            };
        })
    }
}

/// `tolerance = (relative, absolute)`
pub(crate) struct ToleranceSyntax {
    pub(crate) span: Span,
    numbers: (f64, f64),
}

impl ToleranceSyntax {
    /// Parses what follows the word `tolerance`, which stands at `before`.
    pub(crate) fn parse(input: ParseStream<'_>, before: Span) -> syn::Result<Self> {
        let after = equals(input, before, TOLERANCE)?;
        expect_more(input, after, TOLERANCE)?;
        let wrong = |error: syn::Error| syn::Error::new(error.span(), format!("expected two numbers: `{TOLERANCE}`"));
        let numbers = || -> syn::Result<(f64, f64)> {
            let pair;
            parenthesized!(pair in input);
            let relative = pair.parse::<LitFloat>()?.base10_parse()?;
            pair.parse::<Token![,]>()?;
            Ok((relative, pair.parse::<LitFloat>()?.base10_parse()?))
        };
        Ok(Self { span: before, numbers: numbers().map_err(wrong)? })
    }
}

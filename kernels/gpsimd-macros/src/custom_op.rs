//! `#[custom_op]`: checks the kernel's signature, keeps the function as it is, and puts beside it what an
//! `op_library!` needs.
//!
//! An `op_library!` has nothing but the path of the function, through any number of `use`, and a function carries
//! nothing that one could find from it. What a `use` takes along are the other things of the same name, one for each
//! of Rust's namespaces: a module `relu`, which the type namespace would have room for, collides with the module that
//! people put a function `relu` into. So it is a macro: `relu!()` is a number, and `gpsimd::ops::Numbered` leads from
//! the number to the op's implementation, wherever that is.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};

use gpsimd_abi::DType;
use gpsimd_descriptor::{ElementType, OpDescriptor, OperandKind, OutputDescriptor, ReturnedType, Then};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Expr, ExprCall, ItemFn, Lit, Meta, Path, Visibility};

use crate::arguments::{Arguments, Replaces};
use crate::crates;
use crate::gradient::{GradientSyntax, called, letter};
use crate::kernel::Kernel;
use crate::names::{list, plain};

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let arguments: Arguments = syn::parse2(arguments)?;
    let function: ItemFn = syn::parse2(item).map_err(|error| {
        syn::Error::new(error.span(), format!("#[custom_op] goes on a function with a body: {error}"))
    })?;
    let kernel = Kernel::of(&function, arguments.then.is_some())?;
    let shape = arguments.shape.as_ref().ok_or_else(|| {
        let message = "the shape function is missing: #[custom_op(shape = f)], where f takes the type of every tensor \
                       operand, and every size, and returns the output's type";
        syn::Error::new(function.sig.ident.span(), message)
    })?;
    let descriptor = describe(&arguments, &kernel, &function)?;
    let then = descriptor.then.as_ref().map(|then| then.op.as_str());
    let json = serde_json::to_string(&descriptor)
        .map_err(|error| syn::Error::new(function.sig.ident.span(), error.to_string()))?;

    let number = number(&function);
    let lookup = lookup(&function, &arguments, &kernel, &number);
    let reference = arguments.reference.as_ref().map(|it| it.implementation(&kernel)).transpose()?;
    let implementation = implementation(&function, &kernel, (shape, reference), (&json, then), &number);
    // Versions for several dtypes in one function would have one frame each on the stack, which is in TCM.
    let is_inlined = function.attrs.iter().any(|attribute| attribute.path().is_ident("inline"));
    let apart = (!is_inlined)
        .then(|| quote! { #[cfg_attr(any(target_arch = "wasm32", target_arch = "xtensa"), inline(never))] });
    Ok(quote! {
        // What every kernel returns, `OpResult`, is described once, there; and an op has the operands that it has.
        #[allow(clippy::missing_errors_doc, clippy::too_many_arguments)]
        #apart
        #function
        #lookup
        #implementation
    })
}

/// A number that no other op has: where and what it is, and how many ops of the crate came before.
fn number(function: &ItemFn) -> Literal {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let (span, count) = (function.sig.ident.span(), COUNT.fetch_add(1, Ordering::Relaxed));
    let of = |seed: &str| {
        let mut hasher = DefaultHasher::new();
        (seed, count, span.unwrap().file(), span.unwrap().line(), function.to_token_stream().to_string())
            .hash(&mut hasher);
        for variable in ["CARGO_PKG_NAME", "CARGO_PKG_VERSION", "CARGO_CRATE_NAME"] {
            std::env::var_os(variable).hash(&mut hasher);
        }
        u128::from(hasher.finish())
    };
    Literal::u128_suffixed(of("upper") << 64 | of("lower"))
}

/// The macro that an `op_library!` finds by the function's path.
fn lookup(function: &ItemFn, arguments: &Arguments, kernel: &Kernel, number: &Literal) -> TokenStream {
    let (name, vis) = (&function.sig.ident, &function.vis);
    let hidden = format!("__gpsimd_op_{}_{}", kernel.name, number.to_string().trim_end_matches("u128"));
    let hidden = Ident::new(&hidden, Span::call_site());
    // A macro is public when it is exported, into the root of the crate.
    let export = matches!(vis, Visibility::Public(_)).then(|| quote! { #[macro_export] });
    let checks = arguments.gradients.iter().map(|gradient| gradient.checks(kernel));
    let then = arguments.then.as_ref().map(|call| second_phase_checks(call, kernel));
    let misused =
        format!("`{}!` is the op `{}` here: a macro of this name needs its full path", kernel.name, kernel.name);
    quote! {
        #[doc(hidden)]
        #[allow(unused_macros)]
        #export
        macro_rules! #hidden {
            (number) => { #number };
            (check $(:: $check:ident)+; $library:literal; $ops:expr) => { {
                #[allow(dead_code)]
                const OPS: &[$(:: $check)+ ::OpInfo] = $ops;
                #then
                #(#checks)*
            } };
            ($($other:tt)*) => { compile_error! { #misused } };
        }
        #[doc(hidden)]
        #[allow(unused_imports, unreachable_pub)]
        #vis use #hidden as #name;
    }
}

/// The op's descriptor and entries.
fn implementation(
    function: &ItemFn,
    kernel: &Kernel,
    (shape, reference): (&Path, Option<TokenStream>),
    (json, then): (&str, Option<&str>),
    number: &Literal,
) -> TokenStream {
    let gpsimd = crates::gpsimd();
    let name = &kernel.name;
    let operands: String = kernel.operands.iter().map(|operand| letter(operand.kind)).collect();
    let output_count = kernel.outputs.len();
    let none = || quote! { ::core::option::Option::None };
    let then = then.map_or_else(none, |then| quote! { ::core::option::Option::Some(#then) });
    let call = kernel.call(&function.sig.ident, &gpsimd);
    let shape = kernel.shape(shape, &gpsimd);
    // Its own names are hidden from the kernel's and the other way round.
    quote_spanned! { Span::mixed_site() =>
        const _: () = {
            #[allow(unnameable_types)]
            pub struct __GpsimdOp;

            impl #gpsimd::ops::Numbered<__GpsimdOp, #number> for #gpsimd::ops::Ops {}

            impl #gpsimd::ops::Op for __GpsimdOp {
                const INFO: #gpsimd::ops::OpInfo =
                    #gpsimd::ops::OpInfo {
                        name: #name, operands: #operands, outputs: #output_count, then: #then, descriptor: #json,
                    };

                #reference

                fn call(core: &#gpsimd::Core) -> #gpsimd::OpResult {
                    #call
                }

                #[cfg(not(target_arch = "wasm32"))]
                unsafe extern "C" fn run(device: *const #gpsimd::entry::gpsimd_abi::DeviceTable) -> u32 {
                    // SAFETY: the caller's promise.
                    unsafe { #gpsimd::entry::run(device, Self::call) }
                }

                #[cfg(target_arch = "wasm32")]
                fn run() -> u32 {
                    #gpsimd::entry::run(Self::call)
                }

                unsafe extern "C" fn shape(
                    operands: *const #gpsimd::entry::gpsimd_abi::RawTensorType,
                    operand_count: u32,
                    outputs: *mut #gpsimd::entry::gpsimd_abi::RawTensorType,
                    output_count: u32,
                    error: *mut #gpsimd::entry::gpsimd_abi::RawShapeError,
                ) -> u32 {
                    // SAFETY: the caller's promise.
                    unsafe {
                        #gpsimd::entry::shape((operands, operand_count), (outputs, output_count), error, #shape)
                    }
                }
            }
        };
    }
}

/// The outputs, each with the operand that it replaces and what it is returned as.
fn outputs(arguments: &Arguments, kernel: &Kernel) -> syn::Result<Vec<OutputDescriptor>> {
    let mut outputs = kernel.outputs.clone();
    for Replaces { output: named, operand: replaced } in &arguments.replaces {
        let output = match (named, &mut outputs[..]) {
            (None, [output]) => output,
            (None, _) => {
                let message = "this op has several outputs: say which replaces it, `replaces(output = operand, ..)`";
                return Err(syn::Error::new(replaced.span(), message));
            }
            (Some(named), all) => {
                let Some(output) = all.iter_mut().find(|output| plain(named) == output.name) else {
                    let known = list(kernel.outputs.iter().map(|output| output.name.as_str()));
                    let message = format!("`{named}` is not an output of this op; it has {known}");
                    return Err(syn::Error::new(named.span(), message));
                };
                output
            }
        };
        let Some(operand) = kernel.tensors().find(|operand| plain(replaced) == operand.name) else {
            let tensors = list(kernel.tensors().map(|operand| operand.name.as_str()));
            let message = format!("`{replaced}` is not a tensor operand of this op; it has {tensors}");
            return Err(syn::Error::new(replaced.span(), message));
        };
        if operand.kind != OperandKind::Tensor(output.element) {
            let message = format!("the output `{}` must have the element type of `{replaced}`", output.name);
            return Err(syn::Error::new(replaced.span(), message));
        }
        if output.replaces.is_some() {
            let message = format!("the output `{}` replaces an operand already", output.name);
            return Err(syn::Error::new(replaced.span(), message));
        }
        output.replaces = Some(plain(replaced));
    }
    for (i, output) in outputs.iter().enumerate() {
        if output.replaces.is_some()
            && let Some(other) = outputs[..i].iter().find(|other| other.replaces == output.replaces)
        {
            let message = format!("`{}` and `{}` replace the same operand", other.name, output.name);
            return Err(syn::Error::new(arguments.replaces[0].operand.span(), message));
        }
    }
    for (named, ty) in &arguments.returns {
        let Some(output) = outputs.iter_mut().find(|output| plain(named) == output.name) else {
            let known = list(kernel.outputs.iter().map(|output| output.name.as_str()));
            let message = format!("`{named}` is not an output of this op; it has {known}");
            return Err(syn::Error::new(named.span(), message));
        };
        let (returned, dtype) = match plain(ty).as_str() {
            "i64" => (ReturnedType::Int64, DType::I32),
            "bool" => (ReturnedType::Bool, DType::U8),
            _ => {
                let message = "hosts have `i64` and `bool` beside the element types of the cores";
                return Err(syn::Error::new(ty.span(), message));
            }
        };
        if output.element != ElementType::Fixed(dtype) {
            let message = format!("`{ty}` comes of `Output<{}>`, and `{named}` is another", dtype.name());
            return Err(syn::Error::new(ty.span(), message));
        }
        output.returned = Some(returned);
    }
    Ok(outputs)
}

/// `then = op(output, ..)`
fn second_phase(call: &ExprCall, arguments: &Arguments, kernel: &Kernel) -> syn::Result<Then> {
    if let Some(Replaces { operand, .. }) = arguments.replaces.first() {
        let message = "an op with a second phase replaces no operand: its outputs are a workspace between the two";
        return Err(syn::Error::new(operand.span(), message));
    }
    let op = plain(called(&call.func)?);
    let argument = |expr: &Expr| {
        let name = match expr {
            Expr::Path(path) => path.path.get_ident().map(plain),
            _ => None,
        };
        let known = || {
            let operands = kernel.operands.iter().map(|operand| &*operand.name);
            kernel.outputs.iter().map(|output| &*output.name).chain(operands)
        };
        match name {
            Some(name) if known().any(|other| other == name) => Ok(name),
            _ => {
                let message = format!("expected an output or an operand of this op; it has {}", list(known()));
                Err(syn::Error::new_spanned(expr, message))
            }
        }
    };
    Ok(Then { op, arguments: call.args.iter().map(argument).collect::<syn::Result<_>>()? })
}

/// What an `op_library!` evaluates to see that it has the second phase, as for gradients.
fn second_phase_checks(call: &ExprCall, kernel: &Kernel) -> TokenStream {
    let Ok(op) = called(&call.func) else { return TokenStream::new() };
    let (name, count) = (plain(op), call.args.len());
    let exists = quote_spanned! { op.span() => $(:: $check)+ ::second_phase(OPS, $library, #name) };
    let counts = quote_spanned! { op.span() => $(:: $check)+ ::operands(OPS, #name, #count) };
    let kind = |name: &str| {
        let output = kernel.outputs.iter().find(|output| output.name == name);
        let operand = kernel.operands.iter().find(|operand| operand.name == name);
        output.map(|output| OperandKind::Tensor(output.element)).or_else(|| operand.map(|operand| operand.kind))
    };
    let fits = call.args.iter().enumerate().filter_map(|(i, expr)| {
        let Expr::Path(path) = expr else { return None };
        let kind = letter(kind(&plain(path.path.get_ident()?))?);
        Some(quote_spanned! { expr.span() => $(:: $check)+ ::operand(OPS, #name, #i, #kind) })
    });
    quote! { #exists; #counts; #(#fits;)* }
}

fn describe(arguments: &Arguments, kernel: &Kernel, function: &ItemFn) -> syn::Result<OpDescriptor> {
    let of_gradients: Vec<_> = arguments.gradients.iter().flat_map(GradientSyntax::operands).collect();
    for (i, operand) in of_gradients.iter().enumerate() {
        if of_gradients[..i].contains(operand) {
            return Err(syn::Error::new(operand.span(), format!("the gradient of `{operand}` is given twice")));
        }
    }
    let gradients = arguments.gradients.iter().map(|gradient| gradient.resolve(kernel)).collect::<syn::Result<_>>()?;
    Ok(OpDescriptor {
        name: kernel.name.clone(),
        doc: doc(&function.attrs),
        types: kernel.types.clone(),
        operands: kernel.operands.clone(),
        outputs: outputs(arguments, kernel)?,
        then: arguments.then.as_ref().map(|call| second_phase(call, arguments, kernel)).transpose()?,
        gradients,
        reference: arguments.reference.as_ref().map(|it| it.resolve(arguments.tolerance.as_ref())).transpose()?,
        file: function.sig.ident.span().unwrap().file(),
    })
}

/// The text of the doc comment.
fn doc(attributes: &[Attribute]) -> String {
    let line = |attribute: &Attribute| match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(expr) => match &expr.lit {
                Lit::Str(text) => Some(text.value().trim().to_string()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    };
    attributes.iter().filter_map(line).collect::<Vec<_>>().join("\n").trim().to_string()
}

//! `#[custom_op]`: checks the kernel's signature, keeps the function as it is, and puts a module with the descriptor
//! and the entries beside it.

use gpsimd_abi::MAX_NAME;
use gpsimd_abi::descriptor::{ElementType, OpDescriptor, Operand, OperandKind, Output};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{
    Attribute, Expr, FnArg, GenericArgument, GenericParam, Ident, ItemFn, Lit, Meta, Pat, Path, PathArguments,
    ReturnType, Safety, Token, Type, TypeParamBound,
};

use crate::gradient::{GradientSyntax, list};

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let arguments: Arguments = syn::parse2(arguments)?;
    let function: ItemFn = syn::parse2(item).map_err(|error| {
        syn::Error::new(error.span(), format!("#[custom_op] goes on a function with a body: {error}"))
    })?;
    let kernel = Kernel::of(&function)?;
    let descriptor = describe(&arguments, &kernel, &function)?;
    let json = serde_json::to_string(&descriptor)
        .map_err(|error| syn::Error::new(function.sig.ident.span(), error.to_string()))?;

    let (name, vis) = (&function.sig.ident, &function.vis);
    let call = kernel.call(name);
    let shape = kernel.shape(&arguments.shape);
    Ok(quote! {
        // What every kernel returns, `OpResult`, is described once, there.
        #[allow(clippy::missing_errors_doc)]
        #function

        #[doc(hidden)]
        #vis mod #name {
            /// The op's descriptor, JSON.
            pub const DESCRIPTOR: &str = #json;

            /// Runs the kernel with the tensors and scalars of the launch.
            #[allow(clippy::missing_errors_doc)]
            pub fn call(core: &::gpsimd::Core) -> ::gpsimd::OpResult {
                #call
            }

            /// Runs one core's part of a launch.
            ///
            /// # Safety
            /// As `gpsimd_abi::Op::run`.
            #[cfg(not(target_arch = "wasm32"))]
            pub unsafe extern "C" fn run(device: *const ::gpsimd::entry::gpsimd_abi::Device) -> u32 {
                // SAFETY: the caller's promise.
                unsafe { ::gpsimd::entry::run(device, call) }
            }

            /// Computes the type of the output.
            ///
            /// # Safety
            /// As `gpsimd_abi::Op::shape`.
            pub unsafe extern "C" fn shape(
                operands: *const ::gpsimd::entry::gpsimd_abi::TensorType,
                operand_count: u32,
                output: *mut ::gpsimd::entry::gpsimd_abi::TensorType,
                error: *mut ::gpsimd::entry::gpsimd_abi::ShapeError,
            ) -> u32 {
                // SAFETY: the caller's promise.
                unsafe { ::gpsimd::entry::shape(operands, operand_count, output, error, #shape) }
            }
        }
    })
}

/// What stands in the parentheses of `#[custom_op(..)]`.
struct Arguments {
    shape: Path,
    replaces: Option<Ident>,
    gradients: Vec<GradientSyntax>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let (mut shape, mut replaces, mut gradients) = (None, None, Vec::new());
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            let twice = match name.to_string().as_str() {
                "shape" => {
                    input.parse::<Token![=]>()?;
                    shape.replace(input.parse()?).is_some()
                }
                "replaces" => {
                    input.parse::<Token![=]>()?;
                    replaces.replace(input.parse()?).is_some()
                }
                "gradient" => {
                    gradients.push(input.parse()?);
                    false
                }
                _ => {
                    let message = format!("unknown argument `{name}`; there are `shape`, `replaces` and `gradient`");
                    return Err(syn::Error::new(name.span(), message));
                }
            };
            if twice {
                return Err(syn::Error::new(name.span(), format!("`{name}` is given twice")));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let missing = || {
            let message = "the shape function is missing: #[custom_op(shape = f)], where f takes the type of every \
                           tensor operand and gives the output's";
            syn::Error::new(Span::call_site(), message)
        };
        Ok(Self { shape: shape.ok_or_else(missing)?, replaces, gradients })
    }
}

/// A kernel's signature, understood.
struct Kernel {
    is_generic: bool,
    operands: Vec<Operand>,
    output: Output,
}

impl Kernel {
    fn of(function: &ItemFn) -> syn::Result<Self> {
        let sig = &function.sig;
        let refuse = |span: Span, message: &str| Err(syn::Error::new(span, message));
        if let Some(token) = &sig.asyncness {
            return refuse(token.span(), "a kernel cannot be async");
        }
        if let Safety::Unsafe(token) = &sig.safety {
            return refuse(token.span(), "a kernel is a safe function");
        }
        let generic = generic_parameter(function)?;
        match &sig.output {
            ReturnType::Type(_, ty) if last_ident(ty).is_some_and(|ident| ident == "OpResult") => {}
            ReturnType::Type(_, ty) => return refuse(ty.span(), "a kernel returns `OpResult`"),
            ReturnType::Default => return refuse(sig.paren_token.span.close(), "a kernel returns `OpResult`"),
        }

        let mut parameters = sig.inputs.iter();
        match parameters.next() {
            Some(FnArg::Typed(core)) if is_core(&core.ty) => {}
            Some(other) => return refuse(other.span(), "the first parameter of a kernel is `core: &Core`"),
            None => return refuse(sig.paren_token.span.join(), "the first parameter of a kernel is `core: &Core`"),
        }
        let mut operands = Vec::new();
        let mut output = None;
        for parameter in parameters {
            let FnArg::Typed(parameter) = parameter else {
                return refuse(parameter.span(), "a kernel takes no self");
            };
            let Pat::Ident(pattern) = &*parameter.pat else {
                return refuse(parameter.pat.span(), "a kernel's parameter needs a plain name: it names the operand");
            };
            let name = pattern.ident.to_string();
            if output.is_some() {
                return refuse(parameter.span(), "the output is the last parameter, and there is only one");
            }
            match kind(&parameter.ty, generic.as_ref())? {
                Parameter::Operand(kind) => operands.push(Operand { name, kind }),
                Parameter::Output(element) => output = Some(Output { name, element }),
            }
        }
        let Some(output) = output else {
            return refuse(sig.paren_token.span.join(), "the last parameter of a kernel is its `Output<T>`");
        };
        let is_tensor = |operand: &Operand| matches!(operand.kind, OperandKind::Tensor(_));
        if !operands.iter().any(is_tensor) {
            return refuse(sig.paren_token.span.join(), "a kernel has at least one `Input<T>`");
        }
        let is_generic_input = |operand: &Operand| operand.kind == OperandKind::Tensor(ElementType::Generic);
        if let Some(generic) = &generic
            && !operands.iter().any(is_generic_input)
        {
            return refuse(generic.span(), "no operand has this type, so nothing says which version to run");
        }
        let name = sig.ident.to_string();
        if name.len() > MAX_NAME {
            let message =
                format!("the name has {} characters; the vendor's tools take fewer than {}", name.len(), MAX_NAME + 1);
            return refuse(sig.ident.span(), &message);
        }
        Ok(Self { is_generic: generic.is_some(), operands, output })
    }

    fn tensors(&self) -> impl Iterator<Item = &Operand> {
        self.operands.iter().filter(|operand| operand.kind != OperandKind::Scalar)
    }

    /// The body of `call`: binds scalars and tensors, picks the version for the dtype.
    fn call(&self, name: &Ident) -> TokenStream {
        let scalars: Vec<_> = self
            .operands
            .iter()
            .filter(|operand| operand.kind == OperandKind::Scalar)
            .map(|operand| format_ident!("{}", operand.name))
            .collect();
        let (scalar_count, params) = (scalars.len(), self.tensors().count() as u32);
        let unpack = (scalar_count > 0).then(|| {
            quote! { let [#(#scalars),*] = ::gpsimd::entry::scalars::<#scalar_count>(core, #params)?; }
        });
        let mut tensor = 0u32;
        let operands: Vec<_> = self
            .operands
            .iter()
            .map(|operand| {
                if operand.kind == OperandKind::Scalar {
                    let ident = format_ident!("{}", operand.name);
                    return quote! { #ident };
                }
                tensor += 1;
                let index = tensor - 1;
                quote! { ::gpsimd::Input::whole(core, #index) }
            })
            .collect();
        let call = |version: TokenStream| {
            quote! {
                super::#name #version (
                    core, #(#operands,)* ::gpsimd::Output::whole(core, ::gpsimd::entry::output_index(core)),
                )
            }
        };
        if !self.is_generic {
            let call = call(quote! {});
            return quote! { #unpack #call };
        }
        let generic = |operand: &Operand| operand.kind == OperandKind::Tensor(ElementType::Generic);
        let decides = self.tensors().position(generic).unwrap_or_default() as u32;
        let (f32, bf16) = (call(quote! { ::<f32> }), call(quote! { ::<::gpsimd::bf16> }));
        quote! {
            #unpack
            let dtype = ::gpsimd::entry::dtype(core, #decides);
            if ::gpsimd::entry::is::<f32>(dtype) {
                #f32
            } else if ::gpsimd::entry::is::<::gpsimd::bf16>(dtype) {
                #bf16
            } else {
                ::gpsimd::entry::no_such_dtype(core)
            }
        }
    }

    /// The closure that calls the shape function. Its type is written out, so that a wrong signature is reported at the
    /// path, beside the right one.
    fn shape(&self, path: &Path) -> TokenStream {
        let tensors: Vec<_> = self.tensors().map(|operand| format_ident!("{}", operand.name)).collect();
        let count = tensors.len();
        let path = if path.leading_colon.is_none() && path.segments[0].ident != "crate" {
            quote_spanned! { path.span() => super::#path }
        } else {
            quote! { #path }
        };
        let types = tensors.iter().map(|_| quote! { &::gpsimd::TensorType });
        quote! {
            |[#(#tensors),*]: [::gpsimd::TensorType; #count]| {
                let shape: fn(#(#types),*) -> ::core::result::Result<::gpsimd::TensorType, ::gpsimd::ShapeError> = #path;
                shape(#(&#tensors),*)
            }
        }
    }
}

fn describe(arguments: &Arguments, kernel: &Kernel, function: &ItemFn) -> syn::Result<OpDescriptor> {
    let names = |scalars: bool| -> Vec<String> {
        let fits = |operand: &&Operand| (operand.kind == OperandKind::Scalar) == scalars;
        kernel.operands.iter().filter(fits).map(|operand| operand.name.clone()).collect()
    };
    let (tensors, scalars) = (names(false), names(true));
    if let Some(replaced) = &arguments.replaces {
        let Some(operand) = kernel.tensors().find(|operand| replaced == operand.name.as_str()) else {
            let message = format!("`{replaced}` is no tensor operand of this op; it has {}", list(&tensors));
            return Err(syn::Error::new(replaced.span(), message));
        };
        if operand.kind != OperandKind::Tensor(kernel.output.element) {
            let message = format!("the output `{}` must have the element type of `{replaced}`", kernel.output.name);
            return Err(syn::Error::new(replaced.span(), message));
        }
    }
    let gradients = arguments
        .gradients
        .iter()
        .map(|gradient| gradient.resolve(&tensors, &scalars, &kernel.output.name))
        .collect::<syn::Result<_>>()?;
    Ok(OpDescriptor {
        name: function.sig.ident.to_string(),
        doc: doc(&function.attrs),
        operands: kernel.operands.clone(),
        output: kernel.output.clone(),
        replaces: arguments.replaces.as_ref().map(Ident::to_string),
        gradients,
        file: function.sig.ident.span().unwrap().file(),
    })
}

enum Parameter {
    Operand(OperandKind),
    Output(ElementType),
}

/// What a parameter of this type is.
fn kind(ty: &Type, generic: Option<&Ident>) -> syn::Result<Parameter> {
    let message = "a kernel's parameters are `Input<T>` tensors, `f32` scalars, and at the end the `Output<T>`";
    let unknown = || syn::Error::new(ty.span(), message);
    let Type::Path(path) = ty else { return Err(unknown()) };
    let segment = path.path.segments.last().ok_or_else(unknown)?;
    if segment.ident == "f32" {
        return Ok(Parameter::Operand(OperandKind::Scalar));
    }
    let is_input = segment.ident == "Input";
    if !is_input && segment.ident != "Output" {
        return Err(unknown());
    }
    let element = match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        }),
        _ => None,
    };
    let Some(element) = element else {
        return Err(syn::Error::new(
            ty.span(),
            "the element type is missing: `Input<T>`, `Input<f32>` or `Input<bf16>`",
        ));
    };
    let ident = last_ident(element);
    let element = match ident {
        Some(ident) if Some(ident) == generic => ElementType::Generic,
        Some(ident) if ident == "f32" => ElementType::F32,
        Some(ident) if ident == "bf16" => ElementType::Bf16,
        _ => {
            let message = "an element type is the kernel's type parameter, `f32` or `bf16`";
            return Err(syn::Error::new(element.span(), message));
        }
    };
    Ok(if is_input { Parameter::Operand(OperandKind::Tensor(element)) } else { Parameter::Output(element) })
}

/// The kernel's one type parameter, if it has one.
fn generic_parameter(function: &ItemFn) -> syn::Result<Option<Ident>> {
    let generics = &function.sig.generics;
    let mut found = None;
    for parameter in &generics.params {
        let GenericParam::Type(parameter) = parameter else {
            return Err(syn::Error::new(parameter.span(), "a kernel has no lifetime or const parameters"));
        };
        if found.is_some() {
            return Err(syn::Error::new(parameter.span(), "a kernel has at most one type parameter"));
        }
        let is_float = |bound: &TypeParamBound| match bound {
            TypeParamBound::Trait(bound) => bound.path.segments.last().is_some_and(|last| last.ident == "Float"),
            _ => false,
        };
        if parameter.bounds.len() != 1 || !parameter.bounds.iter().all(is_float) {
            let message = format!("the bound of a kernel's type parameter is `{}: Float`", parameter.ident);
            return Err(syn::Error::new(parameter.span(), message));
        }
        found = Some(parameter.ident.clone());
    }
    if let Some(clause) = &generics.where_clause {
        return Err(syn::Error::new(clause.span(), "write the bound where the type parameter is: `<T: Float>`"));
    }
    Ok(found)
}

fn is_core(ty: &Type) -> bool {
    match ty {
        Type::Reference(reference) => {
            reference.mutability.is_none() && last_ident(&reference.elem).is_some_and(|ident| ident == "Core")
        }
        _ => false,
    }
}

fn last_ident(ty: &Type) -> Option<&Ident> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| &segment.ident),
        _ => None,
    }
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

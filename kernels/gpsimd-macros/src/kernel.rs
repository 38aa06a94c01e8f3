//! A kernel's signature.

use gpsimd_abi::{DType, MAX_OUTPUTS};
use gpsimd_descriptor::limits::MAX_NAME;
use gpsimd_descriptor::{ElementType, OperandDescriptor, OperandKind, OutputDescriptor, ScalarType, TypeParameter};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    FnArg, GenericArgument, GenericParam, Ident, ItemFn, Pat, Path, PathArguments, ReturnType, Safety, Type,
    TypeParamBound,
};

use crate::names;

/// Versions of a kernel: each is a copy of its code, and all of them are in the library.
const MAX_VERSIONS: usize = 49;

/// A kernel's signature, understood.
pub(crate) struct Kernel {
    /// The op's name.
    pub(crate) name: String,
    pub(crate) types: Vec<TypeParameter>,
    pub(crate) operands: Vec<OperandDescriptor>,
    pub(crate) outputs: Vec<OutputDescriptor>,
    /// Whether the outputs are those of the first of two phases.
    pub(crate) has_second_phase: bool,
}

impl Kernel {
    pub(crate) fn of(function: &ItemFn, has_second_phase: bool) -> syn::Result<Self> {
        let sig = &function.sig;
        let refuse = |span: Span, message: &str| Err(syn::Error::new(span, message));
        if let Some(token) = &sig.asyncness {
            return refuse(token.span(), "a kernel cannot be async");
        }
        if let Safety::Unsafe(token) = &sig.safety {
            return refuse(token.span(), "a kernel is a safe function");
        }
        let parameters_of_type = type_parameters(function)?;
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
        let mut outputs: Vec<OutputDescriptor> = Vec::new();
        for parameter in parameters {
            let FnArg::Typed(parameter) = parameter else {
                return refuse(parameter.span(), "a kernel takes no self");
            };
            let Pat::Ident(pattern) = &*parameter.pat else {
                return refuse(parameter.pat.span(), "a kernel's parameter needs a plain name: it names the operand");
            };
            let name = names::operand(&pattern.ident)?;
            match kind(&parameter.ty, &parameters_of_type)? {
                Parameter::Operand(_) if !outputs.is_empty() => {
                    return refuse(parameter.span(), "the outputs are the last parameters: this comes before them");
                }
                Parameter::Operand(kind) => operands.push((pattern.ident.span(), OperandDescriptor { name, kind })),
                Parameter::Output(_) if outputs.len() == MAX_OUTPUTS => {
                    return refuse(parameter.span(), &format!("a kernel has at most {MAX_OUTPUTS} outputs"));
                }
                Parameter::Output(element) => {
                    outputs.push(OutputDescriptor { name, element, replaces: None, returned: None });
                }
            }
        }
        if outputs.is_empty() {
            return refuse(sig.paren_token.span.join(), "the last parameter of a kernel is its `Output<T>`");
        }
        if operands.iter().any(|(_, operand)| matches!(operand.kind, OperandKind::Scalar(_)))
            && let Some((span, _)) = operands.iter().find(|(_, operand)| operand.name == "params")
        {
            return refuse(
                *span,
                "the scalars of a launch travel in a tensor called `params`: give the operand another name",
            );
        }
        let operands: Vec<_> = operands.into_iter().map(|(_, operand)| operand).collect();
        let is_tensor = |operand: &OperandDescriptor| matches!(operand.kind, OperandKind::Tensor(_));
        if !operands.iter().any(is_tensor) {
            return refuse(sig.paren_token.span.join(), "a kernel has at least one `Input<T>`");
        }
        for (index, (ident, _)) in parameters_of_type.iter().enumerate() {
            let kind = OperandKind::Tensor(ElementType::Parameter(index));
            if !operands.iter().any(|operand| operand.kind == kind) {
                return refuse(ident.span(), "no operand has this type, so nothing says which version to run");
            }
        }
        let name = names::op(&sig.ident)?;
        if name.len() > MAX_NAME {
            let message =
                format!("the name has {} characters; the vendor's tools take fewer than {}", name.len(), MAX_NAME + 1);
            return refuse(sig.ident.span(), &message);
        }
        let types = parameters_of_type.into_iter().map(|(_, parameter)| parameter).collect();
        Ok(Self { name, types, operands, outputs, has_second_phase })
    }

    pub(crate) fn tensors(&self) -> impl Iterator<Item = &OperandDescriptor> {
        self.operands.iter().filter(|operand| matches!(operand.kind, OperandKind::Tensor(_)))
    }

    fn size_count(&self) -> usize {
        self.operands.iter().filter(|operand| operand.kind == OperandKind::Size).count()
    }

    /// The body of `call`: unpacks scalars and tensors, picks the version for the dtype. No name of the kernel's own
    /// appears in it but the function's.
    pub(crate) fn call(&self, name: &Ident, gpsimd: &TokenStream) -> TokenStream {
        let mixed = Span::mixed_site();
        let (tensor_count, size_count) = (self.tensors().count(), self.size_count());
        let scalar_count = self.operands.len() - tensor_count - size_count;
        let params = (tensor_count + size_count) as u32;
        let unpack = (scalar_count > 0).then(|| {
            quote_spanned! { mixed => let scalars = #gpsimd::entry::scalars::<#scalar_count>(core, #params)?; }
        });
        let (mut tensors, mut sizes, mut scalars) = (0u32.., tensor_count as u32.., 0usize..);
        let operands: Vec<_> = self
            .operands
            .iter()
            .map(|operand| match operand.kind {
                OperandKind::Tensor(_) => {
                    let index = tensors.next();
                    quote_spanned! { mixed => #gpsimd::Input::whole(core, #index) }
                }
                OperandKind::Size => {
                    let index = sizes.next();
                    quote_spanned! { mixed => #gpsimd::entry::size(core, #index) }
                }
                OperandKind::Scalar(_) => {
                    let index = scalars.next();
                    quote_spanned! { mixed => #gpsimd::entry::scalar(scalars[#index]) }
                }
            })
            .collect();
        let first = params + u32::from(scalar_count > 0);
        let outputs: Vec<_> = (first..)
            .take(self.outputs.len())
            .map(|index| quote_spanned! { mixed => #gpsimd::Output::whole(core, #index) })
            .collect();
        let call = |version: TokenStream| {
            quote_spanned! { mixed => #name #version (core, #(#operands,)* #(#outputs,)*) }
        };
        let versions = self.versions(gpsimd, &mut Vec::new(), &call);
        quote_spanned! { mixed => #unpack #versions }
    }

    /// Calls the version of the kernel for the types `chosen` and for what the dtypes of the launch say of the other type
    /// parameters.
    fn versions(
        &self,
        gpsimd: &TokenStream,
        chosen: &mut Vec<TokenStream>,
        call: &impl Fn(TokenStream) -> TokenStream,
    ) -> TokenStream {
        let Some(parameter) = self.types.get(chosen.len()) else {
            return call(if chosen.is_empty() {
                quote! {}
            } else {
                quote! { ::<#(#chosen),*> }
            });
        };
        let kind = OperandKind::Tensor(ElementType::Parameter(chosen.len()));
        let decides = self.tensors().position(|operand| operand.kind == kind).unwrap_or_default() as u32;
        let arms: Vec<_> = parameter
            .dtypes
            .iter()
            .map(|dtype| {
                let ty = rust_type(*dtype, gpsimd);
                chosen.push(ty.clone());
                let version = self.versions(gpsimd, chosen, call);
                chosen.pop();
                quote_spanned! { Span::mixed_site() =>
                    if #gpsimd::entry::is::<#ty>(#gpsimd::entry::dtype(core, #decides)) { #version } else
                }
            })
            .collect();
        quote_spanned! { Span::mixed_site() => #(#arms)* { #gpsimd::entry::no_such_dtype(core) } }
    }

    /// The closure that calls the shape function. Its type is written out, so that a wrong signature is reported at the
    /// path, beside the right one.
    pub(crate) fn shape(&self, path: &Path, gpsimd: &TokenStream) -> TokenStream {
        let mixed = Span::mixed_site();
        let count = self.tensors().count() + self.size_count();
        let names: Vec<_> = (0..count).map(|index| Ident::new(&format!("operand{index}"), mixed)).collect();
        let (mut tensors, mut sizes) = (names.iter(), names.iter().skip(self.tensors().count()));
        let (mut types, mut arguments) = (Vec::new(), Vec::new());
        for operand in &self.operands {
            match operand.kind {
                OperandKind::Tensor(_) => {
                    let tensor = tensors.next();
                    types.push(quote! { &#gpsimd::TensorType });
                    arguments.push(quote! { #tensor });
                }
                OperandKind::Size => {
                    let size = sizes.next();
                    types.push(quote! { #gpsimd::entry::core::primitive::usize });
                    arguments.push(quote! { #size.dim(0) });
                }
                OperandKind::Scalar(_) => {}
            }
        }
        // One output's type, or an array of them.
        let (outputs, map) = match self.outputs.len() {
            1 => (quote! { #gpsimd::TensorType }, quote! { .map(|output| [output]) }),
            outputs => (quote! { [#gpsimd::TensorType; #outputs] }, quote! {}),
        };
        quote_spanned! { mixed =>
            |[#(#names),*]: &[#gpsimd::TensorType; #count]| {
                let shape: fn(#(#types),*) -> #gpsimd::entry::core::result::Result<
                    #outputs, #gpsimd::ShapeError
                > = #path;
                shape(#(#arguments),*)#map
            }
        }
    }
}

enum Parameter {
    Operand(OperandKind),
    Output(ElementType),
}

/// What a parameter of this type is.
fn kind(ty: &Type, types: &[(Ident, TypeParameter)]) -> syn::Result<Parameter> {
    let message = "a kernel's parameters are `Input<T>` tensors, scalars (`f32`, `i32`, `u32`, `bool`), sizes (`usize`), \
                   and at the end the outputs, `Output<T>`";
    let unknown = || syn::Error::new(ty.span(), message);
    let Type::Path(path) = ty else { return Err(unknown()) };
    let segment = path.path.segments.last().ok_or_else(unknown)?;
    let number = match segment.ident.to_string().as_str() {
        "f32" => Some(OperandKind::Scalar(ScalarType::F32)),
        "i32" => Some(OperandKind::Scalar(ScalarType::I32)),
        "u32" => Some(OperandKind::Scalar(ScalarType::U32)),
        "bool" => Some(OperandKind::Scalar(ScalarType::Bool)),
        "usize" => Some(OperandKind::Size),
        _ => None,
    };
    if let Some(kind) = number {
        return Ok(Parameter::Operand(kind));
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
            "the element type is missing: `Input<T>`, `Input<f32>`, `Input<i32>`, ..",
        ));
    };
    let ident = last_ident(element);
    let parameter = types.iter().position(|(name, _)| Some(name) == ident);
    let fixed = ident.and_then(|ident| DType::ALL.into_iter().find(|dtype| ident == dtype.name()));
    let element = match (parameter, fixed) {
        (Some(index), _) => ElementType::Parameter(index),
        (None, Some(dtype)) => ElementType::Fixed(dtype),
        (None, None) => {
            let known = DType::ALL.map(|dtype| format!("`{}`", dtype.name())).join(", ");
            let message = format!("an element type is a type parameter of the kernel, or one of {known}");
            return Err(syn::Error::new(element.span(), message));
        }
    };
    Ok(if is_input { Parameter::Operand(OperandKind::Tensor(element)) } else { Parameter::Output(element) })
}

/// What a bound stands for.
const FAMILIES: [(&str, &[DType]); 4] = [
    ("Element", &DType::ALL),
    ("Number", &DType::ALL),
    ("Float", &[DType::F32, DType::Bf16, DType::F16]),
    ("Integer", &[DType::I32, DType::I16, DType::I8, DType::U8]),
];

/// The kernel's type parameters.
fn type_parameters(function: &ItemFn) -> syn::Result<Vec<(Ident, TypeParameter)>> {
    let generics = &function.sig.generics;
    let mut found = Vec::new();
    for parameter in &generics.params {
        let GenericParam::Type(parameter) = parameter else {
            return Err(syn::Error::new(parameter.span(), "a kernel has no lifetime or const parameters"));
        };
        let family = |bound: &TypeParamBound| match bound {
            TypeParamBound::Trait(bound) => {
                let last = bound.path.segments.last()?;
                FAMILIES.iter().find(|(name, _)| last.ident == name).map(|(_, dtypes)| *dtypes)
            }
            _ => None,
        };
        let dtypes = match parameter.bounds.first().map(family) {
            Some(Some(dtypes)) if parameter.bounds.len() == 1 => dtypes.to_vec(),
            _ => {
                let families = FAMILIES.map(|(name, _)| format!("`{}: {name}`", parameter.ident)).join(", ");
                let message =
                    format!("the bound of a kernel's type parameter says which types it stands for: {families}");
                return Err(syn::Error::new(parameter.span(), message));
            }
        };
        found.push((parameter.ident.clone(), TypeParameter { name: names::plain(&parameter.ident), dtypes }));
    }
    if let Some(clause) = &generics.where_clause {
        return Err(syn::Error::new(clause.span(), "write the bound where the type parameter is: `<T: Float>`"));
    }
    let versions: usize = found.iter().map(|(_, parameter)| parameter.dtypes.len()).product();
    if versions > MAX_VERSIONS {
        let message = format!(
            "these type parameters stand for {versions} versions of the kernel, each a copy of its code, expected at most \
             {MAX_VERSIONS}: take smaller families"
        );
        return Err(syn::Error::new(generics.span(), message));
    }
    Ok(found)
}

/// The type of a dtype.
fn rust_type(dtype: DType, gpsimd: &TokenStream) -> TokenStream {
    let name = Ident::new(dtype.name(), Span::mixed_site());
    match dtype {
        DType::Bf16 | DType::F16 => quote! { #gpsimd::#name },
        _ => quote! { #gpsimd::entry::core::primitive::#name },
    }
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

//! `gradient(x, bias) = bias_gelu_backward(grad, x, bias)`, `gradient(bias) = grad`, and what either is meant not to be the
//! derivative of: `gradient(x) = op(grad) except(row(padding), "why")`.

use gpsimd_abi::DType;
use gpsimd_descriptor::{
    ElementType, Excepted, Exception, Formula, Gradient, GradientArgument, OperandKind, ScalarType,
};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Expr, ExprCall, ExprLit, ExprUnary, Ident, Lit, LitStr, Token, UnOp, parenthesized, token};

use crate::arguments::{equals, expect_more};
use crate::kernel::Kernel;
use crate::names::{list, plain};

const FORM: &str = "gradient(operand, ..) = op(grad, ..)` or `gradient(operand, ..) = grad";

const EXCEPT: &str = "except(overwritten(index), \"why\")` or `except(row(number), \"why\")";

/// The argument as written.
pub(crate) struct GradientSyntax {
    operands: Punctuated<Ident, Token![,]>,
    formula: Expr,
    except: Option<ExceptSyntax>,
}

/// `except(rule(operand), "why")`
struct ExceptSyntax {
    rule: Ident,
    operand: Ident,
    reason: LitStr,
}

impl ExceptSyntax {
    /// Parses what follows the word `except`, which stands at `before`.
    fn parse(input: ParseStream<'_>, before: Span) -> syn::Result<Self> {
        expect_more(input, before, EXCEPT)?;
        let wrong = |error: syn::Error| syn::Error::new(error.span(), format!("expected `{EXCEPT}`"));
        let parts = || -> syn::Result<Self> {
            let (list, operand);
            parenthesized!(list in input);
            let rule = list.parse()?;
            parenthesized!(operand in list);
            let operand = operand.parse()?;
            list.parse::<Token![,]>()?;
            Ok(Self { rule, operand, reason: list.parse()? })
        };
        let except = parts().map_err(wrong)?;
        if except.reason.value().trim().is_empty() {
            let message = "say why: `cargo gpsimd check` prints it beside what it has not compared";
            return Err(syn::Error::new(except.reason.span(), message));
        }
        Ok(except)
    }

    fn resolve(&self, kernel: &Kernel) -> syn::Result<Exception> {
        let operand = plain(&self.operand);
        let elements = match plain(&self.rule).as_str() {
            "overwritten" => Excepted::Overwritten(operand),
            "row" => Excepted::Row(operand),
            _ => return Err(syn::Error::new(self.rule.span(), format!("expected `{EXCEPT}`"))),
        };
        let is_known = |known: &&gpsimd_descriptor::OperandDescriptor| known.name == elements.operand();
        if !kernel.operands.iter().find(is_known).is_some_and(|known| elements.takes(known.kind)) {
            let message = format!("`{}` is not a {} of this op", self.operand, elements.expected());
            return Err(syn::Error::new(self.operand.span(), message));
        }
        Ok(Exception { elements, reason: self.reason.value() })
    }
}

impl GradientSyntax {
    /// Parses what follows the word `gradient`, which stands at `before`.
    pub(crate) fn parse(input: ParseStream<'_>, before: Span) -> syn::Result<Self> {
        expect_more(input, before, FORM)?;
        if !input.peek(token::Paren) {
            return Err(input.error(format!("expected `{FORM}`")));
        }
        let operands;
        let parentheses = parenthesized!(operands in input);
        let operands: Punctuated<Ident, _> = Punctuated::parse_terminated(&operands)?;
        if operands.is_empty() {
            let message = "name the operands that this is the gradient of: `gradient(x) = ..`";
            return Err(syn::Error::new(parentheses.span.join(), message));
        }
        let after = equals(input, parentheses.span.join(), FORM)?;
        expect_more(input, after, FORM)?;
        let formula = input.parse()?;
        let is_excepted = input.peek(Ident) && input.fork().parse::<Ident>()? == "except";
        let except = if is_excepted {
            let word: Ident = input.parse()?;
            Some(ExceptSyntax::parse(input, word.span())?)
        } else {
            None
        };
        Ok(Self { operands, formula, except })
    }

    pub(crate) fn operands(&self) -> impl Iterator<Item = &Ident> {
        self.operands.iter()
    }

    /// The descriptor's form, with every name looked up among the operands and the output of `kernel`.
    pub(crate) fn resolve(&self, kernel: &Kernel) -> syn::Result<Gradient> {
        for operand in &self.operands {
            if !kernel.tensors().any(|tensor| tensor.name == plain(operand)) {
                let tensors = list(kernel.tensors().map(|tensor| tensor.name.as_str()));
                let message = format!("`{operand}` is not a tensor operand of this op; it has {tensors}");
                return Err(syn::Error::new(operand.span(), message));
            }
        }
        let operands = self.operands.iter().map(plain).collect();
        let except = self.except.as_ref().map(|except| except.resolve(kernel)).transpose()?;
        Ok(Gradient { operands, formula: self.formula(kernel)?, except })
    }

    fn formula(&self, kernel: &Kernel) -> syn::Result<Formula> {
        let refuse = |message: &str| Err(syn::Error::new_spanned(&self.formula, message));
        match &self.formula {
            expr @ Expr::Call(call) if is_grad(call) => Ok(Formula::Value { value: argument(expr, kernel)? }),
            Expr::Call(call) => {
                let op = called(&call.func)?;
                let arguments = call.args.iter().map(|expr| argument(expr, kernel)).collect::<syn::Result<_>>()?;
                Ok(Formula::Op { op: plain(op), arguments })
            }
            expr if number(expr).is_ok() => refuse(
                "a gradient is not a number: it is a function of `grad`, the gradient of the output; write `grad` for \
                 the gradient itself, `op(grad, ..)` for what an op computes from it",
            ),
            expr @ Expr::Path(_) => match argument(expr, kernel) {
                Ok(value @ GradientArgument::Grad(_)) => Ok(Formula::Value { value }),
                Ok(_) => refuse(
                    "a gradient is a function of `grad`, the gradient of the output, and this does not depend on it; \
                     write `grad` for the gradient itself, `op(grad, ..)` for what an op computes from it",
                ),
                Err(_)
                    if let Expr::Path(path) = expr
                        && let Some(op) = path.path.get_ident()
                        && op != "grad" =>
                {
                    refuse(&format!(
                        "an op is called with its operands: `{op}(grad, ..)`; `grad` alone is the gradient of the output"
                    ))
                }
                Err(error) => Err(error),
            },
            _ => refuse(&format!("expected `{FORM}`")),
        }
    }

    /// What an `op_library!` evaluates to see that it has the op that is called, and that the call fits: arms for the
    /// op's own macro, each expression at the place of what it checks.
    pub(crate) fn checks(&self, kernel: &Kernel) -> TokenStream {
        let Expr::Call(call) = &self.formula else { return TokenStream::new() };
        let Ok(op) = called(&call.func) else { return TokenStream::new() };
        if is_grad(call) {
            return TokenStream::new();
        }
        let (name, count) = (plain(op), call.args.len());
        let exists = quote_spanned! { op.span() => $(:: $check)+ ::op(OPS, $library, #name) };
        let counts = quote_spanned! { op.span() => $(:: $check)+ ::operands(OPS, #name, #count) };
        let operand_count = self.operands.len();
        let outputs = quote_spanned! { op.span() => $(:: $check)+ ::outputs(OPS, #name, #operand_count) };
        let fits = call.args.iter().enumerate().map(|(i, expr)| {
            let kind = kind(expr, kernel);
            quote_spanned! { expr.span() => $(:: $check)+ ::operand(OPS, #name, #i, #kind) }
        });
        quote! { #exists; #counts; #outputs; #(#fits;)* }
    }
}

/// The op's name in a call of it.
pub(crate) fn called(function: &Expr) -> syn::Result<&Ident> {
    match function {
        Expr::Path(path) if path.path.get_ident().is_some() => path.path.require_ident(),
        _ => Err(syn::Error::new_spanned(function, "expected the plain name of an op of the same library")),
    }
}

/// Whether a call is `grad(output)`.
fn is_grad(call: &ExprCall) -> bool {
    matches!(&*call.func, Expr::Path(path) if path.path.is_ident("grad"))
}

/// The output whose gradient `grad(name)` is; of two phases only the library knows their names.
fn grad_of(call: &ExprCall, kernel: &Kernel) -> syn::Result<GradientArgument> {
    let name = match call.args.first() {
        Some(Expr::Path(path)) if call.args.len() == 1 && path.path.get_ident().is_some() => {
            plain(path.path.require_ident()?)
        }
        _ => return Err(syn::Error::new_spanned(call, "expected the name of an output: `grad(output)`")),
    };
    if kernel.has_second_phase || kernel.outputs.iter().any(|output| output.name == name) {
        return Ok(GradientArgument::Grad(name));
    }
    let known = list(kernel.outputs.iter().map(|output| output.name.as_str()));
    Err(syn::Error::new_spanned(&call.args, format!("`{name}` is not an output of this op; it has {known}")))
}

fn argument(expr: &Expr, kernel: &Kernel) -> syn::Result<GradientArgument> {
    match expr {
        Expr::Call(call) if is_grad(call) => grad_of(call, kernel),
        Expr::Path(path) if path.path.get_ident().is_some() => {
            let name = plain(path.path.require_ident()?);
            let is_operand = kernel.operands.iter().any(|operand| operand.name == name);
            match name.as_str() {
                "grad" if is_operand => Err(syn::Error::new_spanned(
                    expr,
                    "`grad` is the gradient of the output here, and an operand of this op, too: rename the operand",
                )),
                "grad" if kernel.has_second_phase => Ok(GradientArgument::Grad(String::new())),
                "grad" => match &kernel.outputs[..] {
                    [output] => Ok(GradientArgument::Grad(output.name.clone())),
                    _ => Err(syn::Error::new_spanned(
                        expr,
                        "this op has several outputs: say whose gradient it is, `grad(output)`",
                    )),
                },
                // What is between two phases is gone after them.
                _ if !kernel.has_second_phase && kernel.outputs.iter().any(|output| output.name == name) => {
                    Ok(GradientArgument::Output(name))
                }
                _ if is_operand => Ok(GradientArgument::Operand(name)),
                _ => {
                    let outputs = list(kernel.outputs.iter().map(|output| output.name.as_str()));
                    let several = if kernel.outputs.len() == 1 { "the output" } else { "an output" };
                    let operands = list(kernel.operands.iter().map(|operand| operand.name.as_str()));
                    let message = format!(
                        "`{name}` is neither `grad`, nor an operand ({operands}), nor {several} of this op, {outputs}"
                    );
                    Err(syn::Error::new_spanned(expr, message))
                }
            }
        }
        Expr::Unary(ExprUnary { op: UnOp::Not(_), expr: flag, .. }) => match argument(flag, kernel) {
            Ok(GradientArgument::Operand(name)) if kind(flag, kernel) == 'B' => Ok(GradientArgument::Not(name)),
            _ => Err(syn::Error::new_spanned(expr, "expected a bool operand of this op: `!flag`")),
        },
        _ => number(expr).map(GradientArgument::Number),
    }
}

/// What is passed to an op, as `OpInfo::operands` of the crate `gpsimd` writes it.
fn kind(expr: &Expr, kernel: &Kernel) -> char {
    match argument(expr, kernel) {
        Ok(GradientArgument::Grad(name) | GradientArgument::Output(name)) => {
            let output = kernel.outputs.iter().find(|output| output.name == name);
            output.map_or('t', |found| letter(OperandKind::Tensor(found.element)))
        }
        Ok(GradientArgument::Operand(name) | GradientArgument::Not(name)) => {
            kernel.operands.iter().find(|operand| operand.name == name).map_or('n', |found| letter(found.kind))
        }
        _ => 'n',
    }
}

/// One letter for what an operand is.
pub(crate) fn letter(kind: OperandKind) -> char {
    match kind {
        OperandKind::Scalar(ScalarType::F32) => 'F',
        OperandKind::Scalar(ScalarType::I32) => 'I',
        OperandKind::Scalar(ScalarType::U32) => 'U',
        OperandKind::Scalar(ScalarType::Bool) => 'B',
        OperandKind::Size => 'z',
        OperandKind::Tensor(ElementType::Parameter(_) | ElementType::Any) => 't',
        OperandKind::Tensor(ElementType::Fixed(dtype)) => match dtype {
            DType::F32 => 'f',
            DType::Bf16 => 'b',
            DType::F16 => 'h',
            DType::I32 => 'i',
            DType::I16 => 's',
            DType::I8 => 'c',
            DType::U8 => 'u',
        },
    }
}

fn number(expr: &Expr) -> syn::Result<f64> {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Float(lit), .. }) => lit.base10_parse(),
        Expr::Lit(ExprLit { lit: Lit::Int(lit), .. }) => lit.base10_parse(),
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => Ok(-number(expr)?),
        _ => Err(syn::Error::new_spanned(expr, "expected `grad`, an operand, the output, or a number")),
    }
}

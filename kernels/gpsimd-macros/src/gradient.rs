//! `gradient(x, bias) = bias_gelu_backward(grad, x, bias)`.

use gpsimd_abi::descriptor::{Gradient, GradientArgument};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, ExprUnary, Ident, Lit, Token, UnOp, parenthesized};

/// The argument as written.
pub(crate) struct GradientSyntax {
    operands: Punctuated<Ident, Token![,]>,
    op: Ident,
    arguments: Punctuated<Expr, Token![,]>,
}

impl Parse for GradientSyntax {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let form = |error: syn::Error| {
            syn::Error::new(error.span(), format!("{error}; a gradient is `gradient(operand, ..) = op(grad, ..)`"))
        };
        Self::parse_form(input).map_err(form)
    }
}

impl GradientSyntax {
    fn parse_form(input: ParseStream<'_>) -> syn::Result<Self> {
        let (operands, arguments);
        parenthesized!(operands in input);
        let operands = Punctuated::parse_terminated(&operands)?;
        input.parse::<Token![=]>()?;
        let op = input.parse()?;
        parenthesized!(arguments in input);
        let arguments = Punctuated::parse_terminated(&arguments)?;
        Ok(Self { operands, op, arguments })
    }

    /// The descriptor's form, with every name looked up among the op's `tensors`, `scalars` and `output`.
    pub(crate) fn resolve(&self, tensors: &[String], scalars: &[String], output: &str) -> syn::Result<Gradient> {
        for operand in &self.operands {
            if !tensors.contains(&operand.to_string()) {
                let message = format!("`{operand}` is no tensor operand of this op; it has {}", list(tensors));
                return Err(syn::Error::new(operand.span(), message));
            }
        }
        let argument = |expr: &Expr| match expr {
            Expr::Path(path) if path.path.get_ident().is_some() => {
                let name = path.path.require_ident()?.to_string();
                match name.as_str() {
                    "grad" => Ok(GradientArgument::Grad),
                    name if name == output => Ok(GradientArgument::Output),
                    _ if tensors.contains(&name) || scalars.contains(&name) => Ok(GradientArgument::Operand(name)),
                    _ => Err(syn::Error::new_spanned(
                        expr,
                        format!("`{name}` is neither `grad`, nor an operand, nor the output `{output}` of this op"),
                    )),
                }
            }
            _ => number(expr).map(GradientArgument::Number),
        };
        Ok(Gradient {
            operands: self.operands.iter().map(Ident::to_string).collect(),
            op: self.op.to_string(),
            arguments: self.arguments.iter().map(argument).collect::<syn::Result<_>>()?,
        })
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

/// Names for a message: "`x`, `bias`".
pub(crate) fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

//! What stands in the parentheses of `#[custom_op(..)]`.

use proc_macro2::Span;
use syn::parse::{Parse, ParseStream};
use syn::{ExprCall, Ident, Path, Token, parenthesized, token};

use crate::gradient::GradientSyntax;
use crate::reference::{ReferenceSyntax, ToleranceSyntax};

/// The arguments as written.
pub(crate) struct Arguments {
    pub(crate) shape: Option<Path>,
    pub(crate) replaces: Vec<Replaces>,
    /// `returns(output = type, ..)`
    pub(crate) returns: Vec<(Ident, Ident)>,
    /// `then = op(..)`
    pub(crate) then: Option<ExprCall>,
    pub(crate) gradients: Vec<GradientSyntax>,
    /// `reference = path` or `reference = "module:function"`
    pub(crate) reference: Option<ReferenceSyntax>,
    /// `tolerance = (relative, absolute)`
    pub(crate) tolerance: Option<ToleranceSyntax>,
}

/// `replaces = operand`, of an op with one output, or one of `replaces(output = operand, ..)`.
pub(crate) struct Replaces {
    pub(crate) output: Option<Ident>,
    pub(crate) operand: Ident,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let (mut shape, mut then, mut replaces, mut returns) = (None, None, Vec::new(), Vec::new());
        let (mut gradients, mut reference, mut tolerance) = (Vec::new(), None, None);
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            let twice = match name.to_string().as_str() {
                "shape" => {
                    let after = equals(input, name.span(), "shape = f")?;
                    expect_more(input, after, "shape = f")?;
                    let path = input.parse::<Path>().map_err(|error| {
                        syn::Error::new(error.span(), "expected the path of a function: `shape = f`")
                    })?;
                    shape.replace(path).is_some()
                }
                "replaces" => {
                    let is_second = !replaces.is_empty();
                    replaces = replacements(input, name.span())?;
                    is_second
                }
                "returns" => {
                    let is_second = !returns.is_empty();
                    expect_more(input, name.span(), RETURNS)?;
                    returns = pairs(input, RETURNS)?;
                    is_second
                }
                "then" => {
                    let after = equals(input, name.span(), "then = op(output, ..)")?;
                    expect_more(input, after, "then = op(output, ..)")?;
                    let call = input.parse::<ExprCall>().map_err(|error| {
                        syn::Error::new(error.span(), "expected a call of the second phase: `then = op(output, ..)`")
                    })?;
                    then.replace(call).is_some()
                }
                "gradient" => {
                    gradients.push(GradientSyntax::parse(input, name.span())?);
                    false
                }
                "reference" => reference.replace(ReferenceSyntax::parse(input, name.span())?).is_some(),
                "tolerance" => tolerance.replace(ToleranceSyntax::parse(input, name.span())?).is_some(),
                _ => {
                    let message = format!(
                        "unknown argument `{name}`; there are `shape`, `replaces`, `returns`, `then`, \
                                           `gradient`, `reference` and `tolerance`"
                    );
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
        if let (Some(ToleranceSyntax { span, .. }), None) = (&tolerance, &reference) {
            return Err(syn::Error::new(*span, "a tolerance of what? `reference = f` is missing"));
        }
        Ok(Self { shape, replaces, returns, then, gradients, reference, tolerance })
    }
}

/// Parses what follows the word `replaces`, which stands at `before`.
fn replacements(input: ParseStream<'_>, before: Span) -> syn::Result<Vec<Replaces>> {
    const FORM: &str = "replaces = operand` or `replaces(output = operand, ..)";
    if !input.peek(token::Paren) {
        let after = equals(input, before, FORM)?;
        expect_more(input, after, FORM)?;
        return Ok(vec![Replaces { output: None, operand: input.parse()? }]);
    }
    let pairs = pairs(input, FORM)?;
    Ok(pairs.into_iter().map(|(output, operand)| Replaces { output: Some(output), operand }).collect())
}

/// The form of `returns`.
const RETURNS: &str = "returns(output = i64)` or `returns(output = bool)";

/// Parses `(name = name, ..)`, of `form`.
fn pairs(input: ParseStream<'_>, form: &str) -> syn::Result<Vec<(Ident, Ident)>> {
    if !input.peek(token::Paren) {
        return Err(input.error(format!("expected `{form}`")));
    }
    let list;
    let parentheses = parenthesized!(list in input);
    let mut pairs = Vec::new();
    while !list.is_empty() {
        let name: Ident = list.parse()?;
        let after = equals(&list, name.span(), form)?;
        expect_more(&list, after, form)?;
        pairs.push((name, list.parse()?));
        if !list.is_empty() {
            list.parse::<Token![,]>()?;
        }
    }
    if pairs.is_empty() {
        return Err(syn::Error::new(parentheses.span.join(), format!("expected `{form}`")));
    }
    Ok(pairs)
}

/// Parses the `=` of `form`, which comes after `before`, and returns its place.
pub(crate) fn equals(input: ParseStream<'_>, before: Span, form: &str) -> syn::Result<Span> {
    expect_more(input, before, form)?;
    match input.parse::<Token![=]>() {
        Ok(token) => Ok(token.span),
        Err(error) => Err(syn::Error::new(error.span(), format!("expected `{form}`"))),
    }
}

/// Fails at `before` when nothing follows. The parser's own error would underline the whole attribute.
pub(crate) fn expect_more(input: ParseStream<'_>, before: Span, form: &str) -> syn::Result<()> {
    if input.is_empty() { Err(syn::Error::new(before, format!("expected `{form}`"))) } else { Ok(()) }
}

//! What stands in the parentheses of `#[custom_op(..)]`.

use proc_macro2::Span;
use syn::parse::{Parse, ParseStream};
use syn::{Ident, Path, Token};

use crate::gradient::GradientSyntax;

/// The arguments as written.
pub(crate) struct Arguments {
    pub(crate) shape: Option<Path>,
    pub(crate) replaces: Option<Ident>,
    pub(crate) gradients: Vec<GradientSyntax>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let (mut shape, mut replaces, mut gradients) = (None, None, Vec::new());
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
                    let after = equals(input, name.span(), "replaces = operand")?;
                    expect_more(input, after, "replaces = operand")?;
                    replaces.replace(input.parse()?).is_some()
                }
                "gradient" => {
                    gradients.push(GradientSyntax::parse(input, name.span())?);
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
        Ok(Self { shape, replaces, gradients })
    }
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

//! `print!`: the format string, split at compile time.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Expr, Ident, LitStr, Token};

use crate::crates;

pub(crate) fn expand(input: TokenStream) -> syn::Result<TokenStream> {
    let Print { core, format, arguments } = syn::parse2(input)?;
    let pieces = split(&format)?;
    let positional = pieces.iter().filter(|piece| matches!(piece, Piece::Next)).count();
    if let Some(extra) = arguments.iter().nth(positional) {
        let message = match positional {
            0 => "the format string has no `{}` for this argument".to_string(),
            1 => "the format string has only one `{}`".to_string(),
            _ => format!("the format string has only {positional} `{{}}`"),
        };
        return Err(syn::Error::new_spanned(extra, message));
    }
    if positional > arguments.len() {
        let given = match arguments.len() {
            0 => "no argument follows".to_string(),
            1 => "one argument follows".to_string(),
            count => format!("{count} arguments follow"),
        };
        let message = format!("the format string has {positional} `{{}}`, but {given}");
        return Err(syn::Error::new(format.span(), message));
    }
    let mut arguments = arguments.iter();
    let gpsimd = crates::gpsimd();
    // The user's `core` is another one.
    let core_name = Ident::new("core", Span::mixed_site());
    let print = |value: TokenStream, span: Span| {
        // The argument's place is where an unprintable type is reported.
        let (gpsimd, core) = (crates::gpsimd_at(span), Ident::new("core", Span::mixed_site().located_at(span)));
        quote_spanned! { span => #gpsimd::Print::print(&#value, #core); }
    };
    let calls = pieces.iter().map(|piece| match piece {
        Piece::Text(text) => quote! { #gpsimd::entry::print_text(#core_name, #text); },
        Piece::Named(name) => print(quote! { #name }, name.span()),
        Piece::Next => {
            let argument = arguments.next();
            print(quote_spanned! { argument.span() => (#argument) }, argument.span())
        }
    });
    Ok(quote! {{
        let #core_name: &#gpsimd::Core = #core;
        #(#calls)*
    }})
}

/// `core, "format", arguments...`
struct Print {
    core: Expr,
    format: LitStr,
    arguments: Punctuated<Expr, Token![,]>,
}

impl Parse for Print {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(LitStr) {
            return Err(input.error("the core that prints comes first: `print!(core, \"...\")`"));
        }
        let core: Expr = input.parse()?;
        if input.is_empty() {
            return Err(syn::Error::new_spanned(core, "a format string follows the core: `print!(core, \"...\")`"));
        }
        input.parse::<Token![,]>()?;
        let format = input.parse()?;
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
        Ok(Self { core, format, arguments: Punctuated::parse_terminated(input)? })
    }
}

enum Piece {
    Text(String),
    /// `{}`
    Next,
    /// `{name}`
    Named(Ident),
}

fn split(format: &LitStr) -> syn::Result<Vec<Piece>> {
    let refuse = |message: String| Err(syn::Error::new(format.span(), message));
    let text = format.value();
    let (mut pieces, mut literal) = (Vec::new(), String::new());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '{' | '}' if characters.peek() == Some(&c) => {
                characters.next();
                literal.push(c);
            }
            '{' => {
                if !literal.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut literal)));
                }
                let name: String = characters.clone().take_while(|c| *c != '}').collect();
                // The name and its brace.
                if characters.nth(name.chars().count()).is_none() {
                    return refuse("a `{` without its `}`; write `{{` for the character".into());
                }
                if name.is_empty() {
                    pieces.push(Piece::Next);
                } else if let Ok(mut name) = syn::parse_str::<Ident>(&name) {
                    name.set_span(format.span());
                    pieces.push(Piece::Named(name));
                } else {
                    return refuse(format!(
                        "`{{{name}}}` is neither `{{}}` nor `{{name}}`; there are no format options"
                    ));
                }
            }
            '}' => return refuse("a `}` without its `{`; write `}}` for the character".into()),
            _ => literal.push(c),
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    Ok(pieces)
}

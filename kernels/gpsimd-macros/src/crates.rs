//! What a crate calls `gpsimd`.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;

/// The path of `gpsimd` in the crate that is compiled, whose manifest may have renamed it. Where the manifest does not
/// name it (a test without one, say) the plain name is tried, and rustc says that it is missing.
pub(crate) fn gpsimd() -> TokenStream {
    gpsimd_at(Span::call_site())
}

/// [`gpsimd`], with errors about it at `span`.
pub(crate) fn gpsimd_at(span: Span) -> TokenStream {
    let name = match crate_name("gpsimd") {
        Ok(FoundCrate::Name(name)) => name,
        Ok(FoundCrate::Itself) | Err(_) => "gpsimd".into(),
    };
    // At the call: what the macro's own crate can name does not matter.
    let name = Ident::new(&name, Span::call_site().located_at(span));
    quote_spanned! { span => ::#name }
}

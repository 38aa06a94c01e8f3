//! [`Finding`]: what is wrong with an op, on some operands.

use gpsimd_emulator::{LaunchError, OperandError, SourceLocation};

use crate::replay::Setting;

/// What is wrong with an op, on some operands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    /// Which judge found it.
    pub(crate) judge: &'static str,
    /// What kind of mistake it is: a counterexample is made smaller as long as it is one of the same.
    pub(crate) kind: String,
    /// The mistake in words: op, core, tensor, range, line, where they are known.
    pub(crate) message: String,
    /// The setting in which it shows, after the one that it was compared with, if it was.
    pub(crate) settings: Vec<Setting>,
    /// Where in the kernel's source, where known.
    pub(crate) at: Option<SourceLocation>,
}

impl Finding {
    /// A launch that failed in a way that no kernel may fail in.
    pub(super) fn of_error(error: &LaunchError, setting: &Setting) -> Self {
        let (kind, at) = match error {
            LaunchError::Kernel(kernel) => (variant(&format!("{:?}", kernel.misuse)), kernel.location.clone()),
            LaunchError::Operands(OperandError::ShapePanicked { .. }) => ("ShapePanicked".to_owned(), None),
            error => (variant(&format!("{error:?}")), None),
        };
        let settings = vec![setting.clone()];
        Self { judge: super::SETTINGS, kind, message: error.to_string(), settings, at }
    }
}

/// The name of a variant, of what `Debug` shows.
fn variant(debug: &str) -> String {
    debug.chars().take_while(char::is_ascii_alphanumeric).collect()
}

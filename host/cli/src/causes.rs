//! [`causes`]: an error with what caused it, in one line.

use std::fmt::Write;

/// The messages of an error and of its causes, as `{:#}` of it, but each once: errors of libraries name their cause in their
/// own message, for whoever shows that alone, and are asked for the cause as well.
pub fn causes(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    let mut last = text.clone();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !last.contains(&cause) {
            // Writing to a string does not fail.
            let _ = write!(text, ": {cause}");
            last = cause;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use anyhow::Context;
    use gpsimd_emulator::OpLibrary;

    use super::*;
    use crate::replay::Replay;

    #[test]
    fn each_cause_is_told_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [0xff; 100]).unwrap();
        let told = |result: anyhow::Result<()>| {
            causes(&result.unwrap_err()).replace(&file.path().display().to_string(), "FILE")
        };
        let missing = Path::new("no-such-file");
        assert_eq!(
            told(Replay::read(missing).map(drop).context("cannot replay no-such-file")),
            "cannot replay no-such-file: it cannot be read: No such file or directory (os error 2)"
        );
        assert_eq!(
            told(Replay::read(file.path()).map(drop).context("cannot replay FILE")),
            "cannot replay FILE: it is not a whole safetensors file: header too large"
        );
        let error = anyhow::Error::new(OpLibrary::load(file.path()).err().unwrap());
        let cause = error.chain().last().unwrap().to_string();
        assert_eq!(causes(&error).matches(&cause).count(), 1, "{error:#}");
        let unlike = anyhow::anyhow!("the disk is full").context("cannot write").context("cannot build");
        assert_eq!(causes(&unlike), "cannot build: cannot write: the disk is full");
    }
}

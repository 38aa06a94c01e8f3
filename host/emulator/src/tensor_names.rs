//! Names of tensors in the messages of kernels, which know only their numbers: `{3}` is the name of tensor 3.

/// `message` with the tensors' names; what is no number of a tensor stays.
pub(crate) fn with_names(message: &str, name: impl Fn(usize) -> Option<String>) -> String {
    let mut text = String::with_capacity(message.len());
    let mut rest = message;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let named = after.split_once('}').and_then(|(number, after)| Some((name(number.parse().ok()?)?, after)));
        rest = if let Some((name, after)) = named {
            text.push_str(&name);
            after
        } else {
            text.push('{');
            after
        };
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_tensors_become_their_names_and_nothing_else_changes() {
        let name = |index: usize| ["table", "ids"].get(index).map(ToString::to_string);
        for (message, expected) in [
            ("index 9 of `{1}`: `{0}` has 3 rows", "index 9 of `ids`: `table` has 3 rows"),
            ("{2} {x} {} {{1} {", "{2} {x} {} {ids {"),
            ("", ""),
        ] {
            assert_eq!(with_names(message, name), expected);
        }
    }
}

//! Versions as package managers print them.

/// The first two numbers of a version: `2.9.1+cpu` gives (2, 9), `1:0.21.2.0-1` gives (0, 21).
pub(super) fn release(version: &str) -> Option<(u32, u32)> {
    let version = version.split_once(':').map_or(version, |(_epoch, rest)| rest);
    let mut numbers = version.split(['.', '-', '+']).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::release;

    #[test]
    fn a_release_is_the_first_two_numbers() {
        assert_eq!(release("2.9.1+cpu"), Some((2, 9)));
        assert_eq!(release("2.10.0"), Some((2, 10)));
        assert_eq!(release("1:0.21.2.0-bc9b5fad5"), Some((0, 21)));
        assert_eq!(release("2"), None);
        assert_eq!(release("nightly"), None);
    }
}

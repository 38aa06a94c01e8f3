//! Numbers on command lines: one rule for all commands, and messages that say which ones there are.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use clap::{Arg, Command};

/// Parses a whole number of a range.
pub(crate) fn whole<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: FromStr + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    move |text| {
        let number: Option<T> = text.parse().ok();
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| format!("expected a whole number from {} to {}", range.start(), range.end()))
    }
}

/// Takes `-1` after an option for its value, so that the message says which values there are, and not that there is no
/// option `-1`.
pub fn take_negative(command: Command) -> Command {
    let take = |argument: Arg| {
        let takes_one = argument.get_action().takes_values() && !argument.is_positional();
        argument.allow_negative_numbers(takes_one)
    };
    command.mut_args(take).mut_subcommands(take_negative)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::Cli;

    #[test]
    fn numbers_out_of_range_are_told_what_is_expected() {
        let refused = |words: &str| {
            let words = std::iter::once("gpsimd").chain(words.split(' '));
            let error = take_negative(Cli::command()).try_get_matches_from(words).unwrap_err().to_string();
            error.lines().next().unwrap_or_default().to_owned()
        };
        let all = [
            "check --cases 0",
            "check --cases -1",
            "check --seconds nan",
            "check --cases 1.5",
            "check --seconds -1",
            "check --seconds=-1",
            "check --seed -3",
            "bring-up --seed -3",
            "bring-up --seconds -1",
            "bring-up --time-limit -0.5",
            "build --time-limit -1",
            "debug silu --core -1",
            "neff run --core -1 model.neff",
            "check -1",
        ];
        insta::assert_snapshot!(all.map(|words| format!("{words}\n  {}", refused(words))).join("\n"));
    }
}

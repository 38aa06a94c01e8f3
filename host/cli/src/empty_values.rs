//! An empty value is a mistake, whatever the option: one rule for all commands.
//!
//! A shell makes one of a variable that is not set, `--out "$DIR"`. Some types of clap refuse it, others take it for the
//! working folder or for a name.

use clap::error::ErrorKind;
use clap::{ArgMatches, Command, Error};

/// The error that names the first option or argument with an empty value. What a command hands on to another program
/// is that program's to judge.
pub fn refuse(command: &mut Command, matches: &ArgMatches) -> Result<(), Error> {
    let is_empty = |argument: &&clap::Arg| {
        let values = matches.try_get_raw(argument.get_id().as_str()).ok().flatten();
        !argument.is_trailing_var_arg_set()
            && values.is_some_and(|mut values| values.any(|value| value.as_encoded_bytes().trim_ascii().is_empty()))
    };
    let empty = command.get_arguments().find(is_empty).map(ToString::to_string);
    if let Some(argument) = empty {
        let message = format!("{argument}: expected a value, found an empty one; give one, or leave it out");
        return Err(command.error(ErrorKind::InvalidValue, message));
    }
    match matches.subcommand() {
        Some((name, matches)) => command.find_subcommand_mut(name).map_or(Ok(()), |command| refuse(command, matches)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::Cli;

    fn parse(words: &[String]) -> Result<(), Error> {
        let mut command = Cli::command();
        let matches = command.try_get_matches_from_mut(words)?;
        refuse(&mut command, &matches)
    }

    /// The options with values of a command and its subcommands, each with the words that lead to it.
    fn options(command: &Command, words: &[String]) -> Vec<(Vec<String>, String)> {
        let own = command.get_arguments().filter(|argument| argument.get_action().takes_values());
        let own = own.filter_map(|argument| Some((words.to_vec(), format!("--{}", argument.get_long()?))));
        let below = command.get_subcommands().flat_map(|below| {
            let words: Vec<_> = words.iter().cloned().chain([below.get_name().to_string()]).collect();
            options(below, &words)
        });
        own.chain(below).collect()
    }

    #[test]
    fn no_option_of_any_command_takes_an_empty_value() {
        let all = options(&Cli::command(), &["gpsimd".to_string()]);
        assert!(all.len() > 10);
        for (words, option) in all {
            for empty in ["", " "] {
                let words: Vec<_> = words.iter().cloned().chain([option.clone(), empty.to_string()]).collect();
                let error = parse(&words).expect_err(&option).to_string();
                // Where an argument is missing as well, or another option needed, clap says that first.
                let is_named = error.contains(&option) || error.contains("required arguments");
                assert!(is_named, "{words:?}: {error}");
            }
        }
    }

    #[test]
    fn the_message_names_the_option() {
        let words = ["gpsimd", "build", "--out", ""].map(String::from);
        let error = parse(&words).unwrap_err().to_string();
        assert!(error.contains("--out") && error.contains("value"), "{error}");
    }
}

//! The commands of all pages: every sub-command and option is one that there is.

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::{pages, read};
use crate::Cli;

/// What a reader puts in place of these does not matter; what the text goes on with does not belong to the command.
const ENDS: [&str; 7] = ["#", "&&", "|", ";", "..", "...", "\\"];

/// Every `cargo xtask ..` or `cargo gpsimd ..` of a page, in blocks and in lines.
fn commands(page: &str, name: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for (paragraph, is_block) in page.split("```").zip([false, true].into_iter().cycle()) {
        // In the text a command is between backquotes, possibly on two lines.
        let parts: Vec<_> = if is_block { paragraph.lines().collect() } else { paragraph.split('`').collect() };
        for part in parts {
            let Some((before, command)) = part.split_once(name) else { continue };
            let is_command = is_block || before.is_empty();
            let words = command.split_whitespace().map(|word| word.trim_matches(['\'', '"']).to_owned());
            let words: Vec<_> = words.take_while(|word| !ENDS.contains(&word.as_str())).collect();
            if is_command && !words.is_empty() {
                commands.push(words);
            }
        }
    }
    commands
}

#[test]
fn every_command_of_the_book_is_one_that_there_is() {
    let mut count = 0;
    for page in pages() {
        let text = read(&page);
        for (name, cli) in [("cargo xtask", Cli::command()), ("cargo gpsimd", cargo_gpsimd::Cli::command())] {
            for command in commands(&text, name) {
                count += 1;
                let words = [name].into_iter().chain(command.iter().map(String::as_str));
                let Err(error) = cli.clone().try_get_matches_from(words) else { continue };
                // The text may name a command without what it needs.
                let is_short = matches!(
                    error.kind(),
                    ErrorKind::DisplayHelp
                        | ErrorKind::MissingRequiredArgument
                        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                );
                assert!(is_short, "{}: {name} {}\n{error}", page.display(), command.join(" "));
            }
        }
    }
    assert!(count > 50, "{count} commands");
}

//! The Rust code of the README and of the book, compiled and run as documentation tests. `build.rs` lists the pages.

include!(concat!(env!("OUT_DIR"), "/pages.rs"));

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::PAGES;

    fn root() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
    }

    fn read(path: &str) -> String {
        fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Code without white space, and without the comma before a closing parenthesis that a line break brings.
    fn squeezed(code: &str) -> String {
        code.split_whitespace().collect::<String>().replace(",)", ")")
    }

    /// The Rust blocks of a page, hidden lines among them.
    fn rust_blocks(page: &str) -> Vec<String> {
        let mut blocks = Vec::new();
        let mut lines = page.lines();
        while let Some(line) = lines.next() {
            if let Some(language) = line.strip_prefix("```") {
                let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
                if language.starts_with("rust") {
                    blocks.push(block.join("\n"));
                }
            }
        }
        blocks
    }

    #[test]
    fn every_page_of_the_book_is_run() {
        for path in ["README.md", "docs/src/how-to/kernels.md", "docs/src/tutorial/first-op.md"] {
            assert!(PAGES.contains(&path), "{path}");
        }
        assert!(!PAGES.contains(&"docs/src/SUMMARY.md"));
    }

    #[test]
    fn every_block_names_its_language() {
        // rustdoc takes a block without one for Rust.
        for path in PAGES {
            let page = read(path);
            let fences = page.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("```"));
            for (number, opening) in fences.step_by(2) {
                assert_ne!(
                    opening.trim(),
                    "```",
                    "{path}:{}: name the language of the block: sh, text, ..",
                    number + 1
                );
            }
        }
    }

    #[test]
    fn the_kernels_of_the_readme_are_those_of_bert_ops() {
        let sources = squeezed(&(read("kernels/bert-ops/src/gelu.rs") + &read("kernels/bert-ops/src/softmax.rs")));
        let blocks = rust_blocks(&read("README.md"));
        let kernels: Vec<_> = blocks.iter().filter_map(|block| block.split_once("#[custom_op")).collect();
        assert_eq!(kernels.len(), 2, "kernels of the README");
        for (_, kernel) in kernels {
            assert!(sources.contains(&squeezed(kernel)), "{kernel}");
        }
    }

    #[test]
    fn the_kernels_of_the_tutorial_are_those_that_new_makes() {
        let template = squeezed(&read("host/cli/template/lib.rs"));
        let blocks = rust_blocks(&read("docs/src/tutorial/first-op.md"));
        let kernels: Vec<_> = blocks.iter().filter_map(|block| block.split_once("#[custom_op")).collect();
        assert!(!kernels.is_empty());
        for (_, kernel) in kernels {
            assert!(template.contains(&squeezed(kernel.split("# ").next().unwrap_or_default())), "{kernel}");
        }
    }

    #[test]
    fn the_steps_of_the_book_are_those_of_the_example() {
        let example = squeezed(&read("docs/examples/bias-relu/src/lib.rs"));
        for block in rust_blocks(&read("docs/src/how-to/faster-kernel.md")) {
            for line in block.lines().filter(|line| !line.starts_with("# ") && *line != "#") {
                let code = line.split("//").next().unwrap_or_default();
                assert!(example.contains(&squeezed(code)), "{code}");
            }
        }
    }
}

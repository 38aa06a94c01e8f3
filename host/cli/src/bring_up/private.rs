//! [`Private`]: what a report that is sent must not have: the names of the host and of its user, folders, addresses, accounts.
//!
//! Messages of compilers and of the vendor's runtime are in a report, and say what they like. So every text in it goes through
//! this, whoever wrote it.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

/// An absolute path of two parts and more: the last one stays, which is the name of a file.
static PATH: LazyLock<Regex> =
    LazyLock::new(|| regex(r#"(^|[^\w./<~-])(?:~|\.{1,2})?(?:/[^\s/:;,'"`()<>|]+)+/([^\s/:;,'"`()<>|]*)"#));
/// An absolute path of one part, and a folder of a home.
static ROOT: LazyLock<Regex> = LazyLock::new(|| regex(r#"(^|[^\w./<>~-])~?/([^\s/:;,'"`()<>|=]+)"#));
/// Names that EC2 gives, the addresses of private networks, MAC addresses, mail addresses, ARNs.
static NETWORK: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?x)\bip-\d+-\d+-\d+-\d+[\w.-]* | [\w-]+(\.[\w-]+)*\.(internal|amazonaws\.com|local)\b
        | \b(10\.\d+|192\.168|172\.(1[6-9]|2\d|3[01]))\.\d{1,3}\.\d{1,3}\b(\.?[^\d.]|$) | \b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b
        | \b[\w.+-]+@[\w-]+(\.[\w-]+)+ | \barn:[\w:/.-]+ | \b(i|vpc|subnet|ami|sg|vol)-[0-9a-f]{8,17}\b",
    )
});
/// The number of an AWS account.
static ACCOUNT: LazyLock<Regex> = LazyLock::new(|| regex(r"(^|[^\w.])\d{12}(\.?(?:$|[^\w.]))"));

/// Names that hosts and users have where nobody has chosen one.
const EVERYBODYS: [&str; 5] = ["localhost", "root", "ubuntu", "ec2-user", "admin"];

fn regex(text: &str) -> Regex {
    Regex::new(text).expect("the tests use it")
}

/// What is private on a host.
pub(super) struct Private {
    /// Words, and what each is replaced with.
    words: Vec<(Regex, &'static str)>,
}

impl Private {
    /// On this host: its name, the user's, the home folder.
    pub(super) fn of_this_host() -> Self {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let short = name.split('.').next().unwrap_or_default().to_owned();
        let home = std::env::home_dir();
        let home = home.as_deref().and_then(std::path::Path::file_name).map(|name| name.to_string_lossy().into_owned());
        let users = ["USER", "LOGNAME", "SUDO_USER"].into_iter().filter_map(|name| std::env::var(name).ok());
        Self::of([name, short], users.chain(home))
    }

    fn of(hosts: impl IntoIterator<Item = String>, users: impl IntoIterator<Item = String>) -> Self {
        let word = |(name, by): (String, &'static str)| {
            let pattern = format!(r"(^|[^\w-]){}($|[^\w-])", regex::escape(&name));
            // Two letters may be anything, and some names are everybody's.
            (name.len() > 2 && !EVERYBODYS.contains(&name.as_str())).then(|| (regex(&pattern), by))
        };
        let hosts = hosts.into_iter().map(|name| (name, "<host>"));
        let users = users.into_iter().map(|name| (name, "<user>"));
        Self { words: hosts.chain(users).filter_map(word).collect() }
    }

    /// A text without it.
    pub(super) fn without(&self, text: &str) -> String {
        let text = PATH.replace_all(text, |found: &Captures<'_>| format!("{}<folder>/{}", &found[1], &found[2]));
        let text = ROOT.replace_all(&text, |found: &Captures<'_>| format!("{}<folder>/{}", &found[1], &found[2]));
        let text = NETWORK.replace_all(&text, "<address>");
        let mut text = ACCOUNT.replace_all(&text, "$1<account>$2").into_owned();
        for (word, by) in &self.words {
            // Two beside each other share the character between them.
            for _ in 0..2 {
                text = word.replace_all(&text, format!("${{1}}{by}${{2}}")).into_owned();
            }
        }
        text
    }

    /// Takes it out of every text of a value.
    pub(super) fn take_from(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.without(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.take_from(value)),
            Value::Object(values) => values.values_mut().for_each(|value| self.take_from(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(text: &str) -> String {
        Private::of(["trn1-box".to_owned()], ["jane".to_owned()]).without(text)
    }

    #[test]
    fn folders_go_and_names_of_files_stay() {
        for (text, expected) in [
            ("cannot read /home/jane/ops/target/gpsimd/a.so: no such file", "cannot read <folder>/a.so: no such file"),
            ("'/opt/aws/neuron/bin/xt-clang++' failed", "'<folder>/xt-clang++' failed"),
            ("File \"/usr/lib/python3/x.py\", line 3", "File \"<folder>/x.py\", line 3"),
            (
                "a.cpp:3 -I/opt/include and ~/ops/b and ../../b/c.rs",
                "a.cpp:3 -I/opt/include and <folder>/b and <folder>/c.rs",
            ),
            ("in /tmp and /scratch", "in <folder>/tmp and <folder>/scratch"),
            ("/home/jane/ops/", "<folder>/"),
            ("path=/home/jane/x", "path=<folder>/x"),
        ] {
            assert_eq!(without(text), expected);
        }
    }

    #[test]
    fn names_of_host_and_user_go_as_whole_words() {
        assert_eq!(without("jane@trn1-box: jane, janet, jane jane"), "<user>@<host>: <user>, janet, <user> <user>");
        assert_eq!(without("trn1-box.example"), "<host>.example");
        let of_everybody = Private::of(["localhost".to_owned()], ["root".to_owned(), "x".to_owned()]);
        assert_eq!(of_everybody.without("square root of x on localhost"), "square root of x on localhost");
    }

    #[test]
    fn addresses_and_accounts_go() {
        for text in [
            "ip-10-0-12-7",
            "ip-10-0-12-7.us-west-2.compute.internal",
            "10.0.12.7",
            "192.168.1.4",
            "172.31.2.3",
            "0a:1b:2c:3d:4e:5f",
            "jane@example.com",
            "i-0abc1234def567890",
            "arn:aws:iam::123456789012:role/x",
            "host.us-east-1.amazonaws.com",
        ] {
            assert_eq!(without(text), "<address>", "{text}");
        }
        assert_eq!(without("account 123456789012."), "account <account>.");
    }

    #[test]
    fn what_a_report_is_about_stays() {
        for text in [
            "2.9.0.2.15.32035",
            "0.25.12.0",
            "2.31.24.0-0b044f4ce",
            "trn1.2xlarge",
            "y = x / (1 + z)",
            "x f32 3x4",
            "27.2 GB/s, 8 of 9",
            "and/or",
            "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90",
            "bert_ops::bias_gelu_forward",
            "scale(Tensor x, Tensor params) -> Tensor",
            "<small_ops::_::__GpsimdOp as gpsimd::ops::Op>::run",
            "the process ended (exit status: 1)",
            "Ubuntu 24.04.1 LTS, Linux 6.8.0-1017-aws",
        ] {
            assert_eq!(without(text), text);
        }
    }

    #[test]
    fn every_text_of_a_report_is_looked_at() {
        let mut value = serde_json::json!({ "a": [{ "b": "in /home/jane/x.rs" }, 1, true, null] });
        Private::of([], []).take_from(&mut value);
        assert_eq!(value, serde_json::json!({ "a": [{ "b": "in <folder>/x.rs" }, 1, true, null] }));
    }
}

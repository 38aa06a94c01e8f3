//! [`Progress`]: how far a step is, at a terminal; elsewhere one line when it is done.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Of something with a number of parts.
pub(super) struct Progress {
    bar: ProgressBar,
    what: String,
    count: usize,
    start: Instant,
}

impl Progress {
    pub(super) fn new(what: &str, count: usize) -> Self {
        let style = ProgressStyle::with_template("{prefix}  {bar:24} {pos}/{len}  {eta:>4}  {wide_msg}");
        let bar = ProgressBar::new(count as u64).with_prefix(what.to_owned());
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(250));
        Self { bar, what: what.into(), count, start: Instant::now() }
    }

    /// Another part begins.
    pub(super) fn next(&self, part: &str) {
        self.bar.set_message(part.to_owned());
        self.bar.inc(1);
    }

    /// That was all.
    pub(super) fn done(self) {
        self.bar.finish_and_clear();
        eprintln!("{}: {} in {:.1} s", self.what, self.count, self.start.elapsed().as_secs_f64());
    }
}

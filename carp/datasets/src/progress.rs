//! How much of a long computation is done, for a caller that shows it.

use std::sync::Mutex;

/// Told how much of a long computation is done; no result depends on it.
#[derive(Clone, Copy)]
pub struct Progress<'a>(Option<&'a (dyn Fn(usize, usize) + Sync)>);

impl<'a> Progress<'a> {
    /// Calls `show` with what is done and what is all there is to do, from any thread.
    pub fn new(show: &'a (dyn Fn(usize, usize) + Sync)) -> Progress<'a> {
        Progress(Some(show))
    }

    /// Nobody watches.
    pub fn none() -> Progress<'static> {
        Progress(None)
    }

    /// Reports that `done` of `all` is done.
    pub fn report(self, done: usize, all: usize) {
        if let Some(show) = self.0 {
            show(done, all);
        }
    }

    /// Counts `all` things that threads do together, each in `parts` equal parts.
    pub fn counter(self, all: usize, parts: usize) -> ProgressCounter<'a> {
        ProgressCounter { progress: self, all, parts: parts.max(1), done: Mutex::new(0) }
    }
}

/// What several threads have done together.
pub struct ProgressCounter<'a> {
    progress: Progress<'a>,
    all: usize,
    parts: usize,
    /// In parts.
    done: Mutex<usize>,
}

impl ProgressCounter<'_> {
    /// Adds parts that are done, and reports the things that are. The reports never fall, since one
    /// is made at a time.
    pub fn add(&self, parts: usize) {
        let mut done = self.done.lock().expect("no thread panics while it reports");
        *done += parts;
        self.progress.report(*done / self.parts, self.all);
    }
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    #[test]
    fn threads_count_together_and_reports_never_fall() {
        let seen = Mutex::new(Vec::new());
        let show = |done, all| seen.lock().unwrap().push((done, all));
        let counter = Progress::new(&show).counter(100, 2);
        (0..200).into_par_iter().for_each(|_| counter.add(1));
        let half = |part: usize| (part / 2, 100);
        assert_eq!(*seen.lock().unwrap(), (1..=200).map(half).collect::<Vec<_>>());
        // Nothing to do is not divided by.
        Progress::none().counter(0, 0).add(1);
    }
}

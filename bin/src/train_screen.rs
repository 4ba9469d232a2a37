//! The terminal during a run.

use carp::train::TrainEvent;
use indicatif::ProgressBar;

use crate::bars::message_bar;
use crate::print::try_print;
use crate::stop::{Ending, Stop};

/// A progress bar with lines above it, and how the run ends when it is stopped.
pub struct TrainScreen<'a> {
    bar: ProgressBar,
    stop: &'a Stop,
    /// Of ranks, only the first one shows anything.
    is_silent: bool,
    /// CARP's loss is C + H, and not C alone.
    entropy_term: bool,
    /// The command that goes on where a run was stopped.
    resume: String,
}

impl<'a> TrainScreen<'a> {
    /// Shows nothing yet.
    pub fn new(stop: &'a Stop) -> TrainScreen<'a> {
        TrainScreen::of_rank(0, stop)
    }

    /// As [`TrainScreen::new`], for one of several processes.
    pub fn of_rank(rank: usize, stop: &'a Stop) -> TrainScreen<'a> {
        let (bar, resume) = (ProgressBar::hidden(), String::new());
        TrainScreen { bar, stop, is_silent: rank > 0, entropy_term: true, resume }
    }

    /// The command to tell when the run is stopped.
    pub fn resume_with(&mut self, command: String) {
        self.resume = command;
    }

    /// The last line of a run that was stopped.
    pub fn stopped(&self, step: usize) -> String {
        format!("stopped after step {step}; resume with: {}", self.resume)
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Shows an event.
    pub fn show(&mut self, event: TrainEvent) {
        match event {
            TrainEvent::Start { .. } if self.is_silent => {}
            TrainEvent::Start { first_step, steps, entropy_term } => {
                self.entropy_term = entropy_term;
                self.bar = message_bar(steps).with_position(first_step as u64);
                self.bar.reset_eta();
                self.stop.above(self.bar.clone());
            }
            TrainEvent::Measure { step, is_saved: true } => {
                let line = self.stopped(step);
                self.stop.ends(Ending::AtOnce { line, is_saved: true });
            }
            TrainEvent::Measure { .. } => self.stop.ends(Ending::After("k-NN and one step")),
            TrainEvent::Knn { step, accuracy } => {
                self.line(&format!("step {step:>6}: k-NN accuracy {:.2} %", 100.0 * accuracy));
            }
            TrainEvent::EpochWork { done, all } => {
                self.stop.ends(Ending::After("the work before this epoch and one step"));
                self.bar.set_message(format!("before the epoch: {done} of {all}"));
            }
            TrainEvent::Step(metrics) => {
                self.stop.ends(Ending::After("this step"));
                self.bar.set_position(metrics.step as u64);
                let parts = match (metrics.consistency, metrics.entropy) {
                    (Some(c), Some(h)) if self.entropy_term => {
                        format!(" = consistency {c:.3} + entropy {h:.3}")
                    }
                    (Some(_), Some(h)) => format!(" = consistency, entropy {h:.3} apart"),
                    _ => String::new(),
                };
                self.bar.set_message(format!(
                    "loss {:.3}{parts}  {:.0} images/s  waiting {:.0} %",
                    metrics.loss,
                    metrics.images_per_second,
                    100.0 * metrics.waiting
                ));
                // Without a terminal there is no bar: print a line now and then.
                if self.bar.is_hidden() && metrics.step % 50 == 0 {
                    self.line(&format!("step {:>6}: {}", metrics.step, self.bar.message()));
                }
            }
            TrainEvent::Saved => {}
            TrainEvent::Warning(line) => self.line(&format!("warning: {line}")),
        }
    }

    /// A line above the bar. Where nobody reads it any more the run stops, but saves first.
    pub fn line(&self, line: &str) {
        if self.is_silent {
            return;
        }
        if !self.bar.is_hidden() {
            self.bar.println(line);
        } else if try_print(&format!("{line}\n")).is_err() {
            self.stop.closed_pipe();
        }
    }
}

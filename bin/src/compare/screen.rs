//! The terminal during a comparison.

use carp::train::TrainEvent;
use comparison::compare::Event;

use crate::stop::{Ending, Stop};
use crate::train_screen::TrainScreen;

/// A line for each run, below it its progress.
pub struct Screen<'a> {
    run: TrainScreen<'a>,
    stop: &'a Stop,
}

impl<'a> Screen<'a> {
    /// Shows nothing yet.
    pub fn new(stop: &'a Stop) -> Screen<'a> {
        let mut run = TrainScreen::new(stop);
        run.resume_with("the same command".to_owned());
        Screen { run, stop }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.run.finish();
    }

    /// Shows an event.
    pub fn show(&mut self, event: Event) {
        match event {
            Event::Plan(setting) => self.run.line(&format!("planning {}", setting.name)),
            Event::Run { number, runs, setting, seed } => {
                self.run.finish();
                self.at_once();
                self.run.line(&format!("run {number} of {runs}: {}, seed {seed}", setting.name));
            }
            // The picture has them all.
            Event::Train(TrainEvent::Knn { .. }) => {}
            Event::Train(event) => self.run.show(event),
            Event::Evaluate => self.at_once(),
            Event::Done(report) => {
                let scores = &report.scores;
                self.run.line(&format!(
                    "k-NN {:.2} %, linear {:.2} %, k-means {:.2} %, after {:.1} s of training",
                    100.0 * scores.knn,
                    100.0 * scores.linear,
                    100.0 * scores.kmeans_accuracy,
                    report.seconds
                ));
            }
            Event::Failed(line) => self.run.line(&format!("no result: {line}")),
        }
    }

    /// Nothing would be lost now.
    fn at_once(&self) {
        let line = "stopped; the same command goes on from here".to_owned();
        self.stop.ends(Ending::AtOnce { line, is_saved: true });
    }
}

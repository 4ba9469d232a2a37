//! What a run writes into its folder for other programs to show.

use std::path::PathBuf;

use carp::error::Result;
use carp::learner::Device;
use carp::train::TrainEvent;
use clap::Args;
use report::event_file::EventFile;
use report::run::Depth;

use crate::print::say;
use crate::report::write_page;

/// How a run is to be shown.
#[derive(Args, Clone, Copy)]
pub struct ShownArgs {
    /// Write the page report.html into the run folder at every checkpoint (see carp report).
    #[arg(long)]
    report: bool,
    /// Also write every step as an event file for TensorBoard into the run folder.
    #[arg(long)]
    tensorboard: bool,
}

/// A run that goes on, and what is written about it.
pub struct ShownRun<'a> {
    args: ShownArgs,
    folder: PathBuf,
    device: Device<'a>,
    events: Option<EventFile>,
}

impl<'a> ShownRun<'a> {
    /// Writes nothing yet.
    pub fn new(args: ShownArgs, folder: PathBuf, device: Device<'a>) -> ShownRun<'a> {
        ShownRun { args, folder, device, events: None }
    }

    /// Writes what an event brings.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn record(&mut self, event: &TrainEvent) -> Result<()> {
        match (event, &mut self.events) {
            (TrainEvent::Start { first_step, .. }, _) if self.args.tensorboard => {
                self.events = Some(EventFile::create(&self.folder, *first_step)?);
                Ok(())
            }
            (TrainEvent::Step(metrics), Some(events)) => events.step(metrics),
            (TrainEvent::Knn { step, accuracy }, Some(events)) => events.knn(*step, *accuracy),
            (TrainEvent::Saved, _) if self.args.report => self.write_report(Depth::Files),
            _ => Ok(()),
        }
    }

    /// Writes the page of a run that has ended, and prints its path, if it is wanted.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn finish(&self) -> Result<()> {
        if self.args.report {
            self.write_report(Depth::Network)?;
            say!("report: {}", self.report().display());
        }
        Ok(())
    }

    fn write_report(&self, depth: Depth) -> Result<()> {
        write_page(&self.report(), std::slice::from_ref(&self.folder), depth, self.device)
    }

    fn report(&self) -> PathBuf {
        self.folder.join("report.html")
    }
}

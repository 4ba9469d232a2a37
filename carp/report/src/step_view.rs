//! The ops of a step and its memory.

use autograd::{Plan, memory_map, trace};
use carp::config::Config;
use carp::error::Result;
use carp::learner::{Device, planned_step};
use serde::Serialize;

/// A step before it runs.
#[derive(Debug, Serialize)]
pub struct StepView {
    /// The table of `carp trace`.
    pub table: String,
    /// The map of `carp plan`, an SVG picture whose rectangles have titles.
    pub map: String,
}

impl StepView {
    /// Plans the step of a run, without its arena.
    ///
    /// # Errors
    /// Those of [`planned_step`].
    pub fn planned(config: &Config, device: Device) -> Result<StepView> {
        let (graph, _) = planned_step(&config.step(), device)?;
        let plan = Plan::new(&graph, device);
        Ok(StepView { table: trace::table(&graph, &plan), map: memory_map::svg(&graph, &plan) })
    }
}

//! The time of a step, op by op.

use std::time::Duration;

use autograd::Executor;
use carp::error::Result;

/// Medians over several runs of a step.
pub struct TimedStep {
    /// Of each op, in the order of the list.
    pub ops: Vec<Duration>,
    /// Of the whole step, in seconds.
    pub whole: f64,
}

impl TimedStep {
    /// Runs the step `runs` times, after once to warm up.
    ///
    /// # Errors
    /// A device fault.
    pub fn measure(executor: &mut Executor, runs: usize) -> Result<TimedStep> {
        executor.run_all()?;
        let all: Vec<Vec<Duration>> =
            (0..runs).map(|_| executor.run_timed()).collect::<tensor::Result<_>>()?;
        let median = |op: usize| {
            let mut times: Vec<Duration> = all.iter().map(|run| run[op]).collect();
            times.sort();
            times[runs / 2]
        };
        let mut whole: Vec<f64> =
            all.iter().map(|run| run.iter().map(Duration::as_secs_f64).sum()).collect();
        whole.sort_by(f64::total_cmp);
        let ops = (0..executor.graph().nodes().len()).map(median).collect();
        Ok(TimedStep { ops, whole: whole[runs / 2] })
    }
}

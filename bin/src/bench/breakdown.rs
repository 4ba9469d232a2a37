//! `carp bench step --breakdown`: the step by kind of op, each against the machine's own limits.
//!
//! A kind that does F operations on B bytes can take no less than `max(F / peak, B / bandwidth)`: the
//! roofline (Williams, Waterman and Patterson, 2009). Its share of the limit is that over its time.
//! Bytes are counted as if nothing stayed in a cache, and Winograd's convolutions by the operations of
//! the formula: both may exceed their limit.

use std::fmt::Write as _;

use autograd::trace::{KindTotals, kinds};
use carp::config::Config;
use carp::error::{Error, Result};
use carp::learner::Learner;

use super::peak::{cpu_gemm_peak, cpu_stream};
use super::race::{Measured, race};
use crate::device::{DeviceArgs, DeviceName};
use crate::timed_step::TimedStep;

/// Kinds that take a smaller share of the step are shown together.
const LEAST: f64 = 1e-3;

/// What the machine can do.
#[derive(Clone, Copy)]
pub struct Limits {
    /// GFLOP/s.
    pub compute: f64,
    /// GB/s.
    pub bandwidth: f64,
}

/// The step's kinds of ops, slowest first, and the limits that hold for them.
pub struct Breakdown {
    pub kinds: Vec<KindTotals>,
    pub limits: Limits,
    whole: f64,
    runs: usize,
}

/// How fast a kind of op is.
pub struct KindRates {
    /// GFLOP/s.
    pub gflops: f64,
    /// GB/s.
    pub gigabytes: f64,
    /// FLOP per byte.
    pub intensity: f64,
}

impl KindRates {
    pub fn of(kind: &KindTotals) -> KindRates {
        let seconds = kind.time.as_secs_f64().max(1e-9);
        KindRates {
            gflops: kind.flops as f64 / seconds / 1e9,
            gigabytes: kind.bytes as f64 / seconds / 1e9,
            intensity: kind.flops as f64 / kind.bytes.max(1) as f64,
        }
    }
}

impl Breakdown {
    /// Measures limits and step in turn.
    ///
    /// # Errors
    /// Another device than the CPU, whose limits are not measured.
    pub fn measure(config: &Config, device: &DeviceArgs, runs: usize) -> Result<Breakdown> {
        if device.name() != DeviceName::Cpu {
            let detail = "bench step --breakdown measures the limits of the CPU only";
            return Err(Error::usage(detail.to_owned()));
        }
        let mut learner = Learner::new(&config.step(), &device.open_with(config.train.numerics)?)?;
        learner.initialize(config.seed);
        let executor = learner.executor_mut();
        let limits = race(&mut [cpu_gemm_peak(), cpu_stream()], runs)?;
        let TimedStep { ops, whole } = TimedStep::measure(executor, runs)?;
        let [compute, stream] = &limits[..] else { unreachable!("two limits") };
        let limits = Limits { compute: compute.gflops, bandwidth: bandwidth(stream) };
        Ok(Breakdown { kinds: kinds(executor.graph(), Some(&ops)), limits, whole, runs })
    }

    /// A row per kind of op, and the limits below.
    pub fn table(&self) -> String {
        let Limits { compute, bandwidth } = self.limits;
        let mut text = format!(
            "{:<28}{:>6}{:>11}{:>9}{:>10}{:>8}{:>11}{:>10}\n",
            "op", "times", "time", "of step", "GFLOP/s", "GB/s", "FLOP/byte", "of limit"
        );
        let (shown, others): (Vec<_>, Vec<_>) =
            self.kinds.iter().partition(|kind| kind.time.as_secs_f64() >= LEAST * self.whole);
        for kind in shown {
            let KindRates { gflops, gigabytes, intensity } = KindRates::of(kind);
            let seconds = kind.time.as_secs_f64();
            let [computes, moves] = [gflops / compute, gigabytes / bandwidth];
            let _ = writeln!(
                text,
                "{:<28}{:>6}{:>8.2} ms{:>7.1} %{gflops:>10.1}{gigabytes:>8.1}{intensity:>11.2}{:>8.0} %",
                kind.name,
                kind.count,
                1e3 * seconds,
                100.0 * seconds / self.whole,
                100.0 * computes.max(moves)
            );
        }
        let rest: f64 = others.iter().map(|kind| kind.time.as_secs_f64()).sum();
        let share = 100.0 * rest / self.whole;
        let kinds = format!("{} other kinds", others.len());
        let _ = writeln!(text, "{kinds:<34}{:>8.2} ms{share:>7.1} %", 1e3 * rest);
        let (runs, whole) = (self.runs, 1e3 * self.whole);
        let _ = writeln!(text, "step: {whole:.2} ms, median of {runs}");
        let _ = writeln!(
            text,
            "limits measured here: {compute:.1} GFLOP/s (a matrix product), {bandwidth:.1} \
             GB/s (a = b + s c in memory); bytes are counted as if no cache kept any, \
             and Winograd's operations as the direct ones"
        );
        text
    }
}

fn bandwidth(stream: &Measured) -> f64 {
    stream.moved as f64 / stream.seconds / 1e9
}

//! `carp ptx view`: a warp as a page.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use carp::error::{Error, Result};
use clap::Args;
use cuda_kernels::gpu::WARP;
use cuda_kernels::tour::Visit;
use files::write_atomically;
use ptx_emulator::{Fault, Options, Recorder, Recording, launch};
use ptx_view::page;

use super::kernel_run::{PtxArgs, Run, sources, start};
use crate::outputs::check_outputs;
use crate::print::say;

#[derive(Args)]
pub struct ViewArgs {
    #[command(flatten)]
    args: PtxArgs,
    /// The page, one file that needs no other [default: the kernel's name, with .html].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Block of the grid, counted along x first [default: the one with a finding, or 0].
    #[arg(long, value_name = "N")]
    in_block: Option<u32>,
    /// Warp of the block [default: the one with a finding, or 0].
    #[arg(long, value_name = "N")]
    warp: Option<usize>,
    /// Stop recording after this many instructions.
    #[arg(long, value_name = "N", default_value_t = 3000)]
    limit: usize,
}

/// A warp of one of a kernel's launches.
#[derive(Clone, Copy, PartialEq)]
struct Place {
    launch: usize,
    block: u32,
    warp: usize,
}

pub fn view(view: &ViewArgs) -> Result<()> {
    let ViewArgs { args, output, in_block, warp, .. } = view;
    let kernel = args.kernel.rsplit(':').next().unwrap_or_default();
    let output = output.clone().unwrap_or_else(|| PathBuf::from(format!("{kernel}.html")));
    check_outputs([&output], &args.inputs())?;
    let place = Place { launch: 0, block: in_block.unwrap_or(0), warp: warp.unwrap_or(0) };
    let (mut run, mut recording) = record(view, place)?;
    if let Some(found) = of_finding(&run.visits)
        && (in_block, warp) == (&None, &None)
        && found != place
    {
        (run, recording) = record(view, found)?;
    }
    let finding = finding(&run.visits);
    if let Some(fault) = finding.filter(|fault| fault.line == 0) {
        return Err(tensor::Error::device(fault.to_string()).into());
    }
    let Recording { grid, block, in_block, warp, .. } = recording;
    check_place(grid, block, in_block, warp)?;
    let text = page(&recording, &run.ptx, &sources(args, &run), finding);
    write_atomically(&output, text.as_bytes())?;
    if let Some(fault) = finding {
        say!("found: {fault}");
    }
    say!("view: {}", output.display());
    Ok(())
}

/// Runs under the sanitizer and records.
fn record(view: &ViewArgs, place: Place) -> Result<(Run, Recording)> {
    let recorder = Arc::new(Mutex::new(Recorder::new(view.limit, place.block, place.warp)));
    let mut launches = 0;
    let shared = Arc::clone(&recorder);
    let options = Options { sanitize: true, ..Options::default() };
    let run = start(&view.args, options, move |module, memory, shape, options| {
        launches += 1;
        match launches - 1 == place.launch {
            true => {
                let mut recorder = shared.lock().expect("no thread panics while it records");
                recorder.launch(module, memory, shape, options)
            }
            false => launch(module, memory, shape, options),
        }
    })?;
    let mut recorder = recorder.lock().expect("no thread panics while it records");
    Ok((run, std::mem::take(&mut recorder.recording)))
}

fn finding(visits: &[Visit]) -> Option<&Fault> {
    visits.last().and_then(|visit| visit.result.as_ref().err())
}

/// The warp that a launch stopped at.
fn of_finding(visits: &[Visit]) -> Option<Place> {
    let (fault, visit) = (finding(visits)?, visits.last()?);
    let (block, warp) = fault.warp(visit.grid, visit.block);
    (fault.line > 0).then_some(Place { launch: visits.len() - 1, block, warp })
}

/// Is there such a warp in a launch of these blocks and threads along x, y and z?
pub fn check_place(grid: [u32; 3], block: [u32; 3], in_block: u32, warp: usize) -> Result<()> {
    let [blocks, threads] =
        [grid, block].map(|sides| sides.iter().map(|&side| u64::from(side)).product::<u64>());
    let warps = threads.div_ceil(WARP as u64);
    if u64::from(in_block) >= blocks {
        return Err(Error::usage(format!(
            "--in-block {in_block}: the grid has blocks 0 to {}",
            blocks - 1
        )));
    }
    if warp as u64 >= warps {
        return Err(Error::usage(format!("--warp {warp}: a block has warps 0 to {}", warps - 1)));
    }
    Ok(())
}

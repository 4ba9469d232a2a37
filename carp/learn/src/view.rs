//! A warp of a kernel, as a page to step through.

use ptx_emulator::{Options, Recorder};
use ptx_view::{Source, page};

use crate::kernel_case::KernelCase;
use crate::kernel_check::{Prepared, Program};

/// Steps of a page: more than a kernel's warps take here.
const STEPS: usize = 3000;

/// The page of a check's first launch with a finding, and of the warp that has it; where nothing is
/// found, of the first launch's first warp.
///
/// # Errors
/// The text is no PTX, or the launch does not start.
pub fn view(case: &KernelCase, program: Program<'_>) -> Result<String, String> {
    let options = Options { sanitize: true, ..Options::default() };
    let prepared = |launch| Prepared::new(case.kernel, &case.launches[launch], program);
    let mut place = (0, 0, 0);
    for (launch, shape) in case.launches.iter().enumerate() {
        if let Err(fault) = prepared(launch)?.run(&options) {
            let ([gx, gy], [bx, by]) = (shape.grid, shape.block);
            let (block, warp) = fault.warp([gx, gy, 1], [bx, by, 1]);
            place = (launch, block, warp);
            break;
        }
    }
    let (launch, block, warp) = place;
    let mut recorder = Recorder::new(STEPS, block, warp);
    let mut prepared = prepared(launch)?;
    let run = prepared.run_by(&options, |module, memory, launch, options| {
        recorder.launch(module, memory, launch, options)
    });
    if let Some(fault) = run.as_ref().err().filter(|fault| fault.line == 0) {
        return Err(fault.to_string());
    }
    let own = prepared.sources().iter().filter(|(_, name)| name == program.name);
    let with_text = |(file, name): &(u32, String)| {
        (*file, name.clone(), program.cuda.unwrap_or_default().to_owned())
    };
    let sources: Vec<Source> = own.map(with_text).collect();
    Ok(page(&recorder.recording, program.ptx, &sources, run.as_ref().err()))
}

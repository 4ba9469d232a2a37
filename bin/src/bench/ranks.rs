//! `carp bench ranks`: the time of a sum over ranks, from one number to many; GB/s are the vector's bytes
//! over that time.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use autograd::sum_ranks::{scratch, sum};
use autograd::{Lane, Transport};
use carp::error::{Error, Result};

use crate::print::say;
use crate::ranks;

/// Numbers in the sums.
const SIZES: [usize; 6] = [1, 1 << 8, 1 << 12, 1 << 14, 1 << 17, 1 << 20];
/// Sums of each size; one more warms up.
const REPEATS: usize = 101;

pub fn run() -> Result<ExitCode> {
    ranks::run_as(&ranks::join()?, bench)
}

fn bench(ranks: &Arc<dyn Transport>) -> Result<ExitCode> {
    let number = ranks.size();
    if number == 1 || !number.is_power_of_two() {
        return Err(Error::usage(
            "start a power of two of it, such as: mpirun -n 2 carp bench ranks",
        ));
    }
    let mut lines = vec![format!("{:>10} {:>12} {:>10}", "numbers", "median", "GB/s")];
    for size in SIZES {
        let seconds = median_seconds(size, ranks)?;
        let rate = (4 * size) as f64 / seconds / 1e9;
        lines.push(format!("{size:>10} {:>9.1} us {rate:>10.3}", 1e6 * seconds));
    }
    if ranks.rank() == 0 {
        lines.iter().for_each(|line| say!("{line}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn median_seconds(size: usize, ranks: &Arc<dyn Transport>) -> Result<f64> {
    let (mut x, mut theirs) = (vec![0.0; size], vec![0.0; scratch(size)]);
    let mut times = Vec::new();
    for _ in 0..=REPEATS {
        ranks.gather(0.0)?;
        let start = Instant::now();
        sum(&**ranks, Lane::Ops, &mut x, &mut theirs)?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.remove(0);
    times.sort_by(f64::total_cmp);
    Ok(times[REPEATS / 2])
}

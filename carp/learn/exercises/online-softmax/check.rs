use super::exercise::Running;
use crate::compare::{close, numbers};

pub fn check() -> Result<(), String> {
    let small = numbers(64, 1);
    let rising: Vec<f64> = (0..64).map(|i| f64::from(i) / 4.0).collect();
    let huge: Vec<f64> = rising.iter().map(|x| 1000.0 * x).collect();
    let falling: Vec<f64> = rising.iter().rev().copied().collect();
    let rows = [
        ("small numbers", small),
        ("falling numbers", falling),
        ("rising numbers", rising),
        ("numbers up to 15,750", huge),
    ];
    for (what, x) in rows {
        let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let expected = max + x.iter().map(|x| (x - max).exp()).sum::<f64>().ln();
        for size in [64, 16, 1] {
            let mut running = Running::new();
            x.chunks(size).for_each(|chunk| running.absorb(chunk));
            // Each chunk with the maximum of its time.
            let (mut known, mut stale) = (f64::NEG_INFINITY, 0.0);
            for chunk in x.chunks(size) {
                known = chunk.iter().copied().fold(known, f64::max);
                stale += chunk.iter().map(|x| (x - known).exp()).sum::<f64>();
            }
            let raw = x.iter().map(|x| x.exp()).sum::<f64>();
            let mistakes = [
                (
                    "the old sum belongs to the old maximum: multiply it by exp(max - max')",
                    vec![max + stale.ln()],
                ),
                ("the sum must be of exp(x - max)", vec![max + raw.ln()]),
            ];
            let what = format!("ln of the sum of exp of 64 {what}, in chunks of {size}");
            close(&what, &[running.log_sum_exp()], &[expected], 1e-12, &mistakes)?;
        }
    }
    Ok(())
}

use super::exercise::matmul_gradient;
use crate::compare::{central_differences, close, numbers};

pub fn check() -> Result<(), String> {
    for [m, n, k] in [[1, 1, 1], [2, 3, 2], [4, 2, 3]] {
        let (a, b, dc) = (numbers(m * k, 1), numbers(k * n, 2), numbers(m * n, 3));
        // The loss is <dc, a b>.
        let loss = |a: &[f64], b: &[f64]| -> f64 {
            let c = |i: usize, j: usize| (0..k).map(|l| a[i * k + l] * b[l * n + j]).sum::<f64>();
            (0..m * n).map(|at| dc[at] * c(at / n, at % n)).sum()
        };
        let (da, db) = matmul_gradient([m, n, k], &a, &b, &dc);
        let what =
            |name| format!("{name} with m, n, k = {m}, {n}, {k}, against central differences");
        close(&what("da"), &da, &central_differences(|a| loss(a, &b), &a), 1e-6, &[])?;
        close(&what("db"), &db, &central_differences(|b| loss(&a, b), &b), 1e-6, &[])?;
    }
    Ok(())
}

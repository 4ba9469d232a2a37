use super::exercise::matmul;
use crate::compare::{close, numbers};

pub fn check() -> Result<(), String> {
    let found = matmul(2, 2, 1, &[1.0, 2.0], &[3.0, 4.0]);
    close("(1; 2) times (3, 4)", &found, &[3.0, 4.0, 6.0, 8.0], 1e-12, &[])?;
    for [m, n, k] in [[1, 1, 4], [3, 2, 4], [5, 7, 3]] {
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let product = |b_at: &dyn Fn(usize, usize) -> usize| -> Vec<f64> {
            let element = |i: usize, j: usize| (0..k).map(|l| a[i * k + l] * b[b_at(l, j)]).sum();
            (0..m * n).map(|at| element(at / n, at % n)).collect()
        };
        let expected = product(&|l, j| l * n + j);
        let transposed = product(&|l, j| j * k + l);
        let mistakes =
            [("b was read as if it were transposed: b[l,j] is at l * n + j", transposed)];
        let found = matmul(m, n, k, &a, &b);
        close(&format!("a [{m},{k}] times b [{k},{n}]"), &found, &expected, 1e-12, &mistakes)?;
    }
    Ok(())
}

use super::exercise::entropy_term;
use crate::compare::close;
use crate::golden::{LOSS_H, LOSS_P, LOSS_Q};

pub fn check() -> Result<(), String> {
    let size = 5;
    let log = (size as f64).ln();
    let rows = [&LOSS_P[..], &LOSS_Q].concat();
    let count = (rows.len() / size) as f64;
    let each: f64 = rows.iter().map(|p| p * p.ln()).sum::<f64>() / count;
    let mistakes = [
        ("ln N is missing", vec![LOSS_H - log]),
        (
            "ln N less the sum: m ln m is negative, so the two must be added",
            vec![2.0 * log - LOSS_H],
        ),
        ("the sign is wrong: H is 0 for a uniform m, and positive for all others", vec![-LOSS_H]),
        (
            "this is the mean of the rows' entropies; take the mean of the rows first",
            vec![log + each],
        ),
    ];
    let what = "H of 10 rows (3 student views and 2 teacher views of 2 images), against PyTorch";
    close(what, &[entropy_term(size, &rows)], &[LOSS_H], 1e-10, &mistakes)?;
    let even = [[1.0, 0.0], [0.0, 1.0]].concat();
    close(
        "H of two certain rows that use both prototypes",
        &[entropy_term(2, &even)],
        &[0.0],
        1e-6,
        &[],
    )?;
    let collapsed = [[1.0, 0.0], [1.0, 0.0]].concat();
    let found = entropy_term(2, &collapsed);
    close("H of two certain rows that use the same prototype", &[found], &[2f64.ln()], 1e-6, &[])
}

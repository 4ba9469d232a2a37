use super::exercise::{EPS, consistency};
use crate::compare::close;
use crate::golden::{LOSS_C, LOSS_P, LOSS_Q};

/// The sum over pairs of `f` of d.
fn sum(
    views: usize,
    batch: usize,
    size: usize,
    p: &[f64],
    q: &[f64],
    same: bool,
    f: impl Fn(f64) -> f64,
) -> f64 {
    let mut sum = 0.0;
    for (row, p) in p.chunks(size).enumerate() {
        let (i, n) = (row / batch, row % batch);
        for j in (0..2).filter(|&j| same || j != i) {
            let q = &q[(j * batch + n) * size..][..size];
            sum += f(p.iter().zip(q).map(|(p, q)| p * q).sum());
        }
    }
    assert_eq!(p.len(), views * batch * size);
    sum
}

pub fn check() -> Result<(), String> {
    let (views, batch, size) = (3, 2, 5);
    let (p, q) = (&LOSS_P, &LOSS_Q);
    let log = |d: f64| -d.ln();
    let terms = ((2 * views - 2) * batch) as f64;
    let of = |same, f: &dyn Fn(f64) -> f64| sum(views, batch, size, p, q, same, f);
    let mistakes = [
        (
            "the pairs with i = j are in it: leave them out",
            vec![of(true, &log) / (2 * views * batch) as f64],
        ),
        ("the pairs with i = j are in it: leave them out", vec![of(true, &log) / terms]),
        ("this is the sum: divide by the number of terms, (2 V - 2) B", vec![of(false, &log)]),
        (
            "this is divided by B, not by the number of pairs, too",
            vec![of(false, &log) / batch as f64],
        ),
        (
            "this is the logarithm of the mean; the mean of the logarithms was asked for",
            vec![log(of(false, &|d| d) / terms)],
        ),
        ("the sign is wrong: -ln of a probability is positive", vec![-of(false, &log) / terms]),
    ];
    let found = consistency(views, batch, size, p, q);
    close(
        "C of 3 views of 2 images, 5 prototypes, against PyTorch",
        &[found],
        &[LOSS_C],
        1e-10,
        &mistakes,
    )?;
    // Both certain, of different prototypes and of the same.
    let (one, other) = ([1.0, 0.0], [0.0, 1.0]);
    let found = consistency(2, 1, 2, &[one, one].concat(), &[other, other].concat());
    let what = "C of views that are certain of different prototypes";
    close(
        what,
        &[found],
        &[-EPS.ln()],
        1e-10,
        &[("without the clamp, -ln 0 is infinite", vec![f64::INFINITY])],
    )?;
    let found = consistency(2, 1, 2, &[one, one].concat(), &[one, one].concat());
    close(
        "C of views that are certain of the same prototype",
        &[found],
        &[-(1.0 - EPS).ln()],
        1e-10,
        &[],
    )
}

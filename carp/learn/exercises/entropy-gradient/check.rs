use super::exercise::{EPS, entropy_gradient};
use crate::compare::close;
use crate::golden::{LOSS_DH, LOSS_P, LOSS_Q};

pub fn check() -> Result<(), String> {
    let size = 5;
    let rows = [&LOSS_P[..], &LOSS_Q].concat();
    let count = (rows.len() / size) as f64;
    let mean = |c: usize| rows.iter().skip(c).step_by(size).sum::<f64>() / count;
    let of = |f: &dyn Fn(f64, f64, f64) -> f64| -> Vec<f64> {
        let g: Vec<f64> = (0..size).map(|c| mean(c).ln() + 1.0).collect();
        let row = |p: &[f64]| {
            let mean_g: f64 = p.iter().zip(&g).map(|(p, g)| p * g).sum();
            p.iter().zip(&g).map(|(&p, &g)| f(p, g, mean_g)).collect::<Vec<f64>>()
        };
        rows[..LOSS_P.len()].chunks(size).flat_map(row).collect()
    };
    let mistakes = [
        (
            "this is the gradient with respect to p: send it through the softmax",
            of(&|_, g, _| g / count),
        ),
        ("<p, g> is missing from the softmax's rule", of(&|p, g, _| p * g / count)),
        ("the 1/R of the mean is missing", of(&|p, g, mean| p * (g - mean))),
    ];
    let found = entropy_gradient(size, &rows);
    if found.len() != rows.len() {
        return Err(format!("dH/ds: got {} numbers, expected {}", found.len(), rows.len()));
    }
    let what = "dH/ds of the student's 6 rows, of 10 in all, against PyTorch";
    close(what, &found[..LOSS_P.len()], &LOSS_DH, 1e-10, &mistakes)?;
    // One row, whose last probability is below eps.
    let p: [f64; 3] = [0.5, 0.5 - 1e-9, 1e-9];
    let with = |bracket: f64| -> Vec<f64> {
        let g = [p[0].ln() + 1.0, p[1].ln() + 1.0, EPS.ln() + bracket];
        let mean_g: f64 = p.iter().zip(g).map(|(p, g)| p * g).sum();
        p.iter().zip(g).map(|(p, g)| 1e9 * p * (g - mean_g)).collect()
    };
    let found: Vec<f64> = entropy_gradient(3, &p).iter().map(|ds| 1e9 * ds).collect();
    let mistakes =
        [("m[2] is below eps, where the logarithm is a constant: no 1 in g there", with(1.0))];
    close(
        "dH/ds of one row [0.5, 0.5 - 1e-9, 1e-9], times 1e9",
        &found,
        &with(0.0),
        1e-5,
        &mistakes,
    )
}

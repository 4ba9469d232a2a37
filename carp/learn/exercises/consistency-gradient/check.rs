use super::exercise::consistency_gradient;
use crate::compare::close;
use crate::golden::{LOSS_DC, LOSS_P, LOSS_Q};

pub fn check() -> Result<(), String> {
    let (views, batch, size) = (3, 2, 5);
    let (p, q) = (&LOSS_P, &LOSS_Q);
    let terms = ((2 * views - 2) * batch) as f64;
    let of = |f: &dyn Fn(f64, f64, f64) -> f64, last: bool| -> Vec<f64> {
        let mut all = vec![0.0; p.len()];
        for (row, (p, ds)) in p.chunks(size).zip(all.chunks_mut(size)).enumerate() {
            for j in (0..2).filter(|&j| j != row / batch) {
                let q = &q[(j * batch + row % batch) * size..][..size];
                let d: f64 = p.iter().zip(q).map(|(p, q)| p * q).sum();
                for c in 0..size {
                    ds[c] = f(p[c], q[c], d) / terms + if last { 0.0 } else { ds[c] };
                }
            }
        }
        all
    };
    let right = |p: f64, q: f64, d: f64| p * (1.0 - q / d);
    let mistakes = [
        (
            "this is the gradient with respect to p: send it through the softmax",
            of(&|_, q, d| -q / d, false),
        ),
        ("<p, h> is missing from the softmax's rule", of(&|p, q, d| -p * q / d, false)),
        ("a local view has two partners, and their parts add up (+=)", of(&right, true)),
        ("the 1/((2V-2) B) of the mean is missing", of(&|p, q, d| terms * right(p, q, d), false)),
    ];
    let found = consistency_gradient(views, batch, size, p, q);
    let what = "dC/ds of 3 views of 2 images, 5 prototypes, against PyTorch";
    close(what, &found, &LOSS_DC, 1e-10, &mistakes)?;
    let (one, other) = ([1.0, 0.0, 0.0], [0.0, 0.5, 0.5]);
    let found = consistency_gradient(2, 1, 3, &[one, one].concat(), &[other, other].concat());
    close(
        "dC/ds where d = 0, below eps: the clamp is constant there",
        &found,
        &[0.0; 6],
        1e-12,
        &[],
    )
}

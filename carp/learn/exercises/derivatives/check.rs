use super::exercise::{Op, derivatives, value};
use crate::compare::{central_differences, close, show_all};

pub fn check() -> Result<(), String> {
    let dy = 3.0;
    let cases = [
        (Op::Add, &[0.5, 2.0][..]),
        (Op::Mul, &[0.5, 2.0]),
        (Op::Exp, &[0.7]),
        (Op::Ln, &[0.4]),
        (Op::Relu, &[1.5]),
        (Op::Relu, &[-1.5]),
    ];
    for (op, x) in cases {
        let y = value(op, x);
        let slopes = central_differences(|x| value(op, x), x);
        let expected: Vec<f64> = slopes.iter().map(|slope| dy * slope).collect();
        let swapped = expected.iter().rev().copied().collect();
        let mistakes = [
            ("a factor dy is missing: it is the loss's derivative that is asked for", slopes),
            ("each input's derivative has the other input as its factor", swapped),
        ];
        let what = format!("{op:?} of {} with dy = 3, against central differences", show_all(x));
        close(&what, &derivatives(op, x, y, dy), &expected, 1e-6, &mistakes)?;
    }
    Ok(())
}

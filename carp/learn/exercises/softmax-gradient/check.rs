use super::exercise::softmax_gradient;
use crate::compare::close;
use crate::golden::{SOFTMAX_DX, SOFTMAX_DY, SOFTMAX_Y};

pub fn check() -> Result<(), String> {
    let rows = SOFTMAX_Y.chunks(4).zip(SOFTMAX_DY.chunks(4)).zip(SOFTMAX_DX.chunks(4));
    for (number, ((y, dy), dx)) in rows.enumerate() {
        let each =
            |f: &dyn Fn(f64, f64) -> f64| y.iter().zip(dy).map(|(&y, &dy)| f(y, dy)).collect();
        let mean = dy.iter().sum::<f64>() / 4.0;
        let mistakes = [
            ("the inner product is missing: each y moves all the others", each(&|y, dy| y * dy)),
            (
                "this is the matrix's diagonal alone: each y also moves all the others",
                each(&|y, dy| y * (1.0 - y) * dy),
            ),
            ("the mean of dy is weighted, by y", each(&|y, dy| y * (dy - mean))),
        ];
        let what = format!("dx of row {number}, against PyTorch");
        close(&what, &softmax_gradient(y, dy), dx, 1e-12, &mistakes)?;
    }
    Ok(())
}

use super::exercise::softmax;
use crate::compare::{close, show_all};
use crate::golden::{SOFTMAX_X, SOFTMAX_Y};

pub fn check() -> Result<(), String> {
    let third = 1.0 / 3.0;
    close("softmax of [0, 0, 0]", &softmax(&[0.0; 3]), &[third; 3], 1e-12, &[])?;
    for (x, y) in SOFTMAX_X.chunks(4).zip(SOFTMAX_Y.chunks(4)) {
        let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let raw: Vec<f64> = x.iter().map(|x| x.exp()).collect();
        let shifted: Vec<f64> = x.iter().map(|x| (x - max).exp()).collect();
        let linear = x.iter().map(|v| v / x.iter().sum::<f64>()).collect();
        let mistakes = [
            ("these are the exponentials: divide them by their sum", raw),
            ("these are the exponentials of x - max: divide them by their sum", shifted),
            ("these are the x over their sum: take exp first", linear),
        ];
        close(
            &format!("softmax of {}, against PyTorch", show_all(x)),
            &softmax(x),
            y,
            1e-12,
            &mistakes,
        )?;
    }
    for x in [[1000.0, 1001.0], [-1001.0, -1000.0]] {
        let y = 1.0 / (1.0 + 1f64.exp());
        let why = "exp(1000) is infinite and exp(-1000) is 0: subtract the row's maximum first";
        let mistakes = [(why, vec![f64::NAN; 2])];
        let what = format!("softmax of {}", show_all(&x));
        close(&what, &softmax(&x), &[y, 1.0 - y], 1e-12, &mistakes)?;
    }
    Ok(())
}

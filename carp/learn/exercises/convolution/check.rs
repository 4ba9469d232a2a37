use super::exercise::{Sizes, convolution};
use crate::compare::close;
use crate::golden::{CONVOLUTION_PADDED, CONVOLUTION_STRIDED, CONVOLUTION_W, CONVOLUTION_X};

const SIZES: Sizes = Sizes { h: 5, w: 4, c: 2, o: 3, r: 3, s: 3, stride: 1, padding: 1 };

pub fn check() -> Result<(), String> {
    let one = Sizes { h: 2, w: 2, c: 1, o: 1, r: 2, s: 2, stride: 1, padding: 0 };
    let found = convolution(one, &[1.0, 2.0, 3.0, 4.0], &[1.0, 10.0, 100.0, 1000.0]);
    let turned =
        ("the window was flipped: its indices and the picture's grow together", vec![1234.0]);
    close("a window [1 10; 100 1000] on [1 2; 3 4]", &found, &[4321.0], 1e-12, &[turned])?;
    let found = convolution(SIZES, &CONVOLUTION_X, &CONVOLUTION_W);
    let name = "a picture [5,4,2], windows [3,3,3,2], padding 1, against PyTorch";
    close(name, &found, &CONVOLUTION_PADDED, 1e-12, &[])?;
    let sizes = Sizes { stride: 2, ..SIZES };
    let found = convolution(sizes, &CONVOLUTION_X, &CONVOLUTION_W);
    close(&format!("{name}, stride 2"), &found, &CONVOLUTION_STRIDED, 1e-12, &[])
}

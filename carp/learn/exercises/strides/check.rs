use super::exercise::{place, strides};
use crate::compare::close;

pub fn check() -> Result<(), String> {
    for shape in [&[5][..], &[2, 3], &[2, 4, 4, 3], &[7, 1, 2]] {
        let products = |of: fn(&[usize], usize) -> &[usize]| -> Vec<f64> {
            let product = |axis| of(shape, axis).iter().product::<usize>() as f64;
            (0..shape.len()).map(product).collect()
        };
        let expected = products(|shape, axis| &shape[axis + 1..]);
        let before = products(|shape, axis| &shape[..axis]);
        let with_own = products(|shape, axis| &shape[axis..]);
        let mistakes = [
            ("the last axis is the contiguous one: go from the end to the front", before),
            ("a stride counts what lies behind its axis, without the axis itself", with_own),
        ];
        let found: Vec<f64> = strides(shape).iter().map(|&stride| stride as f64).collect();
        close(&format!("strides of the shape {shape:?}"), &found, &expected, 0.0, &mistakes)?;
    }
    let found = place(&strides(&[2, 4, 4, 3]), &[1, 1, 0, 2]) as f64;
    close("place of [1, 1, 0, 2] in the shape [2, 4, 4, 3]", &[found], &[62.0], 0.0, &[])
}

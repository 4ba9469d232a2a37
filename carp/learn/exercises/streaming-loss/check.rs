use super::exercise::{Sizes, streaming_loss};
use crate::compare::close;
use crate::golden::{
    STREAM_DW, STREAM_DZ, STREAM_LOSS, STREAM_ORDER, STREAM_W, STREAM_WT, STREAM_Z, STREAM_ZT,
};

pub fn check() -> Result<(), String> {
    let sizes = Sizes { views: 3, batch: 2, dim: 4, size: 3 };
    let order = STREAM_ORDER.map(|c| c as usize);
    let (loss, dz, dw) =
        streaming_loss(sizes, [&STREAM_Z, &STREAM_ZT], [&STREAM_W, &STREAM_WT], &order);
    let (_, last, _) =
        streaming_loss(sizes, [&STREAM_Z, &STREAM_ZT], [&STREAM_W, &STREAM_WT], &order[3..6]);
    let what = |name| {
        format!("{name} of 3 views of 2 images, 7 prototypes in 2 blocks of 3, against PyTorch")
    };
    close(
        &what("the loss"),
        &[loss],
        &[STREAM_LOSS],
        1e-10,
        &[("this is the sum over blocks: take their mean", vec![2.0 * STREAM_LOSS])],
    )?;
    let replaced = last.iter().map(|x| x / 2.0).collect();
    close(
        &what("dz"),
        &dz,
        &STREAM_DZ,
        1e-10,
        &[
            ("this is the last block's alone: every block adds to dz", replaced),
            ("this is the last block's alone: every block adds to dz", last),
        ],
    )?;
    let in_order = |dw: &[f64]| -> Vec<f64> {
        let mut moved = vec![0.0; dw.len()];
        for (at, &c) in order[..6].iter().enumerate() {
            moved[at % 3 * 4..][..4].copy_from_slice(&dw[c * 4..][..4]);
        }
        moved
    };
    close(
        &what("dw"),
        &dw,
        &STREAM_DW,
        1e-10,
        &[("row i of a block's part belongs to prototype block[i]", in_order(&STREAM_DW))],
    )
}

//! Convolution by Winograd's algorithm: transforms, a product for each place, and transforms back, for
//! as many images at a time as fit in the workspace.

use tensor::Slot;
use tensor::geometry::Conv2d;
use tensor::order::part_images;

use super::gemm::Tile;
use crate::Gpu;

const MODULE: &str = "winograd";
/// Side of a tile's output.
const SIDE: usize = 2;
/// Numbers of a tile that are multiplied.
const PLACES: usize = (SIDE + 2) * (SIDE + 2);
/// Elements of the workspace for the tiles of some images, unless one needs more: 64 MiB.
const BUDGET: usize = 16 * 1024 * 1024;

/// Tiles of an image of the output: down and across.
fn tiles(conv: Conv2d) -> [usize; 2] {
    [conv.out_h(), conv.out_w()].map(|side| side.div_ceil(SIDE))
}

/// Tiles of an image.
fn tiles_per_image(conv: Conv2d) -> usize {
    tiles(conv).iter().product()
}

/// Elements of an image's tiles, transformed, with all channels of both sides.
fn image_elements(conv: Conv2d) -> usize {
    PLACES * tiles_per_image(conv) * (conv.c + conv.o)
}

/// Images whose tiles are in memory at a time.
fn images_at_once(conv: Conv2d) -> usize {
    (BUDGET / image_elements(conv).max(1)).clamp(1, conv.n)
}

/// Elements of a filter for each pair of channels.
fn filter_elements(conv: Conv2d) -> usize {
    PLACES * conv.o * conv.c
}

/// Elements of scratch memory for [`convolve`].
pub fn workspace(conv: Conv2d) -> usize {
    filter_elements(conv) + images_at_once(conv) * image_elements(conv)
}

/// y of x `[N,H,W,C]` and weight `[O,3,3,C]`; or with `turned`, of the weight rotated by 180 degrees
/// with its channels swapped, `[C,3,3,O]`.
pub fn convolve(
    gpu: &mut Gpu,
    conv: Conv2d,
    [x, weight]: [Slot; 2],
    turned: bool,
    y: Slot,
    workspace: Slot,
) {
    let Conv2d { n, h, w, c, o, padding, .. } = conv;
    let [down, across] = tiles(conv);
    let [p, q] = [conv.out_h(), conv.out_w()];
    let u = workspace.part(0, filter_elements(conv));
    let call = gpu.kernel(MODULE, "winograd2_filters").counts(&[o, c]).words(&[turned.into()]);
    call.slots(&[weight, u]).each_element(o * c);
    let at_once = images_at_once(conv);
    for first in (0..n).step_by(at_once) {
        let images = at_once.min(n - first);
        let count = images * tiles_per_image(conv);
        let x = x.part(first * h * w * c, images * h * w * c);
        let y = y.part(first * p * q * o, images * p * q * o);
        let v = workspace.part(u.len, PLACES * count * c);
        let m = workspace.part(u.len + v.len, PLACES * count * o);
        let call = gpu.kernel(MODULE, "winograd2_inputs").counts(&[h, w, down, across, count]);
        call.counts(&[c, padding]).slots(&[x, v]).each_element(count * c);
        let call = gpu.kernel(MODULE, "winograd_products").counts(&[count, o, c]);
        let grid = Tile::Square.grid(count, o, PLACES);
        call.slots(&[v, u, m]).launch(grid, [Tile::Square.threads(), 1, 1]);
        let call = gpu.kernel(MODULE, "winograd2_outputs").counts(&[p, q, down, across, count]);
        call.counts(&[o]).slots(&[m, y]).each_element(count * o);
    }
}

/// Elements of scratch memory for [`grad_weight`].
pub fn grad_weight_workspace(conv: Conv2d) -> usize {
    let parts = conv.n.div_ceil(part_images(conv, SIDE));
    parts * filter_elements(conv) + images_at_once(conv) * image_elements(conv)
}

/// dweight of x and dy.
pub fn grad_weight(
    gpu: &mut Gpu,
    conv: Conv2d,
    [x, dy]: [Slot; 2],
    dweight: Slot,
    workspace: Slot,
) {
    let Conv2d { n, h, w, c, o, padding, .. } = conv;
    let [down, across] = tiles(conv);
    let [p, q] = [conv.out_h(), conv.out_w()];
    let of_part = part_images(conv, SIDE);
    let parts = n.div_ceil(of_part);
    let sums = workspace.part(0, parts * filter_elements(conv));
    // Several whole parts at a time, or some images of one.
    let at_once = images_at_once(conv);
    let group = (at_once / of_part * of_part).max(of_part);
    for first_of_group in (0..n).step_by(group) {
        let end = n.min(first_of_group + group);
        let first_part = first_of_group / of_part;
        for first in (first_of_group..end).step_by(at_once.min(group)) {
            let images = at_once.min(end - first);
            let count = images * tiles_per_image(conv);
            let x = x.part(first * h * w * c, images * h * w * c);
            let dy = dy.part(first * p * q * o, images * p * q * o);
            let v = workspace.part(sums.len, PLACES * count * c);
            let e = workspace.part(sums.len + v.len, PLACES * count * o);
            let call = gpu.kernel(MODULE, "winograd2_inputs").counts(&[h, w, down, across, count]);
            call.counts(&[c, padding]).slots(&[x, v]).each_element(count * c);
            let call = gpu.kernel(MODULE, "winograd2_outputs_backward");
            let call = call.counts(&[p, q, down, across, count, o]);
            call.slots(&[dy, e]).each_element(count * o);

            let parts = images.div_ceil(of_part);
            let sums = sums.part(first_part * filter_elements(conv), parts * filter_elements(conv));
            let call = gpu.kernel(MODULE, "winograd_add_products");
            let call = call.counts(&[count, of_part * tiles_per_image(conv), PLACES, o, c]);
            let call = call.words(&[(first > first_of_group).into()]).slots(&[e, v, sums]);
            let grid = Tile::Square.grid(o, c, PLACES * parts);
            call.launch(grid, [Tile::Square.threads(), 1, 1]);
        }
    }
    let call = gpu.kernel(MODULE, "winograd2_filters_backward").counts(&[parts, o, c]);
    call.slots(&[sums, dweight]).each_element(o * c);
}

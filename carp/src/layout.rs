//! Conversion to and from PyTorch's layouts: this project's images are `[N,H,W,C]` and convolution
//! weights `[O,R,S,I]`; PyTorch's are `[N,C,H,W]` and `[O,I,R,S]`. Tensors of other ranks are the
//! same.

/// The PyTorch shape of one of this project's tensors.
pub fn pytorch_shape(shape: &[usize]) -> Vec<usize> {
    match *shape {
        [n, h, w, c] => vec![n, c, h, w],
        _ => shape.to_vec(),
    }
}

/// From `[N,H,W,C]` to `[N,C,H,W]`, with the new shape.
pub fn to_pytorch(shape: &[usize], data: Vec<f32>) -> (Vec<usize>, Vec<f32>) {
    let moved = match *shape {
        [n, h, w, c] => swap_inner(n, h * w, c, &data),
        _ => data,
    };
    (pytorch_shape(shape), moved)
}

/// From `[N,C,H,W]` to `[N,H,W,C]`.
pub fn from_pytorch(shape: &[usize], data: &[f32]) -> Vec<f32> {
    match *shape {
        [n, c, h, w] => swap_inner(n, c, h * w, data),
        _ => data.to_vec(),
    }
}

/// This project's shape of a PyTorch tensor.
pub fn own_shape(shape: &[usize]) -> Vec<usize> {
    match *shape {
        [n, c, h, w] => vec![n, h, w, c],
        _ => shape.to_vec(),
    }
}

/// The shape of some of a tensor's rows, `elements` in all.
pub fn with_rows(shape: &[usize], elements: usize) -> Vec<usize> {
    match shape {
        [] => Vec::new(),
        [_, row @ ..] => {
            let len = row.iter().product::<usize>().max(1);
            std::iter::once(elements / len).chain(row.iter().copied()).collect()
        }
    }
}

/// `[n,a,b]` to `[n,b,a]`.
fn swap_inner(n: usize, a: usize, b: usize, data: &[f32]) -> Vec<f32> {
    let mut swapped = Vec::with_capacity(data.len());
    for block in data.chunks_exact((a * b).max(1)).take(n) {
        for j in 0..b {
            swapped.extend((0..a).map(|i| block[i * b + j]));
        }
    }
    swapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let data: Vec<f32> = (0..2 * 3 * 4 * 5).map(|i| i as f32).collect();
        let (shape, moved) = to_pytorch(&[2, 3, 4, 5], data.clone());
        assert_eq!(shape, [2, 5, 3, 4]);
        // Element [1, h=2, w=3, c=4] is the last of both layouts; [0,0,1,0] moves.
        assert_eq!((moved[119], moved[1]), (119.0, 5.0));
        assert_eq!(from_pytorch(&shape, &moved), data);
        assert_eq!(own_shape(&shape), [2, 3, 4, 5]);
        assert_eq!(to_pytorch(&[120], data.clone()), (vec![120], data.clone()));
        // Row by row it is the same.
        let rows = data.chunks(60).flat_map(|row| {
            assert_eq!(with_rows(&[2, 3, 4, 5], row.len()), [1, 3, 4, 5]);
            to_pytorch(&[1, 3, 4, 5], row.to_vec()).1
        });
        assert_eq!(rows.collect::<Vec<_>>(), moved);
    }
}

//! The sizes that a kernel needs besides its data.

use serde::{Deserialize, Serialize};

use crate::{Error, Result, Shape};

/// How a convolution is computed; the results differ only in rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConvAlgorithm {
    /// A sum of products per output.
    Direct,
    /// Winograd's F(2x2,3x3): for 3x3 of stride 1, with 2.25 times fewer products.
    Winograd2,
    /// Winograd's F(4x4,3x3): likewise, with 4 times fewer.
    Winograd4,
}

impl ConvAlgorithm {
    /// All of them.
    pub const ALL: [ConvAlgorithm; 3] =
        [ConvAlgorithm::Direct, ConvAlgorithm::Winograd2, ConvAlgorithm::Winograd4];

    /// Name in settings and tables.
    pub fn name(self) -> &'static str {
        match self {
            ConvAlgorithm::Direct => "direct",
            ConvAlgorithm::Winograd2 => "winograd2",
            ConvAlgorithm::Winograd4 => "winograd4",
        }
    }

    /// Names of the kernel, without and with batch norm's sums, and of its gradients: by input without and
    /// with the sums of batch norm's gradient, and by weight.
    pub fn kernels(self) -> [&'static str; 5] {
        match self {
            ConvAlgorithm::Direct => [
                "conv2d",
                "conv2d_sums",
                "conv2d_grad_input",
                "conv2d_grad_input_sums",
                "conv2d_grad_weight",
            ],
            ConvAlgorithm::Winograd2 => [
                "winograd2",
                "winograd2_sums",
                "winograd2_grad_input",
                "winograd2_grad_input_sums",
                "winograd2_grad_weight",
            ],
            ConvAlgorithm::Winograd4 => [
                "winograd4",
                "winograd4_sums",
                "winograd4_grad_input",
                "winograd4_grad_input_sums",
                "winograd4_grad_weight",
            ],
        }
    }
}

/// A 2-d convolution over channels-last images, without bias.
///
/// `y[n,p,q,o] = sum over r,s,c of x[n, p*stride+r-padding, q*stride+s-padding, c] * w[o,r,s,c]`
///
/// x is `[N,H,W,C]`, w is `[O,R,S,C]` (R x S the kernel), y is `[N,P,Q,O]`; pixels outside are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conv2d {
    /// Images.
    pub n: usize,
    /// Input height.
    pub h: usize,
    /// Input width.
    pub w: usize,
    /// Input channels.
    pub c: usize,
    /// Output channels.
    pub o: usize,
    /// Kernel height.
    pub r: usize,
    /// Kernel width.
    pub s: usize,
    /// Step between windows, in both directions.
    pub stride: usize,
    /// Zeros around the image, on all four sides.
    pub padding: usize,
    /// How it is computed.
    pub algorithm: ConvAlgorithm,
}

impl Conv2d {
    /// The convolution of images `x` `[N,H,W,C]` with `weight` `[O,R,S,C]`.
    ///
    /// # Errors
    /// Ranks or channels that differ, a stride or kernel of 0, a kernel larger than the padded image,
    /// a padding of far more zeros than image and kernel have numbers, a stride beyond all images.
    pub fn new(x: Shape, weight: Shape, stride: usize, padding: usize) -> Result<Conv2d> {
        let (&[n, h, w, c], &[o, r, s, weight_c]) = (&x[..], &weight[..]) else {
            return Err(Error::shape(
                "conv2d",
                format!("input {x} and weight {weight} are not [N,H,W,C] and [O,R,S,C]"),
            ));
        };
        if c != weight_c {
            return Err(Error::shape(
                "conv2d",
                format!("input {x} has {c} channels, weight {weight} takes {weight_c}"),
            ));
        }
        let pixels = h.saturating_mul(w).saturating_add(r.saturating_mul(s));
        window("conv2d", x, (r, s), stride, (padding, pixels))?;
        let algorithm = ConvAlgorithm::Direct;
        let conv = Conv2d { n, h, w, c, o, r, s, stride, padding, algorithm };
        Ok(conv.by(conv.preferred()))
    }

    /// The same by `algorithm`, or direct where that cannot compute it.
    pub fn by(self, algorithm: ConvAlgorithm) -> Conv2d {
        let is_3x3 = self.r == 3 && self.s == 3 && self.stride == 1;
        let algorithm = if is_3x3 { algorithm } else { ConvAlgorithm::Direct };
        Conv2d { algorithm, ..self }
    }

    /// The algorithm for this shape: direct with too few channels for a vector, else the one with the
    /// fewest products, counting whole the tiles that extend past the edge, and the filters' transforms
    /// as so many tiles; of two equals the more accurate.
    pub fn preferred(self) -> ConvAlgorithm {
        const FILTERS: usize = 80;
        let tiles = |side| self.n * self.tiles(side).iter().product::<usize>();
        let products = |algorithm| match algorithm {
            ConvAlgorithm::Direct => 9 * tiles(1),
            ConvAlgorithm::Winograd2 => 16 * (tiles(2) + FILTERS),
            ConvAlgorithm::Winograd4 => 36 * (tiles(4) + FILTERS),
        };
        if self.c.min(self.o) < 16 {
            return ConvAlgorithm::Direct;
        }
        ConvAlgorithm::ALL.into_iter().min_by_key(|&algorithm| products(algorithm)).expect("three")
    }

    /// If it is 1x1 of stride 1, the matrix products that it and its gradients by input and weight are,
    /// of all pixels with the weights.
    pub fn as_gemms(self) -> Option<[Gemm; 3]> {
        let (rows, c, o) = (self.rows(), self.c, self.o);
        let is_plain = self.r == 1 && self.s == 1 && self.stride == 1 && self.padding == 0;
        is_plain.then_some([
            Gemm { m: rows, n: o, k: c, trans_a: false, trans_b: true },
            Gemm { m: rows, n: c, k: o, trans_a: false, trans_b: false },
            Gemm { m: o, n: c, k: rows, trans_a: true, trans_b: false },
        ])
    }

    /// The convolution from y's gradient to x's, with the weights rotated by 180 degrees and their
    /// channels swapped, if there is one.
    pub fn turned(self) -> Option<Conv2d> {
        let is_convolution = self.stride == 1 && self.r == self.s && self.padding < self.r;
        is_convolution.then(|| Conv2d {
            h: self.out_h(),
            w: self.out_w(),
            c: self.o,
            o: self.c,
            padding: self.r - 1 - self.padding,
            ..self
        })
    }

    /// Output height P.
    pub fn out_h(&self) -> usize {
        (self.h + 2 * self.padding - self.r) / self.stride + 1
    }

    /// Output width Q.
    pub fn out_w(&self) -> usize {
        (self.w + 2 * self.padding - self.s) / self.stride + 1
    }

    /// Tiles of `side` x `side` outputs in an image, down and across.
    pub fn tiles(&self, side: usize) -> [usize; 2] {
        [self.out_h(), self.out_w()].map(|size| size.div_ceil(side))
    }

    /// Shape of the output, `[N,P,Q,O]`.
    pub fn y_shape(&self) -> Shape {
        Shape::from([self.n, self.out_h(), self.out_w(), self.o])
    }

    /// Rows of the GEMM that the convolution is: N*P*Q output pixels.
    pub fn rows(&self) -> usize {
        self.n * self.out_h() * self.out_w()
    }

    /// N*H*W input pixels.
    pub fn input_rows(&self) -> usize {
        self.n * self.h * self.w
    }

    /// Inner size of that GEMM: R*S*C.
    pub fn patch(&self) -> usize {
        self.r * self.s * self.c
    }

    /// Floating-point operations of the forward pass and of each gradient: two per product.
    pub fn flops(&self) -> u64 {
        2 * self.rows() as u64 * self.patch() as u64 * self.o as u64
    }
}

/// A batch norm over x `[rows, channels]`, with the residual add and the ReLU that follow.
///
/// `y = relu((x - mean) inv_std gamma + beta + residual)`, `inv_std = 1/sqrt(var + eps)`; mean and
/// variance are the batch's in training, else the running ones.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchNorm {
    /// N*H*W.
    pub rows: usize,
    /// C.
    pub channels: usize,
    /// Added to the variance.
    pub eps: f32,
    /// Share of the new batch in the running statistics (PyTorch's `momentum`).
    pub momentum: f32,
    /// Use the batch's statistics and update the running ones.
    pub training: bool,
    /// Add a tensor of x's shape to the result.
    pub residual: bool,
    /// Apply ReLU at the end.
    pub relu: bool,
}

/// A pooling window over channels-last images `[N,H,W,C]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool2d {
    /// Images.
    pub n: usize,
    /// Input height.
    pub h: usize,
    /// Input width.
    pub w: usize,
    /// Channels.
    pub c: usize,
    /// Side of the square window.
    pub kernel: usize,
    /// Step between windows.
    pub stride: usize,
    /// Padding on all four sides, at most half the kernel. Max pooling never selects it; average
    /// pooling counts it as zeros, like PyTorch's default.
    pub padding: usize,
}

impl Pool2d {
    /// The windows of `op` over images `x`.
    ///
    /// # Errors
    /// A rank other than 4, a stride or kernel of 0, a padding above half the kernel or of far more
    /// zeros than the image has numbers, a kernel larger than the padded image, a stride beyond all
    /// images.
    pub fn new(
        op: &'static str,
        x: Shape,
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> Result<Pool2d> {
        let &[n, h, w, c] = &x[..] else {
            return Err(Error::shape(op, format!("input {x} is not [N,H,W,C]")));
        };
        window(op, x, (kernel, kernel), stride, (padding, h.saturating_mul(w)))?;
        if padding * 2 > kernel {
            return Err(Error::setting(
                op,
                format!("padding {padding} is above half of kernel {kernel}"),
            ));
        }
        Ok(Pool2d { n, h, w, c, kernel, stride, padding })
    }

    /// Output height P.
    pub fn out_h(&self) -> usize {
        (self.h + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Output width Q.
    pub fn out_w(&self) -> usize {
        (self.w + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Shape of the output, `[N,P,Q,C]`.
    pub fn y_shape(&self) -> Shape {
        Shape::from([self.n, self.out_h(), self.out_w(), self.c])
    }
}

/// How many times as many pixels as given a padded image has at most, unless it is that small.
const MOST_PADDED: usize = 16;
const SMALL: usize = 256;
/// The largest stride: coordinates are 32 bits on a GPU.
const MOST_STRIDE: usize = i32::MAX as usize;

/// Checks windows `[r,s]` over images of which the caller has memory for so many pixels, kernel included:
/// sizes may come from a file, and padding multiplies what they take.
fn window(
    op: &'static str,
    x: Shape,
    (r, s): (usize, usize),
    stride: usize,
    (padding, pixels): (usize, usize),
) -> Result<()> {
    if stride == 0 || r == 0 || s == 0 {
        return Err(Error::setting(op, format!("kernel {r}x{s}, stride {stride}: none may be 0")));
    }
    if stride > MOST_STRIDE {
        return Err(Error::setting(op, format!("stride {stride} is above {MOST_STRIDE}")));
    }
    let [h, w] = [x[1], x[2]].map(|side| side.saturating_add(padding.saturating_mul(2)));
    if padding > 0 && h.saturating_mul(w) > pixels.saturating_mul(MOST_PADDED).max(SMALL) {
        let detail = format!("padding {padding} is too large for input {x} and kernel {r}x{s}");
        return Err(Error::setting(op, detail));
    }
    if h < r || w < s {
        return Err(Error::shape(
            op,
            format!("kernel {r}x{s} is larger than input {x} with padding {padding}"),
        ));
    }
    Ok(())
}

/// A matrix product `C[m,n] = op(A) op(B)`, row-major: A is `[m,k]`, or `[k,m]` if `trans_a`; B is
/// `[k,n]`, or `[n,k]` if `trans_b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gemm {
    /// Rows of C.
    pub m: usize,
    /// Columns of C.
    pub n: usize,
    /// Inner size.
    pub k: usize,
    /// A is stored transposed.
    pub trans_a: bool,
    /// B is stored transposed.
    pub trans_b: bool,
}

impl Gemm {
    /// Two operations per product.
    pub fn flops(&self) -> u64 {
        2 * self.m as u64 * self.n as u64 * self.k as u64
    }
}

/// The sizes of CARP's loss over logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionLoss {
    /// Student views V, at least 2. The teacher also has views 0 and 1.
    pub views: usize,
    /// Images B.
    pub batch: usize,
    /// Prototypes K.
    pub prototypes: usize,
    /// Prototypes in a block, N_B.
    pub partition_size: usize,
}

impl PartitionLoss {
    /// Validated sizes.
    ///
    /// # Errors
    /// Fewer than two views, no images, or a partition size of 0 or above K.
    pub fn new(
        views: usize,
        batch: usize,
        prototypes: usize,
        partition_size: usize,
    ) -> Result<PartitionLoss> {
        if views < 2 || batch == 0 {
            return Err(Error::setting(
                "carp_loss",
                format!("{views} views of {batch} images; needs at least 2 views and 1 image"),
            ));
        }
        if partition_size == 0 || partition_size > prototypes {
            return Err(Error::setting(
                "carp_loss",
                format!(
                    "partition size {partition_size} with {prototypes} prototypes; \
                     choose 1 to {prototypes}"
                ),
            ));
        }
        Ok(PartitionLoss { views, batch, prototypes, partition_size })
    }

    /// Blocks P = floor(K / N_B); surplus prototypes sit out.
    pub fn blocks(&self) -> usize {
        self.prototypes / self.partition_size
    }

    /// Pairs of views |S| = 2V - 2.
    pub fn pairs(&self) -> usize {
        2 * self.views - 2
    }

    /// Terms of C: |S| P B, with P blocks.
    pub fn terms(&self) -> usize {
        self.pairs() * self.blocks() * self.batch
    }

    /// Rows of the entropy term R = (V + 2) B.
    pub fn rows(&self) -> usize {
        (self.views + 2) * self.batch
    }

    /// Operations from logits to loss and gradient: softmax of all rows, then per student row its
    /// pairs (dot product and gradient) and H.
    pub fn flops(&self) -> u64 {
        let used = (self.blocks() * self.partition_size) as u64;
        used * (self.rows() * 5 + self.pairs() * self.batch * 4 + self.views * self.batch * 6)
            as u64
    }
}

/// The sizes of CARP's loss from embeddings and prototypes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamingLoss {
    /// Sizes of the loss over logits.
    pub loss: PartitionLoss,
    /// Length D of an embedding and of a prototype.
    pub dim: usize,
    /// Views processed together within a block, 1 to V: fewer stay in a smaller cache, more make
    /// larger matrix products.
    pub views_at_once: usize,
}

impl StreamingLoss {
    /// Operations of the matrix products: logits of student and teacher, and two gradients.
    pub fn gemm_flops(&self) -> u64 {
        let PartitionLoss { views, batch, partition_size, .. } = self.loss;
        let used = (self.loss.blocks() * partition_size) as u64;
        2 * used * (self.dim * batch * (3 * views + 2)) as u64
    }
}

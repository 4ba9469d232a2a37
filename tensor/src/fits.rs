//! Whether a kernel and its operands belong together: for kernels from files. Graphs make theirs by
//! shape rules and need no check.

use std::collections::HashSet;
use std::ops::Range;

use crate::geometry::{BatchNorm, Conv2d, Gemm, PartitionLoss, Pool2d, StreamingLoss};
use crate::kernel::MOST_SCALARS;
use crate::order::group_sums;
use crate::{Kernel, Shape};

/// Elements of a tensor of these sizes; as many as there are at most, if a usize cannot count them.
fn product(sizes: &[usize]) -> usize {
    sizes.iter().fold(1, |all, &size| all.saturating_mul(size))
}

/// Rows of this length fill it.
fn has_rows(elements: usize, columns: usize) -> bool {
    columns > 0 && elements.is_multiple_of(columns)
}

/// Elements of a batch norm's sums.
fn sums(rows: usize, channels: usize) -> usize {
    product(&group_sums(rows, channels))
}

fn conv_sizes(conv: &Conv2d) -> Option<[usize; 3]> {
    let &Conv2d { n, h, w, c, o, r, s, stride, padding, algorithm } = conv;
    let x = product(&[n, h, w, c]);
    Conv2d::new(Shape::from([n, h, w, c]), Shape::from([o, r, s, c]), stride, padding).ok()?;
    let y = product(&[n, conv.out_h(), conv.out_w(), o]);
    (conv.by(algorithm) == *conv).then_some([x, product(&[o, r, s, c]), y])
}

fn pool_sizes(pool: &Pool2d) -> Option<[usize; 2]> {
    let &Pool2d { n, h, w, c, kernel, stride, padding } = pool;
    Pool2d::new("pool", Shape::from([n, h, w, c]), kernel, stride, padding).ok()?;
    Some([product(&[n, h, w, c]), product(&[n, pool.out_h(), pool.out_w(), c])])
}

/// K, and the elements of one row of logits for each row of student and teacher.
fn loss_rows(loss: &PartitionLoss) -> Option<[usize; 2]> {
    let &PartitionLoss { views, batch, prototypes, partition_size } = loss;
    PartitionLoss::new(views, batch, prototypes, partition_size).ok()?;
    Some([product(&[views, batch]), product(&[2, batch])])
}

impl Kernel {
    /// Whether it reads and writes operands of these numbers of elements.
    pub fn fits(&self, inputs: &[usize], outputs: &[usize]) -> bool {
        self.fit(inputs, outputs).unwrap_or(false)
    }

    /// `None` for settings that no shape rule makes.
    fn fit(&self, inputs: &[usize], outputs: &[usize]) -> Option<bool> {
        let (inputs, guard) = self.split_guard(inputs);
        if guard == Some(&0) {
            return Some(false);
        }
        let same = |sizes: &[usize]| sizes.windows(2).all(|pair| pair[0] == pair[1]);
        let are = |i: &[usize], o: &[usize]| inputs == i && outputs == o;
        Some(match (self, inputs, outputs) {
            (Kernel::Fill(_), [], [_]) => true,
            (Kernel::Copy | Kernel::Scale(_) | Kernel::Unary(_), &[x], &[y]) => x == y,
            (Kernel::Clamp { low, high }, &[x], &[y]) => x == y && low <= high,
            (Kernel::ClampBackward { low, high }, &[x, dy], &[dx]) => {
                same(&[x, dy, dx]) && low <= high
            }
            (Kernel::ScaleBy | Kernel::Accumulate | Kernel::Ema, &[1, x], &[y]) => x == y,
            (Kernel::Add | Kernel::Mul | Kernel::UnaryBackward(_), &[a, b], &[y]) => {
                same(&[a, b, y])
            }
            (Kernel::AddBias | Kernel::BiasGelu, &[x, bias], &[y]) => x == y && has_rows(x, bias),
            (Kernel::BiasRelu { residual: false }, &[x, bias], &[y]) => x == y && has_rows(x, bias),
            (Kernel::BiasRelu { residual: true }, &[x, bias, added], &[y]) => {
                same(&[x, added, y]) && has_rows(x, bias)
            }
            (Kernel::BiasGeluBackward, &[x, bias, dy], &[dx]) => {
                same(&[x, dy, dx]) && has_rows(x, bias)
            }

            (&Kernel::Gemm(Gemm { m, n, k, .. }), ..) => {
                are(&[product(&[m, k]), product(&[k, n])], &[product(&[m, n])])
            }
            (&Kernel::GemmBias(Gemm { m, n, k, .. }), ..) => {
                are(&[product(&[m, k]), product(&[k, n]), n], &[product(&[m, n])])
            }
            (&Kernel::SumRows { rows, columns }, ..) => {
                are(&[product(&[rows, columns])], &[columns])
            }
            (&Kernel::SumColumns { columns }, &[x], &[y]) => x == product(&[y, columns]),
            (&Kernel::SumColumnsBackward { columns }, &[dy], &[dx]) => {
                dx == product(&[dy, columns])
            }
            (Kernel::Sum(_), [_], [1]) => true,

            (Kernel::Conv2d(conv), ..) => {
                let [x, w, y] = conv_sizes(conv)?;
                are(&[x, w], &[y])
            }
            (Kernel::Conv2dSums(conv), ..) => {
                let [x, w, y] = conv_sizes(conv)?;
                let rows = product(&[conv.n, conv.out_h(), conv.out_w()]);
                are(&[x, w], &[y, sums(rows, conv.o)])
            }
            (Kernel::Conv2dGradInput(conv), ..) => {
                let [x, w, y] = conv_sizes(conv)?;
                are(&[y, w], &[x])
            }
            (&Kernel::Conv2dGradInputSums { conv, added, .. }, ..) => {
                let [x, w, y] = conv_sizes(&conv)?;
                let added = if added { &[x][..] } else { &[] };
                let sums = sums(product(&[conv.n, conv.h, conv.w]), conv.c);
                are(&[&[y, w, x, x, conv.c], added].concat(), &[x, sums])
            }
            (Kernel::Conv2dGradWeight(conv), ..) => {
                let [x, w, y] = conv_sizes(conv)?;
                are(&[x, y], &[w])
            }
            (&Kernel::BatchNorm(BatchNorm { rows, channels: c, residual, .. }), ..) => {
                let x = product(&[rows, c]);
                let added = if residual { &[x][..] } else { &[] };
                are(&[&[x, c, c], added].concat(), &[x, c, c, c, c])
            }
            (&Kernel::BatchNormFromSums(norm), ..) => {
                let BatchNorm { rows, channels: c, residual, .. } = norm;
                let x = product(&[rows, c]);
                let added = if residual { &[x][..] } else { &[] };
                let inputs = [&[x, c, c, sums(rows, c)], added].concat();
                norm.training && are(&inputs, &[x, c, c, c, c])
            }
            (&Kernel::BatchNormApply(BatchNorm { rows, channels: c, residual, .. }), ..) => {
                let x = product(&[rows, c]);
                let added = if residual { &[x][..] } else { &[] };
                are(&[&[x, c, c, c, c], added].concat(), &[x])
            }
            (&Kernel::BatchNormBackward(norm), ..) => {
                let BatchNorm { rows, channels: c, residual, relu, .. } = norm;
                let x = product(&[rows, c]);
                let added = if residual && relu { &[x][..] } else { &[] };
                are(&[x, x, x, c, c, c], &[&[x, c, c], added].concat())
            }
            (&Kernel::BatchNormBackwardFromSums(BatchNorm { rows, channels: c, .. }), ..) => {
                let x = product(&[rows, c]);
                are(&[x, x, c, c, c, sums(rows, c)], &[x, c, c])
            }
            (Kernel::MaxPool2d(pool), ..) => {
                let [x, y] = pool_sizes(pool)?;
                are(&[x], &[y, y])
            }
            (Kernel::MaxPool2dBackward(pool), ..) => {
                let [x, y] = pool_sizes(pool)?;
                are(&[y, y], &[x])
            }
            (Kernel::AvgPool2d(pool), ..) => {
                let [x, y] = pool_sizes(pool)?;
                are(&[x], &[y])
            }
            (Kernel::AvgPool2dBackward(pool), ..) => {
                let [x, y] = pool_sizes(pool)?;
                are(&[y], &[x])
            }
            (&Kernel::GlobalAvgPool { n, pixels }, &[x], &[y]) => {
                has_rows(y, n) && x == product(&[y, pixels])
            }
            (&Kernel::GlobalAvgPoolBackward { n, pixels }, &[dy], &[dx]) => {
                has_rows(dy, n) && dx == product(&[dy, pixels])
            }

            (&Kernel::Softmax { columns } | &Kernel::LogSoftmax { columns }, &[x], &[y]) => {
                x == y && has_rows(x, columns)
            }
            (
                &Kernel::SoftmaxBackward { columns } | &Kernel::LogSoftmaxBackward { columns },
                &[y, dy],
                &[dx],
            ) => same(&[y, dy, dx]) && has_rows(y, columns),
            (&Kernel::L2Normalize { columns, .. }, &[x], &[y, norm]) => {
                same(&[x, y, product(&[norm, columns])])
            }
            (&Kernel::L2NormalizeBackward { columns, .. }, &[y, norm, dy], &[dx]) => {
                same(&[y, dy, dx, product(&[norm, columns])])
            }

            (&Kernel::GatherRows { columns }, &[x, index], &[y]) => {
                has_rows(x, columns) && y == product(&[index, columns])
            }
            (&Kernel::ScatterAddRows { columns }, &[dy, index], &[dx]) => {
                has_rows(dx, columns) && dy == product(&[index, columns])
            }
            (&Kernel::GatherColumns { columns }, &[whole, index], &[part])
            | (&Kernel::GatherColumnsBackward { columns }, &[part, index], &[whole]) => {
                let rows = whole.checked_div(columns)?;
                has_rows(whole, columns) && has_rows(part, rows) && part / rows <= index
            }
            (&Kernel::Transpose { rows, columns }, &[x], &[y]) => {
                same(&[x, y, product(&[rows, columns])])
            }
            (Kernel::ConcatRows, parts, &[y]) => parts.iter().sum::<usize>() == y,
            (&Kernel::SumShards { shards, elements }, parts, &[y]) => {
                shards.is_power_of_two()
                    && parts.len() == shards
                    && parts.iter().all(|&part| part == elements)
                    && y == elements
            }
            (&Kernel::SliceRows { start }, &[whole], &[part])
            | (&Kernel::SliceRowsBackward { start }, &[part], &[whole]) => {
                start.checked_add(part)? <= whole
            }

            (Kernel::PartitionLoss(loss), ..) => {
                let [student, teacher] = loss_rows(loss)?.map(|r| product(&[r, loss.prototypes]));
                are(&[student, teacher, loss.prototypes], &[1, 1, 1, student])
            }
            (&Kernel::StreamingLoss(StreamingLoss { loss, dim, views_at_once }), ..) => {
                let [student, teacher] = loss_rows(&loss)?.map(|rows| product(&[rows, dim]));
                let weights = product(&[loss.prototypes, dim]);
                let inputs = [student, teacher, weights, weights, loss.prototypes];
                let is_part = dim > 0 && (1..=loss.views).contains(&views_at_once);
                is_part && are(&inputs, &[1, 1, 1, student, weights])
            }

            (&Kernel::NonFiniteCheck { scalars, flat }, _, &[report]) => {
                let (s, rest) = inputs.split_at_checked(scalars)?;
                let (_, rest) = rest.split_at_checked(flat)?;
                let (ranges, _) = rest.split_at_checked(flat)?;
                scalars <= MOST_SCALARS
                    && s.iter().all(|&s| s == 1)
                    && ranges.iter().all(|ranges| ranges.is_multiple_of(2))
                    && report == scalars + 1
            }
            (Kernel::Sgd { .. }, &[grad, 1, 1], &[w, buffer]) => same(&[grad, w, buffer]),
            (&Kernel::Lars { tensors, .. }, &[grad, 1, 1, ranges], &[w, buffer]) => {
                same(&[grad, w, buffer]) && ranges == product(&[2, tensors])
            }
            (Kernel::AdamW(_), &[grad, 1, 1, 2], &[w, first, second]) => {
                same(&[grad, w, first, second])
            }
            _ => false,
        })
    }

    /// Which inputs hold indices.
    pub fn index_inputs(&self) -> Range<usize> {
        let one = match *self {
            Kernel::MaxPool2dBackward(_)
            | Kernel::GatherRows { .. }
            | Kernel::ScatterAddRows { .. }
            | Kernel::GatherColumns { .. }
            | Kernel::GatherColumnsBackward { .. } => 1,
            Kernel::PartitionLoss(_) => 2,
            Kernel::Lars { .. } => 3,
            Kernel::StreamingLoss(_) => 4,
            Kernel::NonFiniteCheck { scalars, flat } => {
                return scalars + flat..scalars + 2 * flat;
            }
            _ => return 0..0,
        };
        one..one + 1
    }

    /// Whether these indices of input `at` point into operands that it [`Kernel::fits`], each to a place
    /// of its own where the kernel says so.
    pub fn allows(&self, at: usize, indices: &[u32], inputs: &[usize], outputs: &[usize]) -> bool {
        let below = |limit: usize| indices.iter().all(|&index| (index as usize) < limit);
        let distinct = |indices: &[u32]| {
            let mut seen = HashSet::new();
            indices.iter().all(|&index| seen.insert(index))
        };
        match *self {
            Kernel::MaxPool2dBackward(pool) => below(pool.h * pool.w),
            Kernel::GatherRows { columns } => below(inputs[0] / columns),
            Kernel::ScatterAddRows { columns } => below(outputs[0] / columns),
            Kernel::GatherColumns { columns } => below(columns),
            Kernel::GatherColumnsBackward { columns } => {
                let used = inputs[0] / (outputs[0] / columns);
                below(columns) && distinct(&indices[..used])
            }
            Kernel::PartitionLoss(PartitionLoss { prototypes, .. })
            | Kernel::StreamingLoss(StreamingLoss {
                loss: PartitionLoss { prototypes, .. }, ..
            }) => below(prototypes) && distinct(indices),
            // Tensors one after the other.
            Kernel::Lars { .. } => below(inputs[0] + 1) && indices.is_sorted(),
            Kernel::NonFiniteCheck { flat, .. } => {
                below(inputs[at - flat] + 1) && indices.is_sorted()
            }
            _ => true,
        }
    }
}

//! The checks of the kernel exercises: inputs, f64 formulas of what must come, and what it may cost.

use ptx_emulator::SECTOR;
use tensor::geometry::Gemm;
use tensor::kernel::{Kernel, Unary};
use tensor::reference;

use crate::compare::numbers;
use crate::golden::{FUSED_DS, FUSED_LOSS, FUSED_S, FUSED_T};
use crate::kernel_case::{Argument, Counter, KernelCase, KernelLaunch, Limit};

const COALESCE: &str =
    "the lanes of a warp should touch neighbouring numbers: which index grows with the thread?";

/// Numbers as f32 holds them.
fn input(count: usize, seed: u64) -> Vec<f64> {
    numbers(count, seed).into_iter().map(|x| f64::from(x as f32)).collect()
}

/// A kernel of the project, by its formula.
fn formula(kernel: Kernel, inputs: &[&[f64]], count: usize) -> Vec<f64> {
    let mut outputs = [vec![0.0; count]];
    reference::run(&kernel, inputs, &mut outputs);
    let [output] = outputs;
    output
}

/// Transactions that take `count` numbers in a row, from the number `start` on.
fn sectors(start: usize, count: usize) -> u64 {
    let (first, end) = (4 * start as u64 / SECTOR, (4 * (start + count) as u64).div_ceil(SECTOR));
    end - first
}

/// Transactions that take rows of 27 numbers, one row at a time.
fn sectors_of_rows(rows: usize) -> u64 {
    (0..rows).map(|row| sectors(27 * row, 27)).sum()
}

fn limit(counter: Counter, needed: u64, advice: &'static str) -> Limit {
    Limit { counter, needed, advice }
}

/// `y = max(x, 0)`.
pub fn relu() -> KernelCase {
    let launch = |n: usize| {
        let x = input(n, 1);
        let y = formula(Kernel::Unary(Unary::Relu), &[&x], n);
        let kept = ("x came out as it went in", x.clone());
        let low = (
            "these are the negative numbers: max, not min",
            x.iter().map(|x| x.min(0.0)).collect(),
        );
        KernelLaunch {
            what: format!("{n} numbers"),
            grid: [n.div_ceil(256) as u32, 1],
            block: [256, 1],
            arguments: vec![
                Argument::Input("x", x),
                Argument::Output("y", y, vec![kept, low]),
                Argument::Number(n as u32),
            ],
            limits: vec![
                limit(Counter::Loads, sectors(0, n), COALESCE),
                limit(Counter::Stores, sectors(0, n), COALESCE),
            ],
        }
    };
    KernelCase { kernel: "relu", launches: vec![launch(256), launch(1000)] }
}

/// `y = 2 x` in blocks of 1024 numbers.
pub fn coalescing() -> KernelCase {
    let x = input(2048, 1);
    let y = formula(Kernel::Scale(2.0), &[&x], 2048);
    let launch = KernelLaunch {
        what: "2048 numbers".to_owned(),
        grid: [2, 1],
        block: [64, 1],
        arguments: vec![Argument::Input("x", x), Argument::Output("y", y, vec![])],
        limits: vec![
            limit(Counter::Loads, sectors(0, 2048), COALESCE),
            limit(Counter::Stores, sectors(0, 2048), COALESCE),
        ],
    };
    KernelCase { kernel: "twice", launches: vec![launch] }
}

/// Sums of rows of 32 numbers.
pub fn warp_sum() -> KernelCase {
    let (rows, columns) = (8, 32);
    let x = input(rows * columns, 1);
    let y = formula(Kernel::SumColumns { columns }, &[&x], rows);
    let strided = |step: usize| -> Vec<f64> {
        x.chunks(columns).map(|row| row.iter().step_by(step).sum()).collect()
    };
    let mistakes = vec![
        ("this is lane 0's own number: nothing was added to it", strided(columns)),
        ("the last exchange, with distance 1, is missing", strided(2)),
        (
            "the first exchange, with distance 16, is missing",
            x.chunks(columns).map(|row| row[..16].iter().sum()).collect(),
        ),
    ];
    let launch = KernelLaunch {
        what: format!("{rows} rows"),
        grid: [2, 1],
        block: [128, 1],
        arguments: vec![Argument::Input("x", x.clone()), Argument::Output("y", y, mistakes)],
        limits: vec![limit(Counter::Shared, 0, "lanes can exchange registers, by shfl.sync")],
    };
    KernelCase { kernel: "sum_rows", launches: vec![launch] }
}

/// Sums of blocks of 256 numbers.
pub fn block_sum() -> KernelCase {
    let launch = |n: usize| {
        let x = input(n, 1);
        let blocks = x.chunks(256).len();
        let y = x.chunks(256).map(|x| formula(Kernel::Sum(1.0), &[x], 1)[0]).collect();
        let first = x.iter().copied().step_by(256).collect();
        KernelLaunch {
            what: format!("{n} numbers, 256 a block"),
            grid: [blocks as u32, 1],
            block: [256, 1],
            arguments: vec![
                Argument::Input("x", x),
                Argument::Output(
                    "y",
                    y,
                    vec![("this is thread 0's own number: nothing was added to it", first)],
                ),
                Argument::Number(n as u32),
            ],
            limits: vec![limit(
                Counter::Conflicts,
                0,
                "let neighbouring threads add neighbouring numbers",
            )],
        }
    };
    KernelCase { kernel: "sum_blocks", launches: vec![launch(256), launch(700)] }
}

/// y `[96,64]` = x `[64,96]` transposed.
fn transposition(limits: Vec<Limit>) -> KernelCase {
    let (rows, columns) = (64, 96);
    let x = input(rows * columns, 1);
    let at = |place: usize| x[place % rows * columns + place / rows];
    let y: Vec<f64> = (0..rows * columns).map(at).collect();
    // Each tile in its place, but not turned.
    let unturned = |place: usize| {
        let (row, column) = (place / rows, place % rows);
        let (by, bx) = (column / 32, row / 32);
        x[(32 * by + row % 32) * columns + 32 * bx + column % 32]
    };
    let mistake = (
        "the tiles are where they belong, but not turned: read tile[tx,ty], with tx and ty swapped",
        (0..rows * columns).map(unturned).collect(),
    );
    let launch = KernelLaunch {
        what: format!("x [{rows},{columns}]"),
        grid: [3, 2],
        block: [32, 32],
        arguments: vec![Argument::Input("x", x.clone()), Argument::Output("y", y, vec![mistake])],
        limits,
    };
    KernelCase { kernel: "transpose", launches: vec![launch] }
}

/// A transpose with both sides coalesced.
pub fn transpose() -> KernelCase {
    let advice =
        "tx should go along the last axis of y, too: the tile is there to be read the other way";
    transposition(vec![
        limit(Counter::Loads, sectors(0, 64 * 96), COALESCE),
        limit(Counter::Stores, sectors(0, 64 * 96), advice),
    ])
}

/// The same without bank conflicts.
pub fn bank_conflicts() -> KernelCase {
    let advice = "the words of a column of the tile should be in different banks: change the pitch";
    transposition(vec![limit(Counter::Conflicts, 0, advice)])
}

/// c `[32,48]` = a `[32,64]` b `[64,48]`, in tiles of 16.
pub fn tiled_matmul() -> KernelCase {
    let (m, n, k, tile) = (32, 48, 64, 16);
    let (a, b) = (input(m * k, 1), input(k * n, 2));
    let sizes = Gemm { m, n, k, trans_a: false, trans_b: false };
    let c = formula(Kernel::Gemm(sizes), &[&a, &b], m * n);
    let mut first = a.clone();
    first.iter_mut().enumerate().for_each(|(at, a)| {
        if at % k >= tile {
            *a = 0.0
        }
    });
    let mut last = a.clone();
    last.iter_mut().enumerate().for_each(|(at, a)| {
        if at % k < k - tile {
            *a = 0.0
        }
    });
    let mistakes = vec![
        (
            "only the first 16 of the 64 l are in it: does the outer loop go on?",
            formula(Kernel::Gemm(sizes), &[&first, &b], m * n),
        ),
        (
            "only the last 16 of the 64 l are in it: sum must not start anew with each tile",
            formula(Kernel::Gemm(sizes), &[&last, &b], m * n),
        ),
    ];
    // Each number of a once for every 16 columns of c, of b once for every 16 rows.
    let loads = sectors(0, m * k) * (n / tile) as u64 + sectors(0, k * n) * (m / tile) as u64;
    let launch = KernelLaunch {
        what: format!("a [{m},{k}], b [{k},{n}]"),
        grid: [(n / tile) as u32, (m / tile) as u32],
        block: [tile as u32, tile as u32],
        arguments: vec![
            Argument::Input("a", a),
            Argument::Input("b", b),
            Argument::Output("c", c, mistakes),
        ],
        limits: vec![limit(
            Counter::Loads,
            loads,
            "load each number of a tile once, into shared memory, and use it 16 times from there",
        )],
    };
    KernelCase { kernel: "matmul", launches: vec![launch] }
}

/// Softmax of rows of 27 numbers, some of them large.
pub fn row_softmax() -> KernelCase {
    let (rows, columns) = (6, 27);
    let launch = |what: &str, scale: f64| {
        let x: Vec<f64> = input(rows * columns, 1).iter().map(|x| scale * x).collect();
        let y = formula(Kernel::Softmax { columns }, &[&x], rows * columns);
        let raw: Vec<f64> = x.iter().map(|x| x.exp()).collect();
        let base: Vec<f64> = x.iter().map(|x| x * std::f64::consts::LN_2).collect();
        let exp: Vec<f32> = x.iter().map(|&x| (x as f32).exp()).collect();
        let overflown = exp.chunks(columns).flat_map(|row| {
            let sum: f32 = row.iter().sum();
            row.iter().map(move |exp| f64::from(exp / sum))
        });
        let mistakes = vec![
            ("these are the exponentials: divide them by their sum", raw),
            (
                "these are powers of 2: multiply by log2 e before ex2",
                formula(Kernel::Softmax { columns }, &[&base], rows * columns),
            ),
            (
                "exp of more than 88 is infinite in f32: subtract the row's maximum first",
                overflown.collect(),
            ),
        ];
        KernelLaunch {
            what: format!("{rows} rows of {columns} {what}"),
            grid: [rows as u32, 1],
            block: [32, 1],
            arguments: vec![Argument::Input("x", x), Argument::Output("y", y, mistakes)],
            limits: vec![
                limit(Counter::Loads, sectors_of_rows(rows), "read each number once"),
                limit(Counter::Stores, sectors_of_rows(rows), "write each number once"),
            ],
        }
    };
    KernelCase {
        kernel: "softmax",
        launches: vec![launch("small numbers", 4.0), launch("numbers up to 512", 512.0)],
    }
}

/// Loss and gradient of rows of logits, against PyTorch.
pub fn fused_loss() -> KernelCase {
    let rows = FUSED_LOSS.len();
    let binary = FUSED_LOSS.iter().map(|loss| loss / std::f64::consts::LN_2).collect();
    let negative = FUSED_LOSS.iter().map(|loss| -loss).collect();
    let mistakes = vec![
        ("this is -log2 d: multiply by ln 2", binary),
        ("the sign is wrong: -ln of a probability is positive", negative),
    ];
    let launch = KernelLaunch {
        what: format!("{rows} rows of 27 logits, against PyTorch"),
        grid: [rows as u32, 1],
        block: [32, 1],
        arguments: vec![
            Argument::Input("s", FUSED_S.to_vec()),
            Argument::Input("t", FUSED_T.to_vec()),
            Argument::Output("loss", FUSED_LOSS.to_vec(), mistakes),
            Argument::Output("ds", FUSED_DS.to_vec(), vec![]),
        ],
        limits: vec![
            limit(Counter::Loads, 2 * sectors_of_rows(rows), "read each logit once"),
            limit(
                Counter::Stores,
                sectors_of_rows(rows) + rows as u64,
                "only the loss and ds go to memory, and lane 0 alone writes the loss",
            ),
        ],
    };
    KernelCase { kernel: "fused_loss", launches: vec![launch] }
}

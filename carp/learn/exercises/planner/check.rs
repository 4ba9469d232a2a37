use super::exercise::{Block, place};
use crate::compare::numbers;

fn block(len: usize, first: usize, last: usize) -> Block {
    Block { len, first, last }
}

/// What greedy by size, best fit makes of it.
fn best_fit(blocks: &[Block]) -> usize {
    let mut order = blocks.to_vec();
    order.sort_by_key(|block| std::cmp::Reverse(block.len));
    let mut placed: Vec<(usize, Block)> = Vec::new();
    for block in order {
        let mut busy: Vec<(usize, usize)> = placed
            .iter()
            .filter(|(_, other)| other.first <= block.last && block.first <= other.last)
            .map(|&(at, other)| (at, at + other.len))
            .collect();
        busy.sort();
        let starts = std::iter::once(0).chain(busy.iter().map(|&(_, end)| end));
        let room = |start: usize| {
            let free = !busy.iter().any(|&(from, to)| from <= start && start < to);
            let next = busy.iter().filter(|&&(from, _)| from >= start).map(|&(from, _)| from).min();
            let room = next.unwrap_or(usize::MAX) - start;
            (free && room >= block.len).then_some((room, start))
        };
        let (_, at) = starts.filter_map(room).min().expect("behind all others is room");
        placed.push((at, block));
    }
    placed.iter().map(|(at, block)| at + block.len).max().unwrap_or(0)
}

pub fn check() -> Result<(), String> {
    let random: Vec<Block> = numbers(90, 1)
        .chunks(3)
        .map(|x| {
            let number = |x: f64, most: f64| ((x + 1.0) / 2.0 * most) as usize;
            let first = number(x[1], 30.0);
            block(1 + number(x[0], 100.0), first, first + number(x[2], 8.0))
        })
        .collect();
    let cases = [
        ("two blocks, one after the other", vec![block(10, 0, 1), block(10, 2, 3)]),
        ("two blocks at a time", vec![block(10, 0, 2), block(6, 1, 3)]),
        (
            "a chain, each node reading the last one's output",
            (0..6).map(|at| block(8, at, at + 1)).collect(),
        ),
        (
            "a gap that is too small",
            vec![block(30, 0, 1), block(28, 0, 5), block(25, 2, 5), block(10, 2, 5)],
        ),
        (
            "two gaps that hold a block, the smaller one behind the larger",
            vec![
                block(100, 0, 9),
                block(20, 0, 1),
                block(19, 0, 9),
                block(14, 0, 1),
                block(13, 0, 9),
                block(12, 2, 9),
                block(10, 2, 9),
                block(10, 2, 9),
            ],
        ),
        ("30 random blocks", random),
    ];
    for (what, blocks) in cases {
        let offsets = place(&blocks);
        if offsets.len() != blocks.len() {
            return Err(format!("{what}: {} offsets for {} blocks", offsets.len(), blocks.len()));
        }
        for (i, a) in blocks.iter().enumerate() {
            for (j, b) in blocks.iter().enumerate().skip(i + 1) {
                let in_time = a.first <= b.last && b.first <= a.last;
                let in_space = offsets[i] < offsets[j] + b.len && offsets[j] < offsets[i] + a.len;
                if in_time && in_space {
                    return Err(format!(
                        "{what}: {a:?} at {} and {b:?} at {} share memory while both are alive",
                        offsets[i], offsets[j]
                    ));
                }
            }
        }
        let total =
            blocks.iter().zip(&offsets).map(|(block, at)| at + block.len).max().unwrap_or(0);
        let (best, sum) = (best_fit(&blocks), blocks.iter().map(|block| block.len).sum::<usize>());
        if total > best {
            let why = match total == sum {
                true => "no two blocks share memory",
                false => "was a gap left empty, or a larger one taken than the smallest that fits?",
            };
            return Err(format!("{what}: got an arena of {total}, expected {best}\n{why}"));
        }
    }
    Ok(())
}

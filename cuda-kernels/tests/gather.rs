//! Rows and columns by index, against the CPU.

mod common;

use common::{Case, indices, permutation, uniform};
use tensor::Kernel;

#[test]
fn rows_and_their_gradient() {
    // Rows of x, columns, indices: fewer and more than a warp, many for one row.
    for (rows, columns, count) in
        [(1, 1, 1), (5, 31, 33), (33, 3, 100), (3, 300, 40), (100, 8, 31), (2, 5, 64)]
    {
        let mut case = Case::shifted(format!("{count} of {rows}x{columns}"), rows % 2);
        let x = case.input(&uniform(1, rows * columns));
        let dy = case.input(&uniform(2, count * columns));
        let index = case.indices(&indices(3, count, rows));
        let y = case.exact("y", count * columns);
        // The order of additions is the CPU's, and so are the bits.
        let dx = case.exact("dx", rows * columns);
        case.call(Kernel::GatherRows { columns }, &[x, index], &[y]);
        case.call(Kernel::ScatterAddRows { columns }, &[dy, index], &[dx]);
        case.run();
    }
}

#[test]
fn columns_and_their_gradient() {
    for (rows, columns, used) in
        [(1, 1, 1), (3, 33, 31), (31, 5, 5), (2, 700, 512), (4, 300, 1), (5, 64, 64)]
    {
        let mut case = Case::shifted(format!("{used} columns of {rows}x{columns}"), rows % 2);
        let x = case.input(&uniform(1, rows * columns));
        let dy = case.input(&uniform(2, rows * used));
        let index = case.indices(&permutation(3, columns));
        let y = case.exact("y", rows * used);
        let dx = case.exact("dx", rows * columns);
        case.call(Kernel::GatherColumns { columns }, &[x, index], &[y]);
        case.call(Kernel::GatherColumnsBackward { columns }, &[dy, index], &[dx]);
        case.run();
    }
}

#[test]
fn rows_side_by_side_added_and_cut_out() {
    for (first, second, start, count) in [(1, 1, 0, 1), (31, 300, 20, 33), (600, 5, 0, 605)] {
        let mut case = Case::shifted(format!("{first} and {second}, {count} of them"), first % 2);
        let [a, b, c, d] = [(1, first), (2, second), (3, first), (4, first)]
            .map(|(index, len)| case.input(&uniform(index, len)));
        let sum = case.exact("sum", first);
        let all = case.exact("all", first + second);
        let part = case.exact("part", count);
        let back = case.exact("back", first + second);
        case.call(Kernel::ConcatRows, &[a, b], &[all]);
        case.call(Kernel::SumShards { shards: 4, elements: first }, &[a, a, c, d], &[sum]);
        case.call(Kernel::SliceRows { start }, &[all], &[part]);
        case.call(Kernel::SliceRowsBackward { start }, &[part], &[back]);
        case.run();
    }
}

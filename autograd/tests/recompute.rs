//! A step under a memory budget: less memory, the same bits.

mod common;

use autograd::trace::Recomputed;
use autograd::{Executor, Passes, Plan};
use tensor::Cpu;

/// The bits of all persistent values and losses of some steps within `budget` bytes, and what the
/// plan takes.
fn trained(passes: &Passes, budget: usize) -> Result<(Vec<u32>, usize), String> {
    let (mut graph, step) = common::build(passes).unwrap();
    graph.recompute(&Cpu, budget).map_err(|error| error.to_string())?;
    let mut executor = Executor::new(graph, &Cpu).unwrap();
    common::fill(&mut executor, &step);
    let mut order: Vec<u32> = (0..common::PROTOTYPES as u32).collect();
    let mut bits = Vec::new();
    for number in 0..4 {
        bits.push(common::run(&mut executor, &step, number, &mut order).to_bits());
    }
    let lasting = |graph: &autograd::Graph| -> Vec<_> {
        use autograd::graph::Kind;
        let lasting =
            graph.values().filter(|(_, info)| matches!(info.kind, Kind::Param | Kind::State));
        lasting.map(|(value, _)| value).collect()
    };
    for value in lasting(executor.graph()) {
        bits.extend(executor.read(value).iter().map(|x| x.to_bits()));
    }
    Ok((bits, executor.plan().bytes()))
}

/// The number of KiB after `the smallest that works is `.
fn smallest(line: &str) -> usize {
    let (_, rest) = line.split_once("the smallest that works is ").expect(line);
    let (number, _) = rest.split_once("KiB").expect(line);
    1024 * number.parse::<usize>().expect(line)
}

#[test]
fn budgets_are_kept_with_the_same_bits() {
    for passes in [Passes::none(), Passes::all()] {
        let (want, all) = trained(&passes, usize::MAX).unwrap();
        let line = trained(&passes, 1).unwrap_err();
        assert_eq!(line.lines().count(), 1);
        let least = smallest(&line);
        assert!(least < all * 9 / 10, "{passes}: from {all} only to {least}");
        for budget in [all, all - 1, (all + least) / 2, least] {
            let (got, planned) = trained(&passes, budget).unwrap();
            assert!(planned <= budget, "{passes}: {planned} of {budget} bytes");
            assert!(got == want, "{passes}: other bits with {budget} of {all} bytes");
        }
    }
}

#[test]
fn a_budget_that_is_large_enough_changes_nothing() {
    let (mut graph, _) = common::build(&Passes::all()).unwrap();
    let ops = graph.nodes().len();
    let all = Plan::new(&graph, &Cpu).bytes();
    graph.recompute(&Cpu, all).unwrap();
    assert_eq!((graph.nodes().len(), Recomputed::of(&graph)), (ops, None));
    graph.recompute(&Cpu, all - 1).unwrap();
    let price = Recomputed::of(&graph).unwrap();
    assert_eq!(graph.nodes().len(), ops + price.ops);
    assert!(price.flops > 0 && price.share < 1.0, "{price}");
}

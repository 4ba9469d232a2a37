//! Which values are stored as bf16, for a device that can have sums together and functions apart.

use autograd::graph::DType;
use autograd::{Graph, Plan, Value};
use tensor::kernel::Unary;
use tensor::{Backend, Device, Halves, Kernel, Result};

struct Halving;

impl Device for Halving {
    fn workspace(&self, _: &Kernel) -> usize {
        0
    }

    fn halves(&self, kernel: &Kernel) -> &'static [Halves] {
        match kernel {
            Kernel::Add => &[Halves { inputs: &[0, 1], outputs: &[0] }],
            Kernel::Unary(Unary::Relu) => {
                &[Halves { inputs: &[0], outputs: &[] }, Halves { inputs: &[], outputs: &[0] }]
            }
            _ => &[],
        }
    }

    fn open(&self, _: usize) -> Result<Box<dyn Backend>> {
        unreachable!("nothing is run")
    }
}

fn halved<const N: usize>(graph: &mut Graph, values: [Value; N]) -> [bool; N] {
    graph.halve(&Halving);
    values.map(|v| graph.info(v).dtype == DType::Bf16)
}

#[test]
fn what_all_kernels_can_have_so_takes_half_of_the_memory() {
    let mut g = Graph::new();
    let x = g.input("x", [4, 8]);
    let a = g.relu(x);
    let b = g.relu(a);
    let sum = g.add(a, b).unwrap();
    let y = g.relu(sum);
    g.keep(y);
    assert_eq!(halved(&mut g, [x, a, b, sum, y]), [false, true, true, true, false]);
    let plan = Plan::new(&g, &Halving);
    assert_eq!([x, a, b, sum, y].map(|v| plan.slot(v, 0).len), [32, 16, 16, 16, 32]);
    assert_eq!(plan.slot(a, 0).numbers(), 32);
}

/// SiLU reads one of three values that belong together; what only follows from them is free.
#[test]
fn one_reader_that_cannot_keeps_all_from_it_that_are_bound_to_the_value() {
    let mut g = Graph::new();
    let x = g.input("x", [4, 8]);
    let (a, b) = (g.relu(x), g.relu(x));
    let sum = g.add(a, b).unwrap();
    let other = g.silu(b);
    let free = g.relu(sum);
    let y = g.relu(free);
    g.keep(y);
    let values = [a, b, sum, other, free];
    assert_eq!(halved(&mut g, values), [false, false, false, false, true]);
}

#[test]
fn rows_are_multiples_of_16_bytes() {
    let mut g = Graph::new();
    let x = g.input("x", [8, 4]);
    let a = g.relu(x);
    let y = g.relu(a);
    g.keep(y);
    assert_eq!(halved(&mut g, [a]), [false]);
}

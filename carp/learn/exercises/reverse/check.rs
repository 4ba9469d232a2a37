use super::exercise::{Node, Op, gradients};
use crate::compare::{central_differences, close};

/// The values of the nodes; inputs are taken in order.
fn values(list: &[Node], inputs: &[f64]) -> Vec<f64> {
    let (mut values, mut inputs) = (Vec::new(), inputs.iter());
    for node in list {
        let x = |at: usize| -> f64 { values[node.inputs[at]] };
        let y = match node.op {
            Op::Input => *inputs.next().expect("one per node"),
            Op::Add => x(0) + x(1),
            Op::Mul => x(0) * x(1),
            Op::Exp => x(0).exp(),
        };
        values.push(y);
    }
    values
}

/// What comes if contributions replace each other.
fn overwritten(list: &[Node], values: &[f64]) -> Vec<f64> {
    let mut d = vec![0.0; list.len()];
    d[list.len() - 1] = 1.0;
    for (at, node) in list.iter().enumerate().rev() {
        for (k, &input) in node.inputs.iter().enumerate() {
            d[input] = match node.op {
                Op::Mul => d[at] * values[node.inputs[1 - k]],
                Op::Exp => d[at] * values[at],
                _ => d[at],
            };
        }
    }
    d
}

pub fn check() -> Result<(), String> {
    let node = |op, inputs: &[usize]| Node { op, inputs: inputs.to_vec() };
    let two = [node(Op::Input, &[]), node(Op::Input, &[])];
    let product = [&two[..], &[node(Op::Mul, &[0, 1])]].concat();
    let twice = [
        &two[..],
        &[
            node(Op::Mul, &[0, 1]),
            node(Op::Exp, &[2]),
            node(Op::Mul, &[3, 0]),
            node(Op::Add, &[4, 2]),
        ],
    ]
    .concat();
    let square = [&two[..1], &[node(Op::Mul, &[0, 0]), node(Op::Add, &[1, 1])]].concat();
    let cases = [
        ("a * b", product, vec![0.5, -2.0]),
        ("exp(a * b) * a + a * b, where a and a * b are read twice", twice, vec![0.5, -2.0]),
        ("a * a + a * a", square, vec![1.5]),
    ];
    for (what, list, inputs) in cases {
        let values_now = values(&list, &inputs);
        let found = gradients(&list, &values_now);
        let loss = |x: &[f64]| *values(&list, x).last().expect("nodes");
        let expected = central_differences(loss, &inputs);
        let count = inputs.len();
        let mut once = overwritten(&list, &values_now);
        once.truncate(count);
        let mistakes = [("a value that is read twice gets two contributions: add them (+=)", once)];
        let what = format!("derivatives of {what}, against central differences");
        close(&what, &found[..count.min(found.len())], &expected, 1e-6, &mistakes)?;
    }
    Ok(())
}

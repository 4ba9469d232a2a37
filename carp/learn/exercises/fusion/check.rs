use super::exercise::{Node, Op, fuse};

fn add(a: usize, b: usize, output: usize) -> Node {
    Node { op: Op::Add, inputs: vec![a, b], output }
}

fn relu(x: usize, output: usize) -> Node {
    Node { op: Op::Relu, inputs: vec![x], output }
}

fn add_relu(a: usize, b: usize, output: usize) -> Node {
    Node { op: Op::AddRelu, inputs: vec![a, b], output }
}

fn show(list: &[Node]) -> String {
    let node = |node: &Node| format!("v{} = {:?}{:?}", node.output, node.op, node.inputs);
    list.iter().map(node).collect::<Vec<_>>().join("; ")
}

pub fn check() -> Result<(), String> {
    let cases = [
        (vec![add(0, 1, 2), relu(2, 3)], vec![add_relu(0, 1, 3)], "the pattern is there"),
        (
            vec![relu(0, 2), add(2, 1, 3), relu(3, 4), add(4, 0, 5), relu(5, 6)],
            vec![relu(0, 2), add_relu(2, 1, 4), add_relu(4, 0, 6)],
            "the pattern is there twice, and values have other numbers",
        ),
        (
            vec![add(0, 1, 2), relu(2, 3), add(3, 2, 4)],
            vec![add(0, 1, 2), relu(2, 3), add(3, 2, 4)],
            "v2 is read again later: after fusion nobody would make it",
        ),
        (
            vec![add(0, 1, 2), relu(1, 3), add(2, 3, 4)],
            vec![add(0, 1, 2), relu(1, 3), add(2, 3, 4)],
            "the Relu reads another value than the sum",
        ),
        (
            vec![relu(0, 1), add(0, 1, 2)],
            vec![relu(0, 1), add(0, 1, 2)],
            "the list ends with an Add",
        ),
    ];
    for (list, expected, why) in cases {
        let found = fuse(&list);
        if found != expected {
            return Err(format!(
                "of        {}\ngot       {}\nexpected  {}\n{why}",
                show(&list),
                show(&found),
                show(&expected)
            ));
        }
    }
    Ok(())
}

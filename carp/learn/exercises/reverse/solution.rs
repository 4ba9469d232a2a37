    d[list.len() - 1] = 1.0;
    for (at, node) in list.iter().enumerate().rev() {
        let x: Vec<f64> = node.inputs.iter().map(|&input| values[input]).collect();
        let dx = derivatives(node.op, &x, values[at], d[at]);
        for (&input, dx) in node.inputs.iter().zip(dx) {
            d[input] += dx;
        }
    }

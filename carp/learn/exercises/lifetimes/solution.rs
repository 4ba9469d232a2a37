    for (at, node) in list.iter().enumerate() {
        lives[node.output] = (at, at);
        for &input in &node.inputs {
            lives[input].1 = at;
        }
    }

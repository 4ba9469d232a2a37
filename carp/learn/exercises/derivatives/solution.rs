    match op {
        Op::Add => vec![dy, dy],
        Op::Mul => vec![dy * x[1], dy * x[0]],
        Op::Exp => vec![dy * y],
        Op::Ln => vec![dy / x[0]],
        Op::Relu => vec![if y > 0.0 { dy } else { 0.0 }],
    }

        if let [add, relu, ..] = &list[at..]
            && (add.op, relu.op) == (Op::Add, Op::Relu)
            && relu.inputs == [add.output]
            && reads(list, add.output) == 1
        {
            fused.push(Node { op: Op::AddRelu, inputs: add.inputs.clone(), output: relu.output });
            at += 2;
            continue;
        }

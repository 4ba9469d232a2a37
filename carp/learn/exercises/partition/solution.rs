    let block = |block: &[usize]| {
        let logits: Vec<f64> = block.iter().map(|&prototype| logits[prototype]).collect();
        softmax(&logits)
    };
    order.chunks_exact(size).flat_map(block).collect()

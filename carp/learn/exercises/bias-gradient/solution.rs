    let mut sum = vec![0.0; columns];
    for row in dy.chunks(columns) {
        for (sum, dy) in sum.iter_mut().zip(row) {
            *sum += dy;
        }
    }
    sum

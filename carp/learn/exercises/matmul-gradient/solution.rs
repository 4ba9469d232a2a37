    for i in 0..m {
        for j in 0..n {
            for l in 0..k {
                da[i * k + l] += dc[i * n + j] * b[l * n + j];
                db[l * n + j] += a[i * k + l] * dc[i * n + j];
            }
        }
    }

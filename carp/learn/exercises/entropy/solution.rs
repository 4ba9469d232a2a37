    let count = (rows.len() / size) as f64;
    let mut mean = vec![0.0; size];
    for row in rows.chunks(size) {
        for (mean, p) in mean.iter_mut().zip(row) {
            *mean += p / count;
        }
    }
    let sum: f64 = mean.iter().map(|m| m * m.clamp(EPS, 1.0 - EPS).ln()).sum();
    (size as f64).ln() + sum

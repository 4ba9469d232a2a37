    for i in 0..views {
        for j in (0..2).filter(|&j| j != i) {
            for n in 0..batch {
                let (p, q) = (row(p, i, n), row(q, j, n));
                let d: f64 = p.iter().zip(&q).map(|(p, q)| p * q).sum();
                sum -= d.clamp(EPS, 1.0 - EPS).ln();
            }
        }
    }
    sum / ((2 * views - 2) * batch) as f64

                let d: f64 = p.iter().zip(q).map(|(p, q)| p * q).sum();
                if (EPS..=1.0 - EPS).contains(&d) {
                    for c in 0..size {
                        ds[c] += p[c] * (1.0 - q[c] / d) / terms;
                    }
                }

    let inside = |m: f64| if (EPS..=1.0 - EPS).contains(&m) { 1.0 } else { 0.0 };
    let g: Vec<f64> = mean.iter().map(|&m| m.clamp(EPS, 1.0 - EPS).ln() + inside(m)).collect();
    let gradient = |p: &[f64]| {
        let mean_g: f64 = p.iter().zip(&g).map(|(p, g)| p * g).sum();
        let ds = p.iter().zip(&g).map(|(p, g)| p * (g - mean_g) / count);
        ds.collect::<Vec<f64>>()
    };
    rows.chunks(size).flat_map(gradient).collect()

        let (s, t) = (product(dim, z, &w), product(dim, zt, &wt));
        let (value, ds) = block_loss(sizes, &s, &t);
        loss += value / blocks;
        let by_z = product(size, &ds, &transposed(dim, &w));
        dz.iter_mut().zip(by_z).for_each(|(dz, x)| *dz += x / blocks);
        let by_w = product(ds.len() / size, &transposed(size, &ds), &transposed(dim, z));
        for (c, row) in block.iter().zip(by_w.chunks(dim)) {
            dw[c * dim..][..dim].iter_mut().zip(row).for_each(|(dw, x)| *dw = x / blocks);
        }

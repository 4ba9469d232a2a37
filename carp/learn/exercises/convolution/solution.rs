                for dr in 0..r {
                    for ds in 0..s {
                        let (row, column) = (p * stride + dr, q * stride + ds);
                        let inside = (padding..h + padding).contains(&row)
                            && (padding..w + padding).contains(&column);
                        if !inside {
                            continue;
                        }
                        let (row, column) = (row - padding, column - padding);
                        for channel in 0..c {
                            sum += x[(row * w + column) * c + channel]
                                * windows[((out * r + dr) * s + ds) * c + channel];
                        }
                    }
                }

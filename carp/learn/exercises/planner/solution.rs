        let mut end = 0;
        let mut best: Option<(usize, usize)> = None;
        for (from, to) in busy {
            let gap = from.saturating_sub(end);
            if gap >= blocks[block].len && best.is_none_or(|(smallest, _)| gap < smallest) {
                best = Some((gap, end));
            }
            end = end.max(to);
        }
        offsets[block] = best.map_or(end, |(_, start)| start);

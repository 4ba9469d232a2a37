        let max = chunk.iter().copied().fold(self.max, f64::max);
        self.sum *= (self.max - max).exp();
        self.sum += chunk.iter().map(|x| (x - max).exp()).sum::<f64>();
        self.max = max;

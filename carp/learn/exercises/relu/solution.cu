    if (i < n) y[i] = fmaxf(x[i], 0.0f);

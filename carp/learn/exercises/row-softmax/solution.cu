    float e = expf(value - m), sum = e;
    for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(all, sum, distance);
    value = e / sum;

    float p = es / warp_sum(es), q = et / warp_sum(et);
    float d = warp_sum(p * q);
    if (lane == 0) loss[row] = -logf(d);
    if (inside) ds[i] = p * (1.0f - q / d);

    __syncthreads();
    y[(32 * bx + ty) * 64 + 32 * by + tx] = tile[tx][ty];

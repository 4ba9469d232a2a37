        as[ty][tx] = x;
        bs[ty][tx] = y;
        __syncthreads();
        for (unsigned l = 0; l < 16; l++) sum += as[ty][l] * bs[l][tx];
        __syncthreads();

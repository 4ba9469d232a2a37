        __syncthreads();
        if (thread < half) shared[thread] += shared[thread + half];

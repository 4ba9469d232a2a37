// Lanes that part and end, give up or leave loops at different times; those that go on meet again
// before they work together. Each kernel runs on one block of 64 threads: x [64], y [64].

__device__ float warp_sum(float sum) {
    for (int step = 16; step; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    return sum;
}

__device__ float block_sum(float sum) {
    __shared__ float of_warp[2];
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = sum;
    __syncthreads();
    return of_warp[0] + of_warp[1];
}

// A return in a branch that only some lanes take; the others vote and add up afterwards.
extern "C" __global__ void early_return(const float *x, float *y, int n) {
    int i = threadIdx.x;
    float mine = x[i];
    if (i % 2) {
        mine *= 3;
        if (i % 32 >= 24) {
            y[i] = -mine;
            return;
        }
        mine += 1;
    }
    unsigned here = __ballot_sync(0xffffffffu, mine >= 0);
    y[i] = here + 64.0f * __reduce_add_sync(here, (unsigned)mine);
}

// The same, but all of the branch ends, on one of two ways.
extern "C" __global__ void returns_on_both_sides(const float *x, float *y, int n) {
    int i = threadIdx.x;
    float mine = x[i];
    if (i % 4 == 1) {
        if (i % 32 >= 16) {
            y[i] = mine + 100;
            return;
        } else {
            y[i] = mine + 200;
            return;
        }
    }
    if (i % 4 == 2) {
        if (mine > 10) mine = 10;
        else mine = 2 * mine;
    }
    unsigned here = __ballot_sync(0xffffffffu, true);
    y[i] = here + __reduce_add_sync(here, (unsigned)mine);
}

// A check in a branch in a loop, and then a sum of the block.
extern "C" __global__ void assertion_in_a_loop(const float *x, float *y, int n) {
    float sum = 0;
    for (int i = threadIdx.x; i < n; i += 64) {
        if (x[i % 64] > 3) {
            sum += 2 * x[i % 64];
            if (y[threadIdx.x] > 0) __trap();  // never written before the end
        } else {
            sum += 1;
        }
        sum = warp_sum(sum);
    }
    y[threadIdx.x] = block_sum(sum);
}

// Loops that end at different times, by their bound, by break, and by return.
extern "C" __global__ void trip_counts(const float *x, float *y, int n) {
    int i = threadIdx.x;
    float sum = 0;
    for (int step = 0; step < i % 7 + 1; step++) {
        sum += x[(i + step) % 64];
        if (sum > 40) break;
        if (step == 5 && i % 2) {
            y[i] = -1;
            return;
        }
    }
    unsigned here = __ballot_sync(0xffffffffu, true);
    y[i] = here + 1024.0f * __reduce_add_sync(here, (unsigned)sum);
}

// Lanes leave a loop in which the others go on adding up.
extern "C" __global__ void return_from_a_loop(const float *x, float *y, int n) {
    int i = threadIdx.x;
    unsigned total = 0;
    for (int step = 0; step < 4; step++) {
        if (i % 4 == 0) {
            total += 1;
            if (i % 32 == 4 * step) {
                y[i] = total;
                return;
            }
        }
        unsigned here = __ballot_sync(0xffffffffu, true);
        total += __reduce_add_sync(here, 1u);
    }
    y[i] = total;
}

// Two conditions, either of which is enough: lanes come to the sum from two places.
extern "C" __global__ void either_condition(const float *x, float *y, int n) {
    int i = threadIdx.x;
    float mine = x[i];
    unsigned mask = __ballot_sync(0xffffffffu, i % 2 == 1 || x[63 - i] > 5);
    if (i % 2 == 1 || ((const volatile float *)x)[63 - i] > 5) {
        mine = __reduce_add_sync(mask, (unsigned)mine);
    }
    y[i] = mine;
}

// Some lanes give up.
extern "C" __global__ void some_trap(const float *x, float *y, int n) {
    int i = threadIdx.x;
    float mine = x[i];
    if (i % 2) {
        mine += 1;
        if (i == 45) __trap();
    }
    y[i] = warp_sum(mine);
}

// Warp sums by lanes of which some have ended.
extern "C" __global__ void sum_with_the_ended(const float *x, float *y, int n) {
    int i = threadIdx.x;
    if (i >= n) return;
    y[i] = warp_sum(x[i]);
}

// Barriers that lanes pass which others ended before.
extern "C" __global__ void barrier_after_returns(const float *x, float *y, int n) {
    __shared__ float tile[64];
    int i = threadIdx.x;
    tile[i] = x[i];
    if (i % 32 >= 8) {
        tile[i] = 2 * x[i];
        if (x[i] != 5) return;
    }
    __syncthreads();
    y[i] = tile[63 - i];
}

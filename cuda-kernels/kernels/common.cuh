// What the kernels share: names of sizes, and reductions in fixed trees.
//
// A sum in floating point depends on the order of its terms. Here every order is fixed by the
// shape of the data and of the block alone, so two runs give the same bits; no atomic adds.
#pragma once

typedef unsigned int u32;

enum : u32 {
    WARP = 32,           // threads that run in step
    FULL = 0xffffffffu,  // all lanes of a warp
    TILE_THREADS = 1024  // most threads of a 2-D block, see sum_over_y
};

__device__ inline float infinity() { return __int_as_float(0x7f800000); }

// The index of this thread in a 1-D grid of 1-D blocks: one thread per element.
__device__ inline u32 element() { return blockIdx.x * blockDim.x + threadIdx.x; }

// How many of first, first + step, first + 2 step .. are below end. A loop whose length is known
// beforehand is unrolled so that several loads are under way at a time.
__device__ inline u32 steps(u32 first, u32 end, u32 step) {
    return first < end ? (end - first - 1) / step + 1 : 0;
}

// Sum of x over the 32 lanes, in every lane: five exchanges between lanes d apart.
__device__ inline float warp_sum(float x) {
    for (u32 d = WARP / 2; d > 0; d /= 2) x += __shfl_xor_sync(FULL, x, d);
    return x;
}

// Largest x of the 32 lanes, in every lane; a NaN loses against a number.
__device__ inline float warp_max(float x) {
    for (u32 d = WARP / 2; d > 0; d /= 2) x = fmaxf(x, __shfl_xor_sync(FULL, x, d));
    return x;
}

// One float per warp of the block, and 0 for the warps that it does not have.
__device__ inline float exchange_between_warps(float x, float absent) {
    __shared__ float of_warp[WARP];
    u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    __syncthreads();  // an earlier exchange may still be read
    if (lane == 0) of_warp[warp] = x;
    __syncthreads();
    return lane < blockDim.x / WARP ? of_warp[lane] : absent;
}

// Sum of x over a 1-D block of whole warps, in every thread.
__device__ inline float block_sum(float x) {
    x = warp_sum(x);
    return blockDim.x == WARP ? x : warp_sum(exchange_between_warps(x, 0.0f));
}

// Largest x of a 1-D block of whole warps, in every thread; a NaN loses against a number.
__device__ inline float block_max(float x) {
    x = warp_max(x);
    return blockDim.x == WARP ? x : warp_max(exchange_between_warps(x, -infinity()));
}

// A 2-D block covers a tile of a matrix [rows, columns]: threadIdx.x is a column, and the threads
// above each other in threadIdx.y share its rows. blockDim.y is a power of two, and blockDim.x as
// well, at most 32: a warp reads 128 bytes of one row, or of several neighbouring ones.

// Sum of x over threadIdx.y for each threadIdx.x; right where threadIdx.y is 0.
__device__ inline float sum_over_y(float x) {
    __shared__ float part[TILE_THREADS];
    u32 t = threadIdx.y * blockDim.x + threadIdx.x;
    __syncthreads();  // an earlier sum may still be read
    part[t] = x;
    for (u32 half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half) part[t] += part[t + half * blockDim.x];
    }
    return part[t];
}

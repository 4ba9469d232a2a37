// What the kernels share: names of sizes, and sums in the orders of tensor/src/order.rs.
//
// A sum in floating point depends on the order of its terms, and so do the bits of a result. Every
// order is the CPU's, whatever the geometry of a launch; no atomic adds. NVRTC is told not to
// contract a product and a sum to fmaf, which rounds once instead of twice: where the CPU does, the
// kernels say fmaf themselves. Division and square root are rounded correctly everywhere.
#pragma once

typedef unsigned int u32;

enum : u32 {
    WARP = 32,          // threads that run in step
    FULL = 0xffffffffu  // all lanes of a warp
};

__device__ inline float infinity() { return __int_as_float(0x7f800000); }

// The index of this thread in a 1-D grid of 1-D blocks: one thread per element.
__device__ inline u32 element() { return blockIdx.x * blockDim.x + threadIdx.x; }

// How many of first, first + step, first + 2 step .. are below end. A loop whose length is known
// beforehand is unrolled so that several loads are under way at a time.
__device__ inline u32 steps(u32 first, u32 end, u32 step) {
    return first < end ? (end - first - 1) / step + 1 : 0;
}

// Sum of x over the 32 lanes, in every lane: pairwise, lanes 16 apart first. Both of a pair compute
// the same.
__device__ inline float warp_sum(float x) {
    for (u32 d = WARP / 2; d > 0; d /= 2) x += __shfl_xor_sync(FULL, x, d);
    return x;
}

// The larger one, and a on a tie; a NaN loses against a number.
__device__ inline float larger(float a, float b) { return b > a ? b : a; }

// Largest x of the 32 lanes, in every lane, pairwise as warp_sum.
__device__ inline float warp_max(float x) {
    for (u32 d = WARP / 2; d > 0; d /= 2) {
        float other = __shfl_xor_sync(FULL, x, d);
        x = threadIdx.x & d ? larger(other, x) : larger(x, other);
    }
    return x;
}

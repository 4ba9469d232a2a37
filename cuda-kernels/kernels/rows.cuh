// Rows of a matrix, a warp for each. Lane l takes elements l, l + 32, .. of its row, and the lanes
// are added pairwise: 32 is ROW_LANES of tensor/src/order.rs. All threads of a warp call these
// together, and each gets the result.
#pragma once
#include "common.cuh"

// The row of this thread's warp, in a 1-D grid of 1-D blocks of whole warps.
__device__ inline u32 row_of_warp() { return element() / WARP; }
__device__ inline u32 lane() { return threadIdx.x % WARP; }

__device__ inline float row_max(const float* x, u32 columns) {
    float max = -infinity();
    for (u32 c = lane(); c < columns; c += WARP) max = larger(max, x[c]);
    return warp_max(max);
}

__device__ inline float row_sum(const float* x, u32 columns) {
    float sum = 0.0f;
    for (u32 c = lane(); c < columns; c += WARP) sum += x[c];
    return warp_sum(sum);
}

// <a, b>
__device__ inline float row_dot(const float* a, const float* b, u32 columns) {
    float dot = 0.0f;
    for (u32 c = lane(); c < columns; c += WARP) dot = fmaf(a[c], b[c], dot);
    return warp_sum(dot);
}

// Rows of a matrix, a warp for each. Lane l takes elements l, l + 32, .. of its row, and the lanes
// are added pairwise: 32 is ROW_LANES of tensor/src/order.rs. All threads of a warp call these
// together, and each gets the result. A lane has several loads under way at a time.
#pragma once
#include "common.cuh"

// The row of this thread's warp, in a 1-D grid of 1-D blocks of whole warps.
__device__ inline u32 row_of_warp() { return element() / WARP; }
__device__ inline u32 lane() { return threadIdx.x % WARP; }

__device__ inline float row_max(const float* x, u32 columns) {
    float max = -infinity();
    u32 count = steps(lane(), columns, WARP);
#pragma unroll 8
    for (u32 k = 0; k < count; ++k) max = larger(max, x[lane() + k * WARP]);
    return warp_max(max);
}

__device__ inline float row_sum(const float* x, u32 columns) {
    float sum = 0.0f;
    u32 count = steps(lane(), columns, WARP);
#pragma unroll 8
    for (u32 k = 0; k < count; ++k) sum += x[lane() + k * WARP];
    return warp_sum(sum);
}

// <a, b>
__device__ inline float row_dot(const float* a, const float* b, u32 columns) {
    float dot = 0.0f;
    u32 count = steps(lane(), columns, WARP);
#pragma unroll 4
    for (u32 k = 0; k < count; ++k) dot = fmaf(a[lane() + k * WARP], b[lane() + k * WARP], dot);
    return warp_sum(dot);
}

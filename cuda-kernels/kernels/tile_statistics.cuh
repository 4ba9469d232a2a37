// Batch norm's first stage (batch_norm.cu) on a tile of a convolution's results, while they are in registers:
// the tile's rows are a group, of which each channel's mean is found, and the squares around it.
//
// As there, nothing large is subtracted from anything large: distances are from the first of a warp's rows,
// squares around the warp's mean, and the warps' means around that of the tile. A constant channel has
// squares of 0. The order of these sums is the tile's own, and always the same.
#pragma once
#include "tensor_core.cuh"

// Sums over the lanes that have the same columns of a warp's sums, in all of them. A lane waits for another
// one's number, so all of them are under way at a time.
template <u32 N> __device__ inline void sum_lanes(float (&x)[N]) {
#pragma unroll
    for (u32 d = WARP / 2; d >= 4; d /= 2) {
#pragma unroll
        for (u32 j = 0; j < N; ++j) x[j] += __shfl_xor_sync(FULL, x[j], d);
    }
}

// Rounds the sums to what bf16 in memory keeps of them.
template <u32 ROWS, u32 COLUMNS> __device__ inline void round_sums(Sums<ROWS, COLUMNS>& sums) {
#pragma unroll
    for (u32 u = 0; u < ROWS; ++u) {
#pragma unroll
        for (u32 v = 0; v < COLUMNS; ++v) {
#pragma unroll
            for (u32 e = 0; e < 4; e += 2) {
                float(&x)[4] = sums.d[u][v];
                u32 pair = to_pair(x[e], x[e + 1]);
                x[e] = low_of(pair), x[e + 1] = high_of(pair);
            }
        }
    }
}

// A tile of M rows and N columns in the sums of warps, WARPS_DOWN of them below each other.
template <u32 M, u32 N, u32 WARPS_DOWN> struct TileStatistics {
    static constexpr u32 WARP_ROWS = M / WARPS_DOWN;
    float mean[WARPS_DOWN][N], squares[WARPS_DOWN][N];

    // What a warp has of them: the `down`-th from above, from column `first` on, with `rows` rows inside.
    template <u32 ROWS, u32 COLUMNS>
    __device__ void put(const Sums<ROWS, COLUMNS>& sums, u32 down, u32 first, u32 rows) {
        constexpr u32 TOGETHER = 4;  // pairs of columns that are summed at a time
        u32 lane = threadIdx.x % WARP;
        float share = rows > 0 ? 1.0f / (float)rows : 0.0f;
        auto inside = [&](u32 u, u32 half) { return 16 * u + 8 * half + lane / 4 < rows; };
#pragma unroll
        for (u32 first_pair = 0; first_pair < COLUMNS; first_pair += TOGETHER) {
            // Selections instead of jumps, which would keep the columns apart.
            float middle[2 * TOGETHER], around[2 * TOGETHER] = {}, sum[2 * TOGETHER] = {};
#pragma unroll
            for (u32 j = 0; j < 2 * TOGETHER; ++j) {
                u32 v = first_pair + j / 2, e = j % 2;
                middle[j] = __shfl_sync(FULL, sums.d[0][v][e], lane % 4);
#pragma unroll
                for (u32 u = 0; u < ROWS; ++u) {
                    for (u32 half = 0; half < 2; ++half) {
                        float distance = sums.d[u][v][e + 2 * half] - middle[j];
                        sum[j] += inside(u, half) ? distance : 0.0f;
                    }
                }
            }
            sum_lanes(sum);
#pragma unroll
            for (u32 j = 0; j < 2 * TOGETHER; ++j) {
                u32 v = first_pair + j / 2, e = j % 2;
                middle[j] = fmaf(sum[j], share, middle[j]);
#pragma unroll
                for (u32 u = 0; u < ROWS; ++u) {
                    for (u32 half = 0; half < 2; ++half) {
                        float distance = sums.d[u][v][e + 2 * half] - middle[j];
                        distance = inside(u, half) ? distance : 0.0f;
                        around[j] = fmaf(distance, distance, around[j]);
                    }
                }
            }
            sum_lanes(around);
            if (lane >= 4) continue;
#pragma unroll
            for (u32 j = 0; j < 2 * TOGETHER; ++j) {
                u32 v = first_pair + j / 2, e = j % 2;
                // The columns are packed: see packed_weights.cuh.
                u32 column = first + 8 * (v & ~1u) + 4 * lane + v % 2 * 2 + e;
                mean[down][column] = middle[j], squares[down][column] = around[j];
            }
        }
    }

    // Those of a column of the tile, `rows` of whose rows are inside: mean and squares, at two places.
    __device__ void store(u32 j, u32 rows, float* mean_at, float* squares_at) const {
        float sum = 0.0f, around = 0.0f;
        auto count = [&](u32 down) { return (float)min(WARP_ROWS, rows - down * WARP_ROWS); };
        for (u32 down = 0; down * WARP_ROWS < rows; ++down) {
            sum = fmaf(count(down), mean[down][j] - mean[0][j], sum);
        }
        float middle = sum / (float)rows + mean[0][j];
        for (u32 down = 0; down * WARP_ROWS < rows; ++down) {
            float distance = mean[down][j] - middle;
            around += fmaf(count(down) * distance, distance, squares[down][j]);
        }
        *mean_at = middle, *squares_at = around;
    }
};

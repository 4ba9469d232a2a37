// Batch norm's first stage of gradients (batch_norm.cu) on a tile of a convolution's gradient by its input, from
// shared memory: there a thread has few columns of many rows, and reads batch norm's operands along rows, as
// they lie. The tile's rows are a group: of each channel the sums of g and of g (x - mean), in chains of every
// CHAINS-th row, then these in order.
#pragma once
#include "tensor_core.cuh"

// What a gradient by the input goes through behind the convolution, and what batch norm's sums of it need:
// see Conv2dGradInputSums in tensor/src/kernel.rs. Nothing if x is null; y is without ReLU, and `added` where
// nothing is added.
struct Behind {
    const void *x, *y, *added;
    const float* mean;
};

// Four neighbours in memory as they lie there, so that a load is only waited for where they are unpacked.
template <class T> struct __align__(4 * sizeof(T)) Four {
    u32 words[sizeof(T)];

    __device__ float number(u32 i) const {
        if (sizeof(T) == 4) return __uint_as_float(words[i]);
        return i % 2 ? high_of(words[i / 2]) : low_of(words[i / 2]);
    }
};

// A tile in shared memory. Padded: two rows of a warp's sums are in other banks.
template <u32 M, u32 N> struct TileRows {
    static constexpr u32 QUADS = N / 4, CHAINS = THREADS / QUADS;
    union {
        float row[M][N + 16];
        float chains[2][CHAINS][N];
    };

    // Four columns from j on.
    __device__ void put(u32 i, u32 j, const float (&x)[4]) {
        Neighbours<4>{{x[0], x[1], x[2], x[3]}}.store(&row[i][j]);
    }

    // Stores g, which is 0 where y is 0, of all rows up to `rows`, and its sums at `parts`, [2, columns].
    // `place` says which of the results' rows one is. Numbers are of type T in memory; `whole`: rows are whole
    // groups of four, and aligned. bf16 always are.
    template <class T, class Results, class Place>
    __device__ void finish(const Results& results, const Behind& behind, u32 rows, u32 first_column,
                           Place place, bool whole, float* parts) {
        constexpr u32 TOGETHER = 16 / sizeof(T);  // so many rows' operands are under way at a time
        u32 chain = threadIdx.x / QUADS, column = threadIdx.x % QUADS * 4, j = first_column + column;
        u32 left = min(results.left(j), 4);
        float center[4], sum_g[4] = {}, sum_gx[4] = {};
        for (u32 c = 0; c < 4; ++c) center[c] = c < left ? behind.mean[j + c] : 0.0f;
        // Operands that are not there are x once more, and rows outside the first: so no load has a condition,
        // and none is waited for before the last has been issued.
        bool has_relu = behind.y != nullptr;
        const void* operands[] = {behind.x, behind.y != nullptr ? behind.y : behind.x,
                                  behind.added != nullptr ? behind.added : behind.x};
#pragma unroll 1
        for (u32 first = chain; first < rows; first += TOGETHER * CHAINS) {
            u32 at[TOGETHER];
            Four<T> fours[3][TOGETHER];
#pragma unroll
            for (u32 k = 0; k < TOGETHER; ++k) {
                u32 i = first + k * CHAINS;
                at[k] = place(i < rows ? i : 0);
            }
            if (sizeof(T) == 2 || whole) {
#pragma unroll
                for (u32 o = 0; o < 3; ++o) {
#pragma unroll
                    for (u32 k = 0; k < TOGETHER; ++k) {
                        fours[o][k] = *(const Four<T>*)((const T*)operands[o] + results.at(at[k], left > 0 ? j : 0));
                    }
                }
            } else {
                for (u32 o = 0; o < 3; ++o) {
                    for (u32 k = 0; k < TOGETHER; ++k) {
                        const u32* from = (const u32*)operands[o] + results.at(at[k], 0);
                        for (u32 c = 0; c < sizeof(T); ++c) fours[o][k].words[c] = from[c < left ? j + c : 0];
                    }
                }
            }
#pragma unroll
            for (u32 k = 0; k < TOGETHER; ++k) {
                u32 i = first + k * CHAINS;
                if (i >= rows || left == 0) continue;
                float g[4], x[4];
                for (u32 c = 0; c < 4; ++c) {
                    x[c] = fours[0][k].number(c);
                    g[c] = (behind.added != nullptr ? fours[2][k].number(c) : 0.0f) + row[i][column + c];
                    g[c] = has_relu & (fours[1][k].number(c) <= 0.0f) ? 0.0f : g[c];  // without a jump
                }
                results.store(at[k], j, g, whole);
                // What is stored is what is summed.
                for (u32 c = 0; sizeof(T) == 2 && c < 4; c += 2) {
                    u32 pair = to_pair(g[c], g[c + 1]);
                    g[c] = low_of(pair), g[c + 1] = high_of(pair);
                }
                for (u32 c = 0; c < 4; ++c) {
                    sum_g[c] += g[c];
                    sum_gx[c] = fmaf(g[c], x[c] - center[c], sum_gx[c]);
                }
            }
        }
        __syncthreads();  // the rows have been read by all
        for (u32 c = 0; c < 4; ++c) {
            chains[0][chain][column + c] = sum_g[c], chains[1][chain][column + c] = sum_gx[c];
        }
        __syncthreads();
        for (u32 i = threadIdx.x; i < 2 * N; i += THREADS) {
            u32 sum = i / N, c = i % N;
            float all = 0.0f;
            for (u32 chain = 0; chain < CHAINS; ++chain) all += chains[sum][chain][c];
            if (first_column + c < results.columns) parts[sum * results.columns + first_column + c] = all;
        }
    }
};

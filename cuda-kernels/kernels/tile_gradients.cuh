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

// Loads FLOATS neighbours of a row of which `left` are inside, 0 for the others; `whole`: all or none are,
// and aligned.
template <u32 FLOATS, class T>
__device__ inline void load_row(const T* at, float (&x)[FLOATS], u32 left, bool whole) {
    Neighbours<FLOATS, T> neighbours = {};
    if (whole) {
        if (left > 0) neighbours = Neighbours<FLOATS, T>::at(at);
    } else {
        for (u32 j = 0; j < FLOATS; ++j) {
            if (left > j) neighbours.of[j] = load(at + j);
        }
    }
    for (u32 j = 0; j < FLOATS; ++j) x[j] = neighbours.of[j];
}

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
    // `place` says which of the results' rows one is.
    template <class Results, class Place>
    __device__ void finish(const Results& results, const Behind& behind, u32 rows, u32 first_column,
                           Place place, bool whole, float* parts) {
        constexpr u32 TOGETHER = 8;  // so many rows' operands are under way at a time
        u32 chain = threadIdx.x / QUADS, column = threadIdx.x % QUADS * 4, j = first_column + column;
        float center[4], sum_g[4] = {}, sum_gx[4] = {};
        load_row(behind.mean + j, center, results.left(j), false);
#pragma unroll 1
        for (u32 first = chain; first < rows; first += TOGETHER * CHAINS) {
            u32 at[TOGETHER], left[TOGETHER];
            float x[TOGETHER][4], y[TOGETHER][4], g[TOGETHER][4];
#pragma unroll
            for (u32 k = 0; k < TOGETHER; ++k) {
                u32 i = first + k * CHAINS;
                left[k] = i < rows ? results.left(j) : 0;
                at[k] = i < rows ? place(i) : 0;
                results.load(behind.x, at[k], j, x[k], left[k], whole);
                results.load(behind.y, at[k], j, y[k], behind.y != nullptr ? left[k] : 0, whole);
                results.load(behind.added, at[k], j, g[k], behind.added != nullptr ? left[k] : 0, whole);
            }
#pragma unroll
            for (u32 k = 0; k < TOGETHER; ++k) {
                if (left[k] == 0) continue;
                for (u32 c = 0; c < 4; ++c) {
                    g[k][c] += row[first + k * CHAINS][column + c];
                    g[k][c] = behind.y != nullptr && y[k][c] <= 0.0f ? 0.0f : g[k][c];
                }
                results.store(at[k], j, g[k], whole);
                // What is stored is what is summed.
                for (u32 c = 0; results.halves && c < 4; c += 2) {
                    u32 pair = to_pair(g[k][c], g[k][c + 1]);
                    g[k][c] = low_of(pair), g[k][c + 1] = high_of(pair);
                }
                for (u32 c = 0; c < 4; ++c) {
                    sum_g[c] += g[k][c];
                    sum_gx[c] = fmaf(g[k][c], x[k][c] - center[c], sum_gx[c]);
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

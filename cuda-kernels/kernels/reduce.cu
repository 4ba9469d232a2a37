// Sums over rows, over columns and over everything.
#include "rows.cuh"
#include "tree.cuh"

// y[part,c] = sum over the rows r of a part of x[r,c]; x is [rows, columns], y [parts, columns].
// The parts are then added up by gemm_sum_parts.
//
// Launch: one thread per element of y, n of them, which goes down the rows of its part.
// Traffic: x once; parts * columns partial sums written and read, rows_per_part times less.
extern "C" __global__ void sum_rows(const float* x, float* y, u32 n, u32 rows, u32 columns,
                                    u32 rows_per_part) {
    u32 i = element();
    if (i >= n) return;
    u32 part = i / columns, c = i % columns;
    u32 first = part * rows_per_part, count = min(rows_per_part, rows - first);
    x += (size_t)first * columns + c;
    float sum = 0.0f;
#pragma unroll 4
    for (u32 r = 0; r < count; ++r) sum += x[(size_t)r * columns];
    y[i] = sum;
}

// y[r] = sum over c of x[r,c]; x is [rows, columns].
//
// Launch: one warp per row, see rows.cuh.
// Traffic: x once, y once.
extern "C" __global__ void sum_columns(const float* x, float* y, u32 rows, u32 columns) {
    u32 row = row_of_warp();
    if (row >= rows) return;
    float sum = row_sum(x + (size_t)row * columns, columns);
    if (lane() == 0) y[row] = sum;
}

// dx[r,c] = dy[r]; n = rows * columns. One thread per element. Traffic: dy once, dx once.
extern "C" __global__ void sum_columns_backward(const float* dy, float* dx, u32 n, u32 columns) {
    u32 i = element();
    if (i < n) dx[i] = dy[i / columns];
}

// nodes[block] = the sum of a node of the tree over x, see tree.cuh.
//
// Launch: a block for each node of depth `depth`.
// Traffic: x once.
extern "C" __global__ void __launch_bounds__(CHUNK_THREADS)
    sum_nodes(const float* x, double* nodes, u32 n, u32 depth) {
    Node part = node((n + CHUNK - 1) / CHUNK, depth, blockIdx.x);
    double sum = sum_node(part, [=](u32 chunk) {
        u32 first = chunk * CHUNK;
        return sum_chunk(x + first, min(CHUNK, n - first), [](float x) { return x; });
    });
    if (threadIdx.x == 0) nodes[blockIdx.x] = sum;
}

// y[0] = alpha times the sum of x, from its nodes. Launch: one thread.
extern "C" __global__ void sum_of_nodes(float alpha, double* nodes, float* y, u32 depth) {
    *y = (float)((double)alpha * sum_root(nodes, depth));
}

// counts[warp] = how many elements of x are infinite or NaN, of those that fall to a warp: the
// exponent's bits are all set. Thread t of the grid takes elements t, t + T, t + 2T .. with T
// threads in all.
extern "C" __global__ void count_not_finite(const u32* x, float* counts, u32 n) {
    const u32 EXPONENT = 0x7f800000u;
    float count = 0.0f;
    for (size_t i = element(); i < n; i += gridDim.x * blockDim.x) {
        if ((x[i] & EXPONENT) == EXPONENT) count += 1.0f;
    }
    count = warp_sum(count);
    if (lane() == 0) counts[row_of_warp()] = count;
}

// Sums over rows, over columns and over everything, and whether everything is finite.
#include "rows.cuh"
#include "tree.cuh"

// Not all bits of the exponent are set.
__device__ inline bool is_finite(float x) {
    const u32 EXPONENT = 0x7f800000u;
    return (__float_as_uint(x) & EXPONENT) != EXPONENT;
}

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

// report[0] = 1 if one of the scalars a, b, c [1] is infinite or NaN, else 0; the scalars follow. Null:
// there is none. Launch: one thread. There are MOST_SCALARS of tensor/src/kernel.rs.
extern "C" __global__ void check_scalars(const float* a, const float* b, const float* c,
                                         float* report) {
    const float* scalars[] = {a, b, c};
    bool found = false;
    for (u32 i = 0; i < 3; ++i) {
        if (scalars[i] == nullptr) continue;
        report[1 + i] = *scalars[i];
        found |= !is_finite(*scalars[i]);
    }
    report[0] = found;
}

// Whether one of x[first] .. x[end - 1] that fall to this thread is infinite or NaN.
__device__ inline bool finds(const float* x, u32 first, u32 end) {
    first += threadIdx.x;
    u32 count = steps(first, end, CHUNK_THREADS), found = 0;
#pragma unroll 4
    for (u32 i = 0; i < count; ++i) found |= !is_finite(x[first + i * CHUNK_THREADS]);
    return found;
}

// report[0] = 1 if an element of x [n] is infinite or NaN, else as it was. With ranges only elements of
// tensors count: tensor t is those from ranges[2t] up to ranges[2t+1], and the next lies behind it.
//
// Launch: a block of 256 threads for each CHECKED elements of x. Its first tensor is found by bisection.
// Traffic: x once.
constexpr u32 CHECKED = 8192;

extern "C" __global__ void __launch_bounds__(CHUNK_THREADS)
    check_finite(const float* x, const u32* ranges, float* report, u32 n, u32 tensors) {
    u32 start = blockIdx.x * CHECKED, end = min(start + CHECKED, n);
    bool found = false;
    if (ranges == nullptr) {
        found = finds(x, start, end);
    } else {
        u32 tensor = 0;
        for (u32 beyond = tensors; tensor < beyond;) {
            u32 middle = (tensor + beyond) / 2;
            bool is_before = ranges[2 * middle + 1] <= start;
            if (is_before) tensor = middle + 1;
            else beyond = middle;
        }
        for (; tensor < tensors && ranges[2 * tensor] < end; ++tensor) {
            u32 first = max(start, ranges[2 * tensor]);
            found |= finds(x, first, min(end, ranges[2 * tensor + 1]));
        }
    }
    if (found) report[0] = 1.0f;
}

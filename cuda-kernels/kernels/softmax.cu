// Softmax and log-softmax of the rows of x [rows, columns].
//
// m = max over c of x[c], s = sum over c of exp(x[c] - m); y = exp(x - m) / s. Without the maximum
// exp would overflow above 88. A NaN anywhere in a row makes s, and so the whole row, NaN.
//
// Launch: one warp per row, see rows.cuh.
// Traffic: each row is read up to three times but comes from memory once (it is at most a few
// hundred KB, and the caches hold it), and is written once: 8 bytes per element, 12 with dy.
#include "math.cuh"
#include "rows.cuh"

// sum over c of exp(x[c] - m)
__device__ inline float row_sum_exp(const float* x, float m, u32 columns) {
    float s = 0.0f;
    for (u32 c = lane(); c < columns; c += WARP) s += exact_exp(x[c] - m);
    return warp_sum(s);
}

// y = exp(x - m) / s
extern "C" __global__ void softmax(const float* x, float* y, u32 rows, u32 columns) {
    if (row_of_warp() >= rows) return;
    x += (size_t)row_of_warp() * columns;
    y += (size_t)row_of_warp() * columns;
    float m = row_max(x, columns);
    float scale = 1.0f / row_sum_exp(x, m, columns);
    for (u32 c = lane(); c < columns; c += WARP) y[c] = exact_exp(x[c] - m) * scale;
}

// dx = y (dy - <dy, y>)
extern "C" __global__ void softmax_backward(const float* y, const float* dy, float* dx, u32 rows,
                                            u32 columns) {
    if (row_of_warp() >= rows) return;
    y += (size_t)row_of_warp() * columns;
    dy += (size_t)row_of_warp() * columns;
    dx += (size_t)row_of_warp() * columns;
    float mean = row_dot(dy, y, columns);
    for (u32 c = lane(); c < columns; c += WARP) dx[c] = y[c] * (dy[c] - mean);
}

// y = x - m - ln s
extern "C" __global__ void log_softmax(const float* x, float* y, u32 rows, u32 columns) {
    if (row_of_warp() >= rows) return;
    x += (size_t)row_of_warp() * columns;
    y += (size_t)row_of_warp() * columns;
    float m = row_max(x, columns);
    float log_s = exact_ln(row_sum_exp(x, m, columns));
    for (u32 c = lane(); c < columns; c += WARP) y[c] = (x[c] - m) - log_s;
}

// dx = dy - exp(y) sum(dy)
extern "C" __global__ void log_softmax_backward(const float* y, const float* dy, float* dx,
                                                u32 rows, u32 columns) {
    if (row_of_warp() >= rows) return;
    y += (size_t)row_of_warp() * columns;
    dy += (size_t)row_of_warp() * columns;
    dx += (size_t)row_of_warp() * columns;
    float sum = row_sum(dy, columns);
    for (u32 c = lane(); c < columns; c += WARP) dx[c] = dy[c] - exact_exp(y[c]) * sum;
}

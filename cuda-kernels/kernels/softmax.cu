// Softmax and log-softmax of the rows of x [rows, columns].
//
// m = max over c of x[c], s = sum over c of exp(x[c] - m); y = exp(x - m) / s. Without the maximum
// exp would overflow above 88. A NaN anywhere in a row makes s, and so the whole row, NaN.
//
// Launch: one block of whole warps per row, 32 threads for a short row and 512 for a long one.
// Thread t takes elements t, t + T, t + 2T .. of its row; then shuffles within warps and one
// exchange between them, which give every thread the result.
// Traffic: each row is read up to three times but comes from memory once (it is at most a few
// hundred KB, and the caches hold it), and is written once: 8 bytes per element, 12 with dy.
#include "common.cuh"

// The largest of a row.
__device__ inline float row_max(const float* x, u32 columns) {
    float m = -infinity();
    for (u32 c = threadIdx.x; c < columns; c += blockDim.x) m = fmaxf(m, x[c]);
    return block_max(m);
}

// sum over c of exp(x[c] - m)
__device__ inline float row_sum_exp(const float* x, float m, u32 columns) {
    float s = 0.0f;
    for (u32 c = threadIdx.x; c < columns; c += blockDim.x) s += expf(x[c] - m);
    return block_sum(s);
}

// y = exp(x - m) / s
extern "C" __global__ void softmax(const float* x, float* y, u32 columns) {
    x += (size_t)blockIdx.x * columns;
    y += (size_t)blockIdx.x * columns;
    float m = row_max(x, columns);
    float scale = 1.0f / row_sum_exp(x, m, columns);
    for (u32 c = threadIdx.x; c < columns; c += blockDim.x) y[c] = expf(x[c] - m) * scale;
}

// dx = y (dy - <dy, y>)
extern "C" __global__ void softmax_backward(const float* y, const float* dy, float* dx,
                                            u32 columns) {
    y += (size_t)blockIdx.x * columns;
    dy += (size_t)blockIdx.x * columns;
    dx += (size_t)blockIdx.x * columns;
    float dot = 0.0f;
    for (u32 c = threadIdx.x; c < columns; c += blockDim.x) dot = fmaf(dy[c], y[c], dot);
    dot = block_sum(dot);
    for (u32 c = threadIdx.x; c < columns; c += blockDim.x) dx[c] = y[c] * (dy[c] - dot);
}

// y = x - m - ln s
extern "C" __global__ void log_softmax(const float* x, float* y, u32 columns) {
    x += (size_t)blockIdx.x * columns;
    y += (size_t)blockIdx.x * columns;
    float m = row_max(x, columns);
    float log_s = logf(row_sum_exp(x, m, columns));
    for (u32 c = threadIdx.x; c < columns; c += blockDim.x) y[c] = (x[c] - m) - log_s;
}

// dx = dy - exp(y) sum(dy)
extern "C" __global__ void log_softmax_backward(const float* y, const float* dy, float* dx,
                                                u32 columns) {
    y += (size_t)blockIdx.x * columns;
    dy += (size_t)blockIdx.x * columns;
    dx += (size_t)blockIdx.x * columns;
    float sum = 0.0f;
    for (u32 c = threadIdx.x; c < columns; c += blockDim.x) sum += dy[c];
    sum = block_sum(sum);
    for (u32 c = threadIdx.x; c < columns; c += blockDim.x) dx[c] = dy[c] - expf(y[c]) * sum;
}

// Rows of x [rows, columns] divided by their length: y = x / norm, norm = max(|x|, eps).
//
// With eps = 0 this is weight norm of gain 1, and a row of zeros gives NaN.
//
// Launch: one block of whole warps per row; thread t takes elements t, t + T, t + 2T .. of it.
// Traffic: forward x once (the second reading finds it in the cache) and y once, backward y and dy
// once and dx once; norm [rows] is small beside that.
#include "common.cuh"

// <a, b> of two rows, in every thread.
__device__ inline float row_dot(const float* a, const float* b, u32 columns) {
    float dot = 0.0f;
    for (u32 c = threadIdx.x; c < columns; c += blockDim.x) dot = fmaf(a[c], b[c], dot);
    return block_sum(dot);
}

// y = x / norm
extern "C" __global__ void l2_normalize(float eps, const float* x, float* y, float* norm,
                                        u32 columns) {
    x += (size_t)blockIdx.x * columns;
    y += (size_t)blockIdx.x * columns;
    float length = sqrtf(row_dot(x, x, columns));
    length = length < eps ? eps : length;
    if (threadIdx.x == 0) norm[blockIdx.x] = length;
    for (u32 c = threadIdx.x; c < columns; c += blockDim.x) y[c] = x[c] / length;
}

// dx = (dy - y <y, dy>) / norm; where |x| was below eps, norm is a constant and dx = dy / eps. Such
// a row is known by its norm being eps and |y| below 1.
extern "C" __global__ void l2_normalize_backward(float eps, const float* y, const float* norm,
                                                 const float* dy, float* dx, u32 columns) {
    y += (size_t)blockIdx.x * columns;
    dy += (size_t)blockIdx.x * columns;
    dx += (size_t)blockIdx.x * columns;
    float length = norm[blockIdx.x];
    bool is_short = length == eps && row_dot(y, y, columns) < 0.999f;
    float along = is_short ? 0.0f : row_dot(y, dy, columns);
    for (u32 c = threadIdx.x; c < columns; c += blockDim.x) dx[c] = (dy[c] - y[c] * along) / length;
}

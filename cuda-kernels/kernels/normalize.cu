// Rows of x [rows, columns] divided by their length: y = x / norm, norm = max(|x|, eps).
//
// With eps = 0 this is weight norm of gain 1, and a row of zeros gives NaN.
//
// Launch: one warp per row, see rows.cuh.
// Traffic: forward x once (the second reading finds it in the cache) and y once, backward y and dy
// once and dx once; norm [rows] is small beside that.
#include "rows.cuh"

// y = x / norm
extern "C" __global__ void l2_normalize(float eps, const float* x, float* y, float* norm, u32 rows,
                                        u32 columns) {
    u32 row = row_of_warp();
    if (row >= rows) return;
    x += (size_t)row * columns;
    y += (size_t)row * columns;
    float length = sqrtf(row_dot(x, x, columns));
    length = length < eps ? eps : length;
    if (lane() == 0) norm[row] = length;
    for (u32 c = lane(); c < columns; c += WARP) y[c] = x[c] / length;
}

// dx = (dy - y <y, dy>) / norm; where |x| was below eps, norm is a constant and dx = dy / eps. Such
// a row is known by its norm being eps and |y| below 1.
extern "C" __global__ void l2_normalize_backward(float eps, const float* y, const float* norm,
                                                 const float* dy, float* dx, u32 rows,
                                                 u32 columns) {
    u32 row = row_of_warp();
    if (row >= rows) return;
    y += (size_t)row * columns;
    dy += (size_t)row * columns;
    dx += (size_t)row * columns;
    float length = norm[row];
    bool is_short = length == eps && row_dot(y, y, columns) < 0.999f;
    float along = is_short ? 0.0f : row_dot(y, dy, columns);
    for (u32 c = lane(); c < columns; c += WARP) dx[c] = (dy[c] - y[c] * along) / length;
}

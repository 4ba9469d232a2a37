// Rows and columns picked by index, and the gradients of that. Indices are u32.
#include "common.cuh"

// y[i,c] = x[index[i],c]; n = elements of y.
//
// Launch: one thread per element of y.
// Traffic: y once and as much of x; whole rows, so a warp reads 128 neighbouring bytes.
extern "C" __global__ void gather_rows(const float* x, const u32* index, float* y, u32 n,
                                       u32 columns) {
    u32 i = element();
    if (i < n) y[i] = x[(size_t)index[i / columns] * columns + i % columns];
}

// dx[r,c] = sum of dy[i,c] over all i with index[i] = r, in order of i; 0 where there is none.
// dy is [count, columns].
//
// Many i may share a row, and additions in the order in which threads happen to arrive would give
// other bits every time. So each row of dx is owned by one warp, which looks for its number among
// all indices, 32 at a time: the ballot's bit j says that lane j found it.
// Launch: one warp per row of dx, 8 in a block.
// Traffic: dx and dy once; index once per row of dx, from the cache (count * rows / 8 sectors).
extern "C" __global__ void scatter_add_rows(const float* dy, const u32* index, float* dx, u32 rows,
                                            u32 columns, u32 count) {
    u32 r = element() / WARP, lane = threadIdx.x % WARP;
    if (r >= rows) return;  // the same for all lanes
    dx += (size_t)r * columns;
    for (u32 c = lane; c < columns; c += WARP) dx[c] = 0.0f;
    for (u32 first = 0; first < count; first += WARP) {
        u32 i = first + lane;
        u32 found = __ballot_sync(FULL, i < count && index[i] == r);
        while (found != 0) {
            const float* row = dy + (size_t)(first + __ffs(found) - 1) * columns;
            for (u32 c = lane; c < columns; c += WARP) dx[c] += row[c];
            found &= found - 1;  // without the lowest bit
        }
    }
}

// y[r,i] = x[r,index[i]] for the first `used` indices; x is [rows, columns], n = rows * used.
//
// Launch: one thread per element of y.
// Traffic: y once. The indices jump, so each element of x costs a sector of 32 bytes unless the
// cache still holds it from a neighbour.
extern "C" __global__ void gather_columns(const float* x, const u32* index, float* y, u32 n,
                                          u32 columns, u32 used) {
    u32 i = element();
    if (i < n) y[i] = x[(size_t)(i / used) * columns + index[i % used]];
}

// dx[r,index[i]] = dy[r,i], 0 elsewhere: the indices in use are distinct.
//
// Launch: one block per row: it clears the row, waits, and scatters into it.
// Traffic: dy once, dx twice, the second time in single sectors.
extern "C" __global__ void gather_columns_backward(const float* dy, const u32* index, float* dx,
                                                   u32 columns, u32 used) {
    dy += (size_t)blockIdx.x * used;
    dx += (size_t)blockIdx.x * columns;
    for (u32 c = threadIdx.x; c < columns; c += blockDim.x) dx[c] = 0.0f;
    __syncthreads();
    for (u32 i = threadIdx.x; i < used; i += blockDim.x) dx[index[i]] = dy[i];
}

// The transpose of a matrix.
#include "common.cuh"

enum : u32 {
    SIDE = 32  // of a tile
};

// y[c,r] = x[r,c]; x is [rows, columns]. A block turns a tile in shared memory, whose rows are one word
// longer, so that the words of a column are in different banks.
//
// Launch: one block of 256 threads per tile of 32 x 32, row by row of tiles.
// Traffic: x once, y once; a warp reads and writes 128 neighbouring bytes.
extern "C" __global__ void transpose(const float* x, float* y, u32 rows, u32 columns) {
    __shared__ float tile[SIDE][SIDE + 1];
    u32 across = (columns + SIDE - 1) / SIDE;
    u32 first_row = blockIdx.x / across * SIDE, first_column = blockIdx.x % across * SIDE;
    u32 lane = threadIdx.x % SIDE, warp = threadIdx.x / SIDE, warps = blockDim.x / SIDE;
    for (u32 i = warp; i < SIDE; i += warps) {
        u32 row = first_row + i, column = first_column + lane;
        if (row < rows && column < columns) tile[i][lane] = x[(size_t)row * columns + column];
    }
    __syncthreads();
    for (u32 i = warp; i < SIDE; i += warps) {
        u32 row = first_row + lane, column = first_column + i;
        if (row < rows && column < columns) y[(size_t)column * rows + row] = tile[lane][i];
    }
}

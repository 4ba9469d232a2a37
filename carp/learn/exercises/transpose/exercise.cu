// Transpose: through shared memory, so that both sides are coalesced
//
//     y[c,r] = x[r,c]        x [64,96], y [96,64]
//
// If a warp reads a row of x, its 32 numbers must go into a column of y: addresses 256 bytes apart,
// 32 transactions for one store. If it reads a column, the load is that slow. The way out is a tile
// of 32 x 32 in shared memory, which has no transactions:
//
//     tile[ty][tx] = x[32 by + ty, 32 bx + tx];   barrier;   y[32 bx + ty, 32 by + tx] = tile[tx][ty]
//
// A block of 32 x 32 threads moves one tile; tx runs fastest, so a warp is a row of threads. Note what
// is swapped in the second half: the block's corner and the place in the tile, but tx still goes along
// the last axis of y. The value that a thread stores is another thread's: hence the barrier.

extern "C" __global__ void transpose(const float *x, float *y) {
    // A row of the tile has 33 numbers: the next exercise says why not 32.
    __shared__ float tile[32][33];
    unsigned bx = blockIdx.x, by = blockIdx.y, tx = threadIdx.x, ty = threadIdx.y;
    tile[ty][tx] = x[(32 * by + ty) * 96 + 32 * bx + tx];
    // YOUR CODE BEGINS
    // wait for all threads
    // y[32 bx + ty, 32 by + tx] = tile[tx][ty]; a row of y has 64 numbers
    // YOUR CODE ENDS
}

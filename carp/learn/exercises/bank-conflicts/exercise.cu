// Bank conflicts: shared memory has 32 doors
//
//     bank of a word = (address / 4) mod 32
//
// Each bank serves one word a cycle. If the 32 lanes of a warp want words of 32 different banks, all
// are served at once; if two want different words of one bank, one of them waits. This is the
// transpose again, now with a tile whose rows take 128 bytes = 32 words. Writing it is fine: a warp
// writes a row, one word in each bank. But it reads a *column*, whose words are 32 apart: all in the
// same bank. 31 lanes wait, each for all before it.
//
// The cure costs 4 bytes a row that nobody uses: with 33 words from row to row, the words of a column
// are in different banks, too. Change the pitch.

// y [96,64] = x [64,96] transposed
extern "C" __global__ void transpose(const float *x, float *y) {
    // YOUR CODE BEGINS
    const unsigned pitch = 32;              // numbers from a row of the tile to the next
    // YOUR CODE ENDS
    __shared__ float tile[32][pitch];
    unsigned bx = blockIdx.x, by = blockIdx.y, tx = threadIdx.x, ty = threadIdx.y;
    tile[ty][tx] = x[(32 * by + ty) * 96 + 32 * bx + tx];
    __syncthreads();
    y[(32 * bx + ty) * 64 + 32 * by + tx] = tile[tx][ty];
}

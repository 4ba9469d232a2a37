// Tiled matrix product: load once, use sixteen times
//
//     c[row,column] = sum over l of a[row,l] * b[l,column]        a [32,64], b [64,48], c [32,48]
//
// With one thread per element of c and nothing more, each number of a is loaded once for every column
// of c, and memory is all that the card waits for. So 16 x 16 threads work together. For each 16 of
// the 64 l they put a tile of a and a tile of b into shared memory, one number each per thread; then
// every thread runs along its row of a's tile and its column of b's, and each loaded number is used
// 16 times.
//
//     for l0 in 0, 16, 32, 48:
//         as[ty][tx] = a[row, l0 + tx];   bs[ty][tx] = b[l0 + ty, column]
//         barrier
//         for l in 0..16:  sum += as[ty][l] * bs[l][tx]
//         barrier
//
// The first barrier: nobody reads before all have written. The second: nobody writes the next tiles
// while others still read these. Forget either, and the emulator names the lines and the threads.

extern "C" __global__ void matmul(const float *a, const float *b, float *c) {
    __shared__ float as[16][16], bs[16][16];
    unsigned tx = threadIdx.x, ty = threadIdx.y;
    unsigned row = 16 * blockIdx.y + ty, column = 16 * blockIdx.x + tx;
    float sum = 0.0f;
    for (unsigned l0 = 0; l0 < 64; l0 += 16) {
        float x = a[row * 64 + l0 + tx];
        float y = b[(l0 + ty) * 48 + column];
        // YOUR CODE BEGINS
        // as[ty][tx] = x and bs[ty][tx] = y
        // wait for all threads
        // for l in 0..16: sum += as[ty][l] * bs[l][tx]
        // wait for all threads
        // YOUR CODE ENDS
    }
    c[row * 48 + column] = sum;
}

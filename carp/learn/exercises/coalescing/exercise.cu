// Coalescing: neighbouring threads should touch neighbouring numbers
//
//     a warp's 32 threads access memory together, in transactions of 32 bytes (8 floats)
//
// This kernel is right: y = 2 x, with 16 numbers for each thread. Thread t takes the numbers 16 t,
// 16 t + 1, and so on: natural for a CPU's thread, whose cache holds its own piece. But on a card the
// 32 threads of a warp run each load at the same time. Their addresses are 64 bytes apart, so each
// of them needs its own transaction, of which it uses 4 bytes out of 32.
//
// If instead thread t takes t, t + 64, t + 128, ..., a warp asks for 128 bytes in a row: 4
// transactions, every byte used. Change where a thread starts, and its step: nothing else.
// See for yourself: carp learn picture coalescing

// A block has 64 threads and 1024 numbers.
extern "C" __global__ void twice(const float *x, float *y) {
    // YOUR CODE BEGINS
    unsigned first = 16 * threadIdx.x;      // the thread's first number in its block
    unsigned step = 1;                      // from one of its numbers to the next
    // YOUR CODE ENDS
    for (unsigned k = 0; k < 16; k++) {
        unsigned i = 1024 * blockIdx.x + first + k * step;
        y[i] = x[i] + x[i];
    }
}

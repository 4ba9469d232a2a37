// ReLU: the first kernel, a thread for each number
//
//     y[i] = max(x[i], 0)        i = block * threads of a block + thread
//
// A kernel is written for one thread; a launch starts a grid of blocks of threads: here 256 threads
// each, and as many blocks as n numbers take. The last threads of the last block may have no number,
// and must not touch memory. That is the guard of nearly every kernel.
//
// This is the exercise of the .ptx file of the same number, in CUDA C++: fill the gap of either.

extern "C" __global__ void relu(const float *x, float *y, unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    // YOUR CODE BEGINS
    // where i < n: y[i] = max(x[i], 0)
    // YOUR CODE ENDS
}

// A sum over a block: shared memory, and barriers
//
//     for half in 128, 64, ..., 1:   if thread < half:  shared[thread] += shared[thread + half]
//
// A block has 256 threads: eight warps, and warps do *not* run in step. Their common memory is shared
// memory. What one thread writes, another may read only after a barrier: `__syncthreads()` holds every
// thread of the block until all have arrived. So each turn of the loop begins with one; otherwise a
// warp that is ahead reads what another has not written yet. Such a race may give the right sum a
// thousand times, and a wrong one on another card; the emulator finds it whatever the sum is.
//
// Every thread must reach the barrier: keep it out of code that only some of them run.
// (Once one warp is left, warp-sum's exchanges would be cheaper; here the loop goes down to 1.)

// y[block] = sum of the block's 256 numbers of x [n].
extern "C" __global__ void sum_blocks(const float *x, float *y, unsigned n) {
    __shared__ float shared[256];
    unsigned thread = threadIdx.x;
    unsigned i = 256 * blockIdx.x + thread;
    shared[thread] = i < n ? x[i] : 0.0f;
    for (unsigned half = 128; half > 0; half /= 2) {
        // YOUR CODE BEGINS
        // wait for all threads
        // if thread < half: add the number that is half further to the thread's own
        // YOUR CODE ENDS
    }
    // thread 0 wrote shared[0] itself
    if (thread == 0) y[blockIdx.x] = shared[0];
}

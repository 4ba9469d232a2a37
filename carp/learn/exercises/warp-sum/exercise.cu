// A sum over a warp: lanes exchange registers
//
//     for distance in 16, 8, 4, 2, 1:  value += the value of the lane `distance` further
//
// 32 threads of a block form a warp; in it they are called lanes, and run in step. They can read each
// other's registers, without memory and without a barrier:
//
//     float other = __shfl_down_sync(0xffffffff, value, 16);
//
// gives lane l the value of lane l + 16 (or its own, if that is beyond lane 31). Each exchange halves
// how many lanes still matter: after 16 the sums are in lanes 0 to 15, after 1 the whole is in lane 0.
// Five exchanges instead of 31 additions in a row. The first number says which lanes take part: all.
// Every sum in carp's kernels ends this way: warp_sum in cuda-kernels/kernels/common.cuh.

// y[row] = sum of x[row, 0..32], a warp per row and four rows in a block of 128 threads.
extern "C" __global__ void sum_rows(const float *x, float *y) {
    unsigned i = 128 * blockIdx.x + threadIdx.x;
    float value = x[i];
    // YOUR CODE BEGINS
    // for distance 16, 8, 4, 2, 1: value += the value of the lane that is so much further
    // YOUR CODE ENDS
    if (threadIdx.x % 32 == 0) y[i / 32] = value;
}

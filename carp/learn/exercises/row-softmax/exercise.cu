// Softmax of rows: a warp per row, and memory is touched twice
//
//     y[c] = exp(x[c] - m) / sum over a of exp(x[a] - m)        m = max over a of x[a]
//
// Rows have 27 numbers: lane c of a warp holds x[c] in a register, and lanes 27 to 31 hold -infinity,
// whose exp is 0: they change neither maximum nor sum. The whole softmax happens in registers. A row
// is read once and written once, 8 bytes per number in all, and no kernel can do with less.
//
// The exchanges are warp-sum's, but go both ways: `__shfl_xor_sync` gives lane l the value of lane
// l xor distance, so that after five of them *all* lanes have the result.

// A row per block of 32 threads.
extern "C" __global__ void softmax(const float *x, float *y) {
    const unsigned all = 0xffffffff;
    unsigned lane = threadIdx.x, i = 27 * blockIdx.x + lane;
    bool inside = lane < 27;
    float value = inside ? x[i] : -__int_as_float(0x7f800000);
    float m = value;
    for (int distance = 16; distance > 0; distance /= 2) m = fmaxf(m, __shfl_xor_sync(all, m, distance));
    // YOUR CODE BEGINS
    // e = exp(value - m), by expf
    // sum = the warp's sum of e
    // value = e / sum
    // YOUR CODE ENDS
    if (inside) y[i] = value;
}

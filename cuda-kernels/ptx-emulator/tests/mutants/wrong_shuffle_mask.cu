// Half of the warp sums up; the mask must name that half.
extern "C" __global__ void healthy(const float *x, float *y, int n) {
    int i = blockIdx.x * 64 + threadIdx.x;
    float sum = x[i];
    if (threadIdx.x % 32 < 16) {
        for (int step = 8; step; step /= 2) sum += __shfl_xor_sync(0x0000ffffu, sum, step);
    } else {
        sum = sqrtf(sum) + 1;
    }
    y[i] = sum;
}
extern "C" __global__ void mutant(const float *x, float *y, int n) {
    int i = blockIdx.x * 64 + threadIdx.x;
    float sum = x[i];
    if (threadIdx.x % 32 < 16) {
        for (int step = 8; step; step /= 2)
            sum += __shfl_xor_sync(0xffffffffu, sum, step); // fault: names lanes 16 to 31
    } else {
        sum = sqrtf(sum) + 1;
    }
    y[i] = sum;
}

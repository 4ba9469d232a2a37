// The upper half reads from the lower half of itself, not of the warp.
extern "C" __global__ void healthy(const float *x, float *y, int n) {
    int i = blockIdx.x * 64 + threadIdx.x;
    float value = x[i];
    if (threadIdx.x % 32 >= 16) value = __shfl_sync(0xffff0000u, value, 16 + threadIdx.x % 8);
    y[i] = value;
}
extern "C" __global__ void mutant(const float *x, float *y, int n) {
    int i = blockIdx.x * 64 + threadIdx.x;
    float value = x[i];
    if (threadIdx.x % 32 >= 16)
        value = __shfl_sync(0xffff0000u, value, threadIdx.x % 8); // fault: lanes 0 to 7
    y[i] = value;
}

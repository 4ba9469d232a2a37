// What another block writes is not there yet, or is, as it comes.
extern "C" __global__ void healthy(const float *x, float *y, int n) {
    int i = blockIdx.x * 64 + threadIdx.x;
    y[i] = x[i] + x[n - 1 - i];
}
extern "C" __global__ void mutant(const float *x, float *y, int n) {
    int i = blockIdx.x * 64 + threadIdx.x;
    y[i] = x[i];
    __syncthreads();
    if (blockIdx.x > 0) y[i] += y[i - 64]; // fault: the block's before this one
}

// A check that fails.
extern "C" __global__ void healthy(const float *x, float *y, int n) {
    int i = blockIdx.x * 64 + threadIdx.x;
    if (i >= n) __trap();
    y[i] = x[i];
}
extern "C" __global__ void mutant(const float *x, float *y, int n) {
    int i = blockIdx.x * 64 + threadIdx.x;
    if (i >= n - 1) __trap(); // fault: the last element is fine
    y[i] = x[i];
}

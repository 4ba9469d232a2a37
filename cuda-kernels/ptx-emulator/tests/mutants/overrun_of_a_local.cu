// Two arrays of a thread lie side by side.
extern "C" __global__ void healthy(const float *x, float *y, int n) {
    int i = blockIdx.x * 64 + threadIdx.x;
    float one[4], other[4];
    for (int k = 0; k < n / 32; k++) other[k] = x[k + 4];
    for (int k = 0; k < n / 32; k++) one[k] = x[k];
    y[i] = one[i % 4] + other[i % 4];
}
extern "C" __global__ void mutant(const float *x, float *y, int n) {
    int i = blockIdx.x * 64 + threadIdx.x;
    float one[4], other[4];
    for (int k = 0; k < n / 32; k++) other[k] = x[k + 4];
    for (int k = 0; k <= n / 32; k++) one[k] = x[k]; // fault: one too many
    y[i] = one[i % 4] + other[i % 4];
}

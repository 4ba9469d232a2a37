// Each thread fills an array of its own.
extern "C" __global__ void healthy(const float *x, float *y, int n) {
    int i = blockIdx.x * 64 + threadIdx.x;
    float own[4];
    for (int k = 0; k < n / 32; k++) own[k] = x[k];
    y[i] = own[i % 4];
}
extern "C" __global__ void mutant(const float *x, float *y, int n) {
    int i = blockIdx.x * 64 + threadIdx.x;
    float own[4];
    for (int k = 1; k < n / 32; k++) own[k] = x[k];
    y[i] = own[i % 4]; // fault: the first was never written
}

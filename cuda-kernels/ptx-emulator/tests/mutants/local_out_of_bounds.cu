// A histogram of 8 classes in each thread's own memory.
extern "C" __global__ void healthy(const float *x, float *y, int n) {
    float bins[8] = {};
    for (int i = 0; i < n; i++) bins[(int)x[i] & 7] += 1;
    y[blockIdx.x * 64 + threadIdx.x] = bins[threadIdx.x & 7];
}
extern "C" __global__ void mutant(const float *x, float *y, int n) {
    float bins[8] = {};
    for (int i = 0; i < n; i++) bins[(int)x[i] & 15] += 1; // fault: class 8 and above
    y[blockIdx.x * 64 + threadIdx.x] = bins[threadIdx.x & 7];
}

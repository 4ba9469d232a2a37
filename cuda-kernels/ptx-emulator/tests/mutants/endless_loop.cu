// A loop that halves must stop at 0.
extern "C" __global__ void healthy(const float *x, float *y, int n) {
    int steps = 0;
    for (int left = n; left > 0; left /= 2) steps++;
    y[blockIdx.x * 64 + threadIdx.x] = steps;
}
extern "C" __global__ void mutant(const float *x, float *y, int n) {
    volatile float *out = y;
    for (int left = n; left >= 0; left /= 2)
        out[blockIdx.x * 64 + threadIdx.x] += 1; // fault: 0 halved is 0
}

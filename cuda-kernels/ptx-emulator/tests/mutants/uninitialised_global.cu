// The output is memory that nobody wrote yet.
extern "C" __global__ void healthy(const float *x, float *y, int n) {
    int i = blockIdx.x * 64 + threadIdx.x;
    y[i] = x[i];
    y[i] += 1;
}
extern "C" __global__ void mutant(const float *x, float *y, int n) {
    int i = blockIdx.x * 64 + threadIdx.x;
    y[i] += x[i]; // fault: adds to what was never written
}

// Each block has its own part of the output.
extern "C" __global__ void healthy(const float *x, float *y, int n) {
    int i = blockIdx.x * 64 + threadIdx.x;
    y[i] = x[i];
}
extern "C" __global__ void mutant(const float *x, float *y, int n) {
    int i = blockIdx.x * 64 + threadIdx.x;
    y[threadIdx.x] = x[i]; // fault: all blocks write the same part
}

// A named barrier counts threads.
extern "C" __global__ void healthy(const float *x, float *y, int n) {
    __shared__ float tile[64];
    int i = blockIdx.x * 64 + threadIdx.x;
    tile[threadIdx.x] = x[i];
    asm volatile("bar.sync 1, 64;" ::: "memory");
    y[i] = tile[threadIdx.x ^ 32];
}
extern "C" __global__ void mutant(const float *x, float *y, int n) {
    __shared__ float tile[64];
    int i = blockIdx.x * 64 + threadIdx.x;
    tile[threadIdx.x] = x[i];
    asm volatile("bar.sync 1, 96;" ::: "memory"); // fault: 64 threads come
    y[i] = tile[threadIdx.x ^ 32];
}

// Warps that take different ways wait at different barriers.
extern "C" __global__ void healthy(const float *x, float *y, int n) {
    __shared__ float tile[64];
    int i = blockIdx.x * 64 + threadIdx.x;
    tile[threadIdx.x] = threadIdx.x < 32 ? x[i] : 2 * x[i];
    __syncthreads();
    y[i] = tile[threadIdx.x ^ 32];
}
extern "C" __global__ void mutant(const float *x, float *y, int n) {
    __shared__ float tile[64];
    int i = blockIdx.x * 64 + threadIdx.x;
    if (threadIdx.x < 32) {
        tile[threadIdx.x] = x[i];
        __syncthreads();
        y[i] = tile[threadIdx.x ^ 32];
    } else {
        tile[threadIdx.x] = 2 * x[i];
        __syncthreads(); // fault: another barrier than the first warp's
        y[i] = tile[threadIdx.x ^ 32] + 1;
    }
}

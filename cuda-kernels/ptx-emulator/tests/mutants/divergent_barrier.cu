// All threads must come to a barrier.
extern "C" __global__ void healthy(const float *x, float *y, int n) {
    __shared__ float tile[64];
    int i = blockIdx.x * 64 + threadIdx.x;
    tile[threadIdx.x] = x[i];
    __syncthreads();
    if (threadIdx.x % 2) y[i] = tile[threadIdx.x ^ 32];
    __syncthreads();
    tile[threadIdx.x] = 0;
}
extern "C" __global__ void mutant(const float *x, float *y, int n) {
    __shared__ float tile[64];
    int i = blockIdx.x * 64 + threadIdx.x;
    tile[threadIdx.x] = x[i];
    if (threadIdx.x % 2) {
        __syncthreads(); // fault: every other thread
        y[i] = tile[threadIdx.x ^ 32];
    }
    __syncthreads();
    tile[threadIdx.x] = 0;
}

// A stencil needs one element more than there are threads.
extern "C" __global__ void healthy(const float *x, float *y, int n) {
    __shared__ float tile[65];
    int i = blockIdx.x * 64 + threadIdx.x;
    tile[threadIdx.x] = x[i];
    if (threadIdx.x == 0) tile[64] = 0;
    __syncthreads();
    y[i] = tile[threadIdx.x] + tile[threadIdx.x + 1];
}
extern "C" __global__ void mutant(const float *x, float *y, int n) {
    __shared__ float tile[64];
    int i = blockIdx.x * 64 + threadIdx.x;
    tile[threadIdx.x] = x[i];
    __syncthreads();
    y[i] = tile[threadIdx.x] + tile[threadIdx.x + 1]; // fault: element 64
}

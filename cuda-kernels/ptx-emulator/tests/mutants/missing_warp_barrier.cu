// Lanes of a warp exchange values through shared memory.
extern "C" __global__ void healthy(const float *x, float *y, int n) {
    __shared__ float tile[64];
    int i = blockIdx.x * 64 + threadIdx.x;
    tile[threadIdx.x] = x[i];
    __syncwarp();
    y[i] = tile[threadIdx.x ^ 1];
}
extern "C" __global__ void mutant(const float *x, float *y, int n) {
    __shared__ float tile[64];
    int i = blockIdx.x * 64 + threadIdx.x;
    tile[threadIdx.x] = x[i];
    y[i] = tile[threadIdx.x ^ 1]; // fault: no barrier of the warp
}

// A tile is filled anew while others still read the old one.
extern "C" __global__ void healthy(const float *x, float *y, int n) {
    __shared__ float tile[64];
    float sum = 0;
    for (int start = 0; start < n; start += 64) {
        tile[threadIdx.x] = x[start + threadIdx.x];
        __syncthreads();
        sum += tile[threadIdx.x ^ 32];
        __syncthreads();
    }
    y[blockIdx.x * 64 + threadIdx.x] = sum;
}
extern "C" __global__ void mutant(const float *x, float *y, int n) {
    __shared__ float tile[64];
    float sum = 0;
    for (int start = 0; start < n; start += 64) {
        tile[threadIdx.x] = x[start + threadIdx.x];
        __syncthreads();
        sum += tile[threadIdx.x ^ 32]; // fault: may be the next tile already
    }
    y[blockIdx.x * 64 + threadIdx.x] = sum;
}

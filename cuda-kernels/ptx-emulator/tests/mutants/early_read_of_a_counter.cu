// Others may still be counting.
extern "C" __global__ void healthy(const float *x, float *y, int n) {
    __shared__ int count;
    if (threadIdx.x == 0) count = 0;
    __syncthreads();
    atomicAdd(&count, 1);
    __syncthreads();
    y[blockIdx.x * 64 + threadIdx.x] = count;
}
extern "C" __global__ void mutant(const float *x, float *y, int n) {
    __shared__ int count;
    if (threadIdx.x == 0) count = 0;
    __syncthreads();
    atomicAdd(&count, 1);
    y[blockIdx.x * 64 + threadIdx.x] = count; // fault: no barrier before
}

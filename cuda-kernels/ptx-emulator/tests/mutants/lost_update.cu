// A counter in shared memory.
extern "C" __global__ void healthy(const float *x, float *y, int n) {
    __shared__ int count;
    if (threadIdx.x == 0) count = 0;
    __syncthreads();
    if (x[threadIdx.x] > 3) atomicAdd(&count, 1);
    __syncthreads();
    if (threadIdx.x == 0) y[blockIdx.x] = count;
}
extern "C" __global__ void mutant(const float *x, float *y, int n) {
    __shared__ int count;
    if (threadIdx.x == 0) count = 0;
    __syncthreads();
    if (x[threadIdx.x] > 3) count += 1; // fault: not atomic
    __syncthreads();
    if (threadIdx.x == 0) y[blockIdx.x] = count;
}

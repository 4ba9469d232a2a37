// An asynchronous copy has arrived only when it was waited for.
__device__ void copy(float *to, const float *from) {
    unsigned at = (unsigned)__cvta_generic_to_shared(to);
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(at), "l"(from) : "memory");
    asm volatile("cp.async.commit_group;" ::: "memory");
}
extern "C" __global__ void healthy(const float *x, float *y, int n) {
    __shared__ float tile[64];
    int i = blockIdx.x * 64 + threadIdx.x;
    copy(&tile[threadIdx.x], &x[i]);
    asm volatile("cp.async.wait_group 0;" ::: "memory");
    __syncthreads();
    y[i] = tile[63 - threadIdx.x];
}
extern "C" __global__ void mutant(const float *x, float *y, int n) {
    __shared__ float tile[64];
    int i = blockIdx.x * 64 + threadIdx.x;
    copy(&tile[threadIdx.x], &x[i]);
    __syncthreads();
    y[i] = tile[63 - threadIdx.x]; // fault: may not have arrived
}

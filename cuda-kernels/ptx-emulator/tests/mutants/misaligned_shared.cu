// Rows of 65 floats keep banks apart, but not pairs aligned.
extern "C" __global__ void healthy(const float *x, float *y, int n) {
    __shared__ __align__(16) float tile[2][66];
    int i = blockIdx.x * 64 + threadIdx.x;
    tile[0][threadIdx.x] = tile[1][threadIdx.x] = x[i];
    __syncthreads();
    float2 pair = *(float2 *)&tile[threadIdx.x / 32][threadIdx.x % 32 * 2];
    y[i] = pair.x + pair.y;
}
extern "C" __global__ void mutant(const float *x, float *y, int n) {
    __shared__ __align__(16) float tile[2][65];
    int i = blockIdx.x * 64 + threadIdx.x;
    tile[0][threadIdx.x] = tile[1][threadIdx.x] = x[i];
    __syncthreads();
    float2 pair = *(float2 *)&tile[threadIdx.x / 32][threadIdx.x % 32 * 2]; // fault: odd row
    y[i] = pair.x + pair.y;
}

// Vector loads want addresses that are multiples of 16 bytes.
extern "C" __global__ void healthy(const float *x, float *y, int n) {
    int i = 4 * threadIdx.x;
    if (blockIdx.x == 0 && i < n) *(float4 *)&y[i] = *(const float4 *)&x[i];
}
extern "C" __global__ void mutant(const float *x, float *y, int n) {
    int i = 4 * threadIdx.x;
    if (blockIdx.x == 0 && i + 1 < n - 4)
        *(float4 *)&y[i] = *(const float4 *)&x[i + 1]; // fault: 4 bytes off
}

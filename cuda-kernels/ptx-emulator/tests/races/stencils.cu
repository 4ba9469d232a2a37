// Neighbours' values, through shared and through global memory. 4 blocks of 128 threads.
typedef unsigned u32;

extern "C" __global__ void clean_tile(const float *x, float *y, u32 *state) {
    __shared__ float tile[130];
    u32 t = threadIdx.x, i = blockIdx.x * 128 + t;
    tile[t + 1] = x[i];
    if (t == 0) tile[0] = i > 0 ? x[i - 1] : 0.0f;
    if (t == 127) tile[129] = i + 1 < 512 ? x[i + 1] : 0.0f;
    __syncthreads();
    y[i] = tile[t] + tile[t + 1] + tile[t + 2];
}
extern "C" __global__ void racy_tile(const float *x, float *y, u32 *state) {
    __shared__ float tile[130];
    u32 t = threadIdx.x, i = blockIdx.x * 128 + t;
    for (u32 k = t; k < 130; k += 128) tile[k] = 0;
    __syncthreads();
    tile[t + 1] = x[i];
    y[i] = tile[t] + tile[t + 1] + tile[t + 2]; // race
}
extern "C" __global__ void clean_steps(const float *x, float *y, u32 *state) {
    __shared__ float tile[2][128];
    u32 t = threadIdx.x, i = blockIdx.x * 128 + t;
    tile[0][t] = x[i];
    for (u32 step = 0; step < 3; step++) {
        __syncthreads();
        tile[(step + 1) % 2][t] = tile[step % 2][t] + tile[step % 2][(t + 1) % 128];
    }
    y[i] = tile[1][t];
}
extern "C" __global__ void clean_steps_in_place(const float *x, float *y, u32 *state) {
    __shared__ float tile[128];
    u32 t = threadIdx.x, i = blockIdx.x * 128 + t;
    tile[t] = x[i];
    for (u32 step = 0; step < 3; step++) {
        __syncthreads();
        float next = tile[t] + tile[(t + 1) % 128];
        __syncthreads();
        tile[t] = next;
    }
    y[i] = tile[t];
}
extern "C" __global__ void racy_steps_in_place(const float *x, float *y, u32 *state) {
    __shared__ float tile[128];
    u32 t = threadIdx.x, i = blockIdx.x * 128 + t;
    tile[t] = x[i];
    for (u32 step = 0; step < 3; step++) {
        __syncthreads();
        tile[t] = tile[t] + tile[(t + 1) % 128]; // race
    }
    y[i] = tile[t];
}
extern "C" __global__ void racy_global_steps(const float *x, float *y, u32 *state) {
    u32 i = blockIdx.x * 128 + threadIdx.x;
    y[i] = x[i];
    __syncthreads();
    if (i + 1 < 512) y[512 + i] = y[i] + y[i + 1]; // race
}
// Three warps read what the fourth writes; two of them have met it at a barrier of their own.
__device__ void third_reader(float *y, u32 all) {
    __shared__ float cell;
    u32 warp = threadIdx.x / 32;
    if (threadIdx.x == 0) cell = 1;
    __syncthreads();
    float own = warp == 3 ? 0.0f : cell;
    if (warp < all || warp == 3) asm volatile("bar.sync 1, %0;" ::"r"(32 * (all + 1)) : "memory");
    if (threadIdx.x == 96) cell = 2; // race
    __syncthreads();
    y[blockIdx.x * 128 + threadIdx.x] = own + cell;
}
extern "C" __global__ void clean_third_reader(const float *x, float *y, u32 *state) {
    third_reader(y, 3);
}
extern "C" __global__ void racy_third_reader(const float *x, float *y, u32 *state) {
    third_reader(y, 2);
}
// The read-only cache does not see what the kernel writes, not even the thread's own writes.
extern "C" __global__ void clean_read_only(const float *x, float *y, u32 *state) {
    u32 i = blockIdx.x * 128 + threadIdx.x;
    y[i] = __ldg(&x[i]);
}
extern "C" __global__ void racy_read_only(const float *x, float *y, u32 *state) {
    u32 i = blockIdx.x * 128 + threadIdx.x;
    y[i] = x[i];
    __syncthreads();
    y[512 + i] = __ldg(&y[i]); // race
}
// A wide load whose last element, written by another block, is not used.
struct __align__(16) Four { float a, b, c, d; };
extern "C" __global__ void clean_padding(const float *x, float *y, u32 *state) {
    Four *rows = (Four *)y;
    u32 i = blockIdx.x * 128 + threadIdx.x;
    if (threadIdx.x == 64 && blockIdx.x > 0) y[4 * (i - 128) + 3] = 1.0f;
    rows[i].a = x[i];
    rows[i].b = x[i];
    rows[i].c = x[i];
    float a, b, c, d;
    asm volatile("ld.global.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(a), "=f"(b), "=f"(c), "=f"(d) : "l"(&rows[i]));
    y[2048 + i] = a + b + c;
}
extern "C" __global__ void racy_padding(const float *x, float *y, u32 *state) {
    Four *rows = (Four *)y;
    u32 i = blockIdx.x * 128 + threadIdx.x;
    if (threadIdx.x == 64 && blockIdx.x < 3) y[4 * (i + 128) + 3] = x[i];
    float a, b, c, d;
    asm volatile("ld.global.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(a), "=f"(b), "=f"(c), "=f"(d) : "l"(&rows[i])); // race
    y[2048 + i] = a + b + c + d;
}

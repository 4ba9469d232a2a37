// Sums over a block and over the grid. Launched with 4 blocks of 128 threads, state all zeros.
typedef unsigned u32;

__device__ void block_sum(float *tile, float own) {
    tile[threadIdx.x] = own;
    __syncthreads();
    for (u32 half = 64; half > 0; half /= 2) {
        if (threadIdx.x < half) tile[threadIdx.x] += tile[threadIdx.x + half];
        __syncthreads();
    }
}
extern "C" __global__ void clean_tree(const float *x, float *y, u32 *state) {
    __shared__ float tile[128];
    block_sum(tile, x[blockIdx.x * 128 + threadIdx.x]);
    if (threadIdx.x == 0) y[blockIdx.x] = tile[0];
}
extern "C" __global__ void racy_tree(const float *x, float *y, u32 *state) {
    __shared__ float tile[128];
    tile[threadIdx.x] = x[blockIdx.x * 128 + threadIdx.x];
    __syncthreads();
    for (u32 half = 64; half > 0; half /= 2) {
        if (threadIdx.x < half) tile[threadIdx.x] += tile[threadIdx.x + half]; // race
    }
    if (threadIdx.x == 0) y[blockIdx.x] = tile[0];
}
// The last warp without block barriers: warp barriers do, volatile does not (since Volta).
extern "C" __global__ void clean_last_warp(const float *x, float *y, u32 *state) {
    __shared__ float tile[128];
    tile[threadIdx.x] = x[blockIdx.x * 128 + threadIdx.x];
    __syncthreads();
    if (threadIdx.x < 32) {
        float sum = tile[threadIdx.x] + tile[threadIdx.x + 32] + tile[threadIdx.x + 64] + tile[threadIdx.x + 96];
        for (u32 half = 16; half > 0; half /= 2) {
            __syncwarp();
            tile[threadIdx.x] = sum;
            __syncwarp();
            if (threadIdx.x < half) sum += tile[threadIdx.x + half];
        }
        if (threadIdx.x == 0) y[blockIdx.x] = sum;
    }
}
extern "C" __global__ void racy_last_warp(const float *x, float *y, u32 *state) {
    __shared__ float tile[128];
    tile[threadIdx.x] = x[blockIdx.x * 128 + threadIdx.x];
    __syncthreads();
    if (threadIdx.x < 32) {
        volatile float *t = tile;
        t[threadIdx.x] += t[threadIdx.x + 32];
        t[threadIdx.x] += t[threadIdx.x + 16]; // race
        t[threadIdx.x] += t[threadIdx.x + 8];
        if (threadIdx.x == 0) y[blockIdx.x] = t[0];
    }
}
extern "C" __global__ void clean_shuffles(const float *x, float *y, u32 *state) {
    __shared__ float warps[4];
    float sum = x[blockIdx.x * 128 + threadIdx.x];
    for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_down_sync(~0u, sum, offset);
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x == 0) y[blockIdx.x] = warps[0] + warps[1] + warps[2] + warps[3];
}
extern "C" __global__ void racy_shuffles(const float *x, float *y, u32 *state) {
    __shared__ float warps[4];
    float sum = x[blockIdx.x * 128 + threadIdx.x];
    if (threadIdx.x < 4) warps[threadIdx.x] = 0;
    __syncthreads();
    for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_down_sync(~0u, sum, offset);
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = sum;
    if (threadIdx.x == 0) y[blockIdx.x] = warps[0] + warps[1] + warps[2] + warps[3]; // race
}
// The block that takes the last ticket adds the others' results, as in CUDA's threadFenceReduction.
__device__ void last_block(const float *x, volatile float *y, u32 *state, bool fence) {
    __shared__ float tile[128];
    __shared__ bool last;
    block_sum(tile, x[blockIdx.x * 128 + threadIdx.x]);
    if (threadIdx.x == 0) {
        y[blockIdx.x] = tile[0];
        if (fence) __threadfence();
        last = atomicAdd(state, 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (last && threadIdx.x == 0) {
        float sum = 0;
        for (u32 b = 0; b < gridDim.x; b++) sum += y[b]; // race
        y[8] = sum;
    }
}
extern "C" __global__ void clean_last_block(const float *x, float *y, u32 *state) {
    last_block(x, y, state, true);
}
extern "C" __global__ void racy_last_block(const float *x, float *y, u32 *state) {
    last_block(x, y, state, false);
}
// A fence for the block is not enough between blocks.
extern "C" __global__ void racy_narrow_fence(const float *x, float *y, u32 *state) {
    __shared__ bool last;
    if (threadIdx.x == 0) {
        y[blockIdx.x] = x[blockIdx.x];
        __threadfence_block();
        last = atomicAdd(state, 1) == gridDim.x - 1;
        __threadfence();
        if (last) y[8] = y[0] + y[1] + y[2] + y[3]; // race
    }
}
extern "C" __global__ void clean_atomic_sum(const float *x, float *y, u32 *state) {
    atomicAdd(y, x[blockIdx.x * 128 + threadIdx.x]);
}
// The thread's own atomic does not hide its plain write from other blocks.
extern "C" __global__ void racy_atomic_after_write(const float *x, float *y, u32 *state) {
    if (threadIdx.x == 0) {
        if (blockIdx.x == 0) y[0] = x[0];
        atomicAdd(y, x[blockIdx.x]); // race
    }
}
// An atomic maximum of floats: the first read is plain, the exchange checks it.
extern "C" __global__ void clean_exchange_loop(const float *x, float *y, u32 *state) {
    u32 own = __float_as_uint(x[blockIdx.x * 128 + threadIdx.x] + 4.0f);
    u32 old = *state, assumed;
    do {
        assumed = old;
        if (assumed >= own) break;
        old = atomicCAS(state, assumed, own);
    } while (old != assumed);
}
extern "C" __global__ void racy_maximum(const float *x, float *y, u32 *state) {
    u32 own = __float_as_uint(x[blockIdx.x * 128 + threadIdx.x] + 4.0f);
    if (*state < own) atomicExch(state, own); // race
}
extern "C" __global__ void racy_volatile_count(const float *x, float *y, u32 *state) {
    volatile u32 *count = state;
    if (threadIdx.x % 32 == 0) *count = *count + 1; // race
}
// An atomic of the block is none for other blocks.
extern "C" __global__ void clean_block_atomic(const float *x, float *y, u32 *state) {
    atomicAdd_block(&state[blockIdx.x], 1);
}
extern "C" __global__ void racy_block_atomic(const float *x, float *y, u32 *state) {
    atomicAdd_block(state, 1); // race
}

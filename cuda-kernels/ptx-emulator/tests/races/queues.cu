// Work that some threads hand to others: queues, pipelines, asynchronous copies. 4 blocks of 128.
typedef unsigned u32;

// Threads append what passes a test.
extern "C" __global__ void clean_append(const float *x, float *y, u32 *state) {
    u32 i = blockIdx.x * 128 + threadIdx.x;
    if (x[i] > 0) y[atomicAdd(state, 1)] = x[i];
}
extern "C" __global__ void racy_append(const float *x, float *y, u32 *state) {
    u32 i = blockIdx.x * 128 + threadIdx.x;
    if (x[i] > 0) {
        u32 at = *(volatile u32 *)state;
        y[at] = x[i]; // race
        atomicAdd(state, 1);
    }
}
// Threads take items until none is left.
extern "C" __global__ void clean_take(const float *x, float *y, u32 *state) {
    for (u32 i = atomicAdd(state, 1); i < 600; i = atomicAdd(state, 1)) y[i] = x[i % 512];
}
// One warp fills a buffer, another empties it; bar.arrive and bar.sync pass it back and forth.
__device__ void hand_over(const float *x, float *y, bool in_time) {
    __shared__ float buffer[32];
    u32 lane = threadIdx.x % 32;
    if (threadIdx.x < 32) {
        for (u32 k = 0; k < 4; k++) {
            if (k > 0 && in_time) asm volatile("bar.sync 2, 64;" ::: "memory");
            buffer[lane] = x[32 * k + lane]; // race
            if (k > 0 && !in_time) asm volatile("bar.sync 2, 64;" ::: "memory");
            asm volatile("bar.arrive 1, 64;" ::: "memory");
        }
    } else if (threadIdx.x < 64) {
        for (u32 k = 0; k < 4; k++) {
            asm volatile("bar.sync 1, 64;" ::: "memory");
            y[blockIdx.x * 128 + 32 * k + lane] = buffer[31 - lane]; // race
            if (k < 3) asm volatile("bar.arrive 2, 64;" ::: "memory");
        }
    }
}
extern "C" __global__ void clean_hand_over(const float *x, float *y, u32 *state) {
    hand_over(x, y, true);
}
extern "C" __global__ void racy_hand_over(const float *x, float *y, u32 *state) {
    hand_over(x, y, false);
}
__device__ u32 shared_address(const void *at) { return (u32)__cvta_generic_to_shared(at); }
__device__ void copy(float *to, const float *from, u32 bytes = 4) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(to)), "l"(from), "r"(bytes) : "memory");
}
__device__ void commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N> __device__ void wait() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }

// Three buffers; the last rounds wait for all that is left.
template <bool ENOUGH> __device__ void pipeline(const float *x, float *y) {
    __shared__ float stages[3][128];
    u32 t = threadIdx.x;
    float sum = 0;
    for (u32 k = 0; k < 2; k++) {
        copy(&stages[k][t], &x[128 * k + t]);
        commit();
    }
    for (u32 k = 0; k < 4; k++) {
        if (k < 3 || !ENOUGH) wait<1>(); else wait<0>();
        __syncthreads();
        sum += stages[k % 3][127 - t]; // race
        if (k + 2 < 4) {
            copy(&stages[(k + 2) % 3][t], &x[128 * (k + 2) + t]);
            commit();
        }
    }
    y[blockIdx.x * 128 + t] = sum;
}
extern "C" __global__ void clean_pipeline(const float *x, float *y, u32 *state) {
    pipeline<true>(x, y);
}
extern "C" __global__ void racy_pipeline(const float *x, float *y, u32 *state) {
    pipeline<false>(x, y);
}
extern "C" __global__ void racy_pipeline_without_barrier(const float *x, float *y, u32 *state) {
    __shared__ float tile[128];
    u32 t = threadIdx.x;
    tile[t] = 0;
    __syncthreads();
    copy(&tile[t], &x[t]);
    commit();
    wait<0>();
    y[blockIdx.x * 128 + t] = tile[127 - t]; // race
}
// Zeros beyond the end: a copy of no bytes reads nothing.
extern "C" __global__ void clean_zero_fill(const float *x, float *y, u32 *state) {
    __shared__ float tile[128];
    u32 t = threadIdx.x;
    bool inside = blockIdx.x < 3;
    copy(&tile[t], inside ? &x[blockIdx.x * 128 + t] : x + 100000, inside ? 4 : 0);
    commit();
    wait<0>();
    __syncthreads();
    y[blockIdx.x * 128 + t] = tile[127 - t];
}
// A store to what one's own copy has not filled yet.
extern "C" __global__ void racy_own_copy(const float *x, float *y, u32 *state) {
    __shared__ float tile[128];
    u32 t = threadIdx.x;
    copy(&tile[t], &x[t]);
    commit();
    if (t == 5) tile[t] = 0; // race
    wait<0>();
    __syncthreads();
    y[blockIdx.x * 128 + t] = tile[127 - t];
}
extern "C" __global__ void clean_own_copy(const float *x, float *y, u32 *state) {
    __shared__ float tile[128];
    u32 t = threadIdx.x;
    copy(&tile[t], &x[t]);
    commit();
    wait<0>();
    if (t == 5) tile[t] = 0;
    __syncthreads();
    y[blockIdx.x * 128 + t] = tile[127 - t];
}
// A store to where one's own copy still reads.
extern "C" __global__ void racy_source_of_a_copy(const float *x, float *y, u32 *state) {
    __shared__ float tile[128];
    u32 t = threadIdx.x, i = blockIdx.x * 128 + t;
    y[i] = x[i];
    copy(&tile[t], &y[i]);
    commit();
    y[i] = 1; // race
    wait<0>();
    y[i] += tile[t];
}
// Producer and consumer meet at mbarriers: full and empty.
__device__ void mbarrier_init(u32 at, u32 count) {
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(at), "r"(count) : "memory");
}
__device__ void mbarrier_arrive(u32 at) {
    asm volatile("{ .reg .b64 s; mbarrier.arrive.shared.b64 s, [%0]; }" ::"r"(at) : "memory");
}
__device__ void mbarrier_wait(u32 at, u32 parity) {
    u32 done = 0;
    while (!done)
        asm volatile("{ .reg .pred p; mbarrier.test_wait.parity.shared.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                     : "=r"(done) : "r"(at), "r"(parity) : "memory");
}
__device__ void producer_and_consumer(const float *x, float *y, bool empty) {
    __shared__ float buffer[64];
    __shared__ __align__(8) unsigned long long barriers[2];
    u32 full = shared_address(&barriers[0]), free = shared_address(&barriers[1]), t = threadIdx.x;
    if (t == 0) {
        mbarrier_init(full, 64);
        mbarrier_init(free, 64);
    }
    __syncthreads();
    if (t < 64) {
        for (u32 k = 0; k < 4; k++) {
            if (empty && k > 0) mbarrier_wait(free, (k - 1) % 2);
            buffer[t] = x[64 * k + t]; // race
            mbarrier_arrive(full);
        }
    } else {
        for (u32 k = 0; k < 4; k++) {
            mbarrier_wait(full, k % 2);
            y[blockIdx.x * 256 + 64 * k + t - 64] = buffer[127 - t];
            mbarrier_arrive(free);
        }
    }
}
extern "C" __global__ void clean_mbarrier(const float *x, float *y, u32 *state) {
    producer_and_consumer(x, y, true);
}
// Copies that arrive at an mbarrier by themselves.
__device__ void copies_to_mbarrier(const float *x, float *y, bool waits) {
    __shared__ float tile[128];
    __shared__ __align__(8) unsigned long long barrier;
    u32 at = shared_address(&barrier), t = threadIdx.x;
    tile[t] = 0;
    if (t == 0) mbarrier_init(at, 128);
    __syncthreads();
    copy(&tile[t], &x[t]);
    asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(at) : "memory");
    if (waits) mbarrier_wait(at, 0);
    y[blockIdx.x * 128 + t] = tile[127 - t]; // race
}
extern "C" __global__ void clean_copies_to_mbarrier(const float *x, float *y, u32 *state) {
    copies_to_mbarrier(x, y, true);
}
extern "C" __global__ void racy_copies_to_mbarrier(const float *x, float *y, u32 *state) {
    copies_to_mbarrier(x, y, false);
}

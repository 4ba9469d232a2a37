// What one thread tells another through memory: flags, locks, barriers of the grid. 4 blocks of 128.
typedef unsigned u32;

__device__ bool flagged(volatile u32 *flag) { return *flag != 0; }

// Later blocks wait for earlier ones, or the other way round.
__device__ void pass_on(float *y, volatile u32 *flag, bool earlier, bool release, bool acquire) {
    u32 writer = earlier ? 0 : 3;
    if (threadIdx.x != 0) return;
    if (blockIdx.x == writer) {
        y[0] = 5.0f;
        if (release) __threadfence();
        *flag = 1;
    } else {
        while (!flagged(flag)) {}
        if (acquire) __threadfence();
        y[blockIdx.x + 8] = y[0]; // race
    }
}
extern "C" __global__ void clean_flag(const float *x, float *y, u32 *state) {
    pass_on(y, state, true, true, true);
}
extern "C" __global__ void clean_flag_of_a_later_block(const float *x, float *y, u32 *state) {
    pass_on(y, state, false, true, true);
}
extern "C" __global__ void racy_flag_without_release(const float *x, float *y, u32 *state) {
    pass_on(y, state, true, false, true);
}
extern "C" __global__ void racy_flag_without_acquire(const float *x, float *y, u32 *state) {
    pass_on(y, state, false, true, false);
}
// All threads of a block pass on, with fences of their own before its barrier and after that of the readers.
__device__ void pass_on_all(const float *x, float *y, volatile u32 *flag, bool release, bool acquire) {
    if (blockIdx.x == 0) {
        y[threadIdx.x] = x[threadIdx.x];
        if (release) __threadfence();
        __syncthreads();
        if (threadIdx.x == 0) *flag = 1;
    } else {
        if (threadIdx.x == 0) while (!flagged(flag)) {}
        __syncthreads();
        if (acquire) __threadfence();
        y[blockIdx.x * 128 + threadIdx.x] = y[threadIdx.x]; // race
    }
}
extern "C" __global__ void clean_fences_beside_barriers(const float *x, float *y, u32 *state) {
    pass_on_all(x, y, state, true, true);
}
extern "C" __global__ void racy_barrier_without_release(const float *x, float *y, u32 *state) {
    pass_on_all(x, y, state, false, true);
}
extern "C" __global__ void racy_barrier_without_acquire(const float *x, float *y, u32 *state) {
    pass_on_all(x, y, state, true, false);
}
// The same with the instructions that release and acquire.
__device__ void store_release(u32 *at, u32 value) {
    asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(at), "r"(value) : "memory");
}
__device__ void store_relaxed(u32 *at, u32 value) {
    asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(at), "r"(value) : "memory");
}
__device__ u32 load_acquire(u32 *at) {
    u32 value;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(at) : "memory");
    return value;
}
extern "C" __global__ void clean_release(const float *x, float *y, u32 *state) {
    if (blockIdx.x == 0) y[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    if (blockIdx.x == 0 && threadIdx.x == 0) store_release(state, 1);
    if (blockIdx.x > 0) {
        if (threadIdx.x == 0) while (load_acquire(state) == 0) {}
        __syncthreads();
        y[blockIdx.x * 128 + threadIdx.x] = y[threadIdx.x];
    }
}
extern "C" __global__ void racy_relaxed(const float *x, float *y, u32 *state) {
    if (threadIdx.x != 0) return;
    if (blockIdx.x == 0) {
        y[0] = x[0];
        store_relaxed(state, 1);
    } else {
        while (load_acquire(state) == 0) {}
        y[blockIdx.x] = y[0]; // race
    }
}
// Thread 0 speaks for its block too early: nothing orders the others before it.
extern "C" __global__ void racy_release_without_barrier(const float *x, float *y, u32 *state) {
    if (blockIdx.x == 0) {
        y[threadIdx.x] = x[threadIdx.x];
        if (threadIdx.x == 0) store_release(state, 1);
    } else if (threadIdx.x < 32) {
        while (load_acquire(state) == 0) {}
        y[blockIdx.x * 128 + threadIdx.x] = y[31 - threadIdx.x]; // race
    }
}
// A flag that is no more than an ordinary variable.
extern "C" __global__ void racy_plain_flag(const float *x, float *y, u32 *state) {
    if (threadIdx.x == 0 && blockIdx.x == 0) {
        __threadfence();
        state[0] = (u32)x[0] + 7;
    }
    if (threadIdx.x == 0 && blockIdx.x == 1) y[0] = state[0]; // race
}
// Whoever finds something says so; all say the same.
extern "C" __global__ void clean_found(const float *x, float *y, u32 *state) {
    __shared__ u32 found;
    if (threadIdx.x == 0) found = 0;
    __syncthreads();
    if (x[blockIdx.x * 128 + threadIdx.x] > 0.1f) {
        found = 1;
        *state = 1;
    }
    __syncthreads();
    y[blockIdx.x * 128 + threadIdx.x] = found;
}
extern "C" __global__ void racy_found(const float *x, float *y, u32 *state) {
    if (x[blockIdx.x * 128 + threadIdx.x] > 0.1f) *state = threadIdx.x; // race
}
// Locks: of a block's threads, of all threads, and one that does not order what it protects.
__device__ void locked_add(float *y, u32 *lock, float own, bool acquire, bool release) {
    for (bool done = false; !done;) {
        if (atomicCAS(lock, 0, 1) == 0) {
            if (acquire) __threadfence();
            *y += own; // race
            if (release) __threadfence();
            atomicExch(lock, 0);
            done = true;
        }
    }
}
extern "C" __global__ void clean_lock(const float *x, float *y, u32 *state) {
    if (threadIdx.x % 8 == 0) locked_add(y, state, x[threadIdx.x], true, true);
}
extern "C" __global__ void racy_lock_without_release(const float *x, float *y, u32 *state) {
    if (threadIdx.x % 8 == 0) locked_add(y, state, x[threadIdx.x], true, false);
}
extern "C" __global__ void racy_lock_without_acquire(const float *x, float *y, u32 *state) {
    if (threadIdx.x % 8 == 0) locked_add(y, state, x[threadIdx.x], false, true);
}
// Every lane of a warp waits for the lock in a loop of its own, which only a scheduler that is fair
// to lanes (since Volta) ends.
extern "C" __global__ void clean_lock_of_all_lanes(const float *x, float *y, u32 *state) {
    while (atomicCAS(state, 0, 1) != 0) {}
    __threadfence();
    *y += x[threadIdx.x];
    __threadfence();
    atomicExch(state, 0);
}
extern "C" __global__ void racy_other_lock(const float *x, float *y, u32 *state) {
    if (threadIdx.x == 0) locked_add(y, &state[blockIdx.x % 2], x[threadIdx.x], true, true);
}
// All blocks wait for each other.
__device__ void grid_barrier(u32 *state, u32 target, bool fence) {
    __syncthreads();
    if (threadIdx.x == 0) {
        if (fence) __threadfence();
        atomicAdd(state, 1);
        while (*(volatile u32 *)state < target) {}
        if (fence) __threadfence();
    }
    __syncthreads();
}
__device__ void grid_steps(const float *x, float *y, u32 *state, bool fence) {
    u32 i = blockIdx.x * 128 + threadIdx.x;
    y[i] = x[i];
    grid_barrier(state, 4, fence);
    y[512 + i] = y[511 - i]; // race
    grid_barrier(state, 8, fence);
    y[i] = y[512 + (i + 128) % 512];
}
extern "C" __global__ void clean_grid_barrier(const float *x, float *y, u32 *state) {
    grid_steps(x, y, state, true);
}
extern "C" __global__ void racy_grid_barrier(const float *x, float *y, u32 *state) {
    grid_steps(x, y, state, false);
}

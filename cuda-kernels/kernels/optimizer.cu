// The teacher's moving average and the optimizers.
//
// w, grad, buffer .. are the n weights of one parameter and what belongs to them. Learning rate lr,
// weight decay wd and the average's share m change at every step and are read on the device, [1]
// each: so one recorded launch serves the whole training. So is the guard, see guard.cuh.
//
// Launch, unless a kernel says otherwise: one thread per element, blocks of 256.
// Traffic: each array is read once and, if it changes, written once.
#include "guard.cuh"
#include "tree.cuh"

// teacher = m teacher + (1 - m) student. Traffic: 12 bytes per weight.
extern "C" __global__ void ema(const float* m, const float* student, const float* guard,
                               float* teacher, u32 n) {
    u32 i = element();
    if (i < n && !is_held(guard)) teacher[i] = *m * teacher[i] + (1.0f - *m) * student[i];
}

// buffer = momentum buffer + trust (g + wd w); w = w - lr buffer. Both are read before either is
// written: behind a store, the compiler would have to read w again, for all it knows.
__device__ inline void momentum_step(float momentum, float lr, float wd, float trust, float g,
                                     float* w, float* buffer) {
    float before = *w;
    float step = momentum * *buffer + trust * (g + wd * before);
    *buffer = step;
    *w = before - lr * step;
}

// SGD with momentum (heavy ball): trust = 1. Traffic: 20 bytes per weight.
extern "C" __global__ void sgd(float momentum, const float* grad, const float* lr, const float* wd,
                               const float* guard, float* w, float* buffer, u32 n) {
    u32 i = element();
    if (i < n && !is_held(guard)) momentum_step(momentum, *lr, *wd, 1.0f, grad[i], &w[i], &buffer[i]);
}

// LARS: SGD on each of several tensors with a trust of its own, eta |w| / |u| with u = g + wd w.
// Tensor t is elements ranges[2t] .. ranges[2t+1] of w, grad and buffer.
//
// Launch, of the first and the third stage: blocks of 256 threads in a grid (PARTS, tensors). The
// squares of a tensor are added in the tree of tree.cuh, a block for each node of depth DEPTH; an
// empty node's block has nothing to add.
constexpr u32 DEPTH = 7;
constexpr u32 PARTS = 1 << DEPTH;

struct Tensor {
    u32 first, len;
    __device__ Tensor(const u32* ranges, u32 t)
        : first(ranges[2 * t]), len(ranges[2 * t + 1] - ranges[2 * t]) {}
    __device__ u32 chunks() const { return (len + CHUNK - 1) / CHUNK; }
};

// The sum of u^2 over the `len` weights of a chunk, right in thread 0: chain t of UPDATE_LANES
// (tensor/src/order.rs) in thread t. In f64, as gradients may be tiny. All threads make the squares, a
// slice of the chunk at a time, so that no chain waits for memory.
constexpr u32 UPDATE_LANES = 8, SLICE = 2048;

__device__ double update_squares(const float* grad, const float* w, float decay, u32 len) {
    __shared__ double squares[SLICE];
    double chain = 0.0, sum = 0.0;
    for (u32 first = 0; first < len; first += SLICE) {
        u32 count = min(SLICE, len - first);
        __syncthreads();  // the slice before may still be read
        for (u32 i = threadIdx.x; i < count; i += CHUNK_THREADS) {
            double u = grad[first + i] + decay * w[first + i];
            squares[i] = u * u;
        }
        __syncthreads();
        for (u32 i = threadIdx.x; threadIdx.x < UPDATE_LANES && i < count; i += UPDATE_LANES) {
            chain += squares[i];
        }
    }
    if (threadIdx.x >= WARP) return sum;
    for (u32 i = 0; i < UPDATE_LANES; ++i) sum += __shfl_sync(FULL, chain, i);
    return sum;
}

// First stage: sums[t][0][block] = the block's share of |w|^2, sums[t][1][block] that of |u|^2.
// Traffic: 12 bytes per weight, 8 of them from memory.
extern "C" __global__ void __launch_bounds__(CHUNK_THREADS)
    lars_norms(const float* grad, const float* wd, const u32* ranges, const float* w,
               double* sums) {
    Tensor tensor(ranges, blockIdx.y);
    Node part = node(tensor.chunks(), DEPTH, blockIdx.x);
    grad += tensor.first;
    w += tensor.first;
    float decay = *wd;
    double w_squares = sum_node(part, [=](u32 chunk) {
        u32 first = chunk * CHUNK;
        auto square = [](float x) { return x * x; };
        return sum_chunk(w + first, min(CHUNK, tensor.len - first), square);
    });
    double u_squares = sum_node(part, [=](u32 chunk) {
        u32 first = chunk * CHUNK;
        return update_squares(grad + first, w + first, decay, min(CHUNK, tensor.len - first));
    });
    if (threadIdx.x == 0) {
        sums += blockIdx.y * 2 * PARTS + blockIdx.x;
        sums[0] = w_squares;
        sums[PARTS] = u_squares;
    }
}

// Second stage: trust[t] = eta |w| / |u| where both norms are above 0, else 1.
//
// Launch: one thread per tensor.
extern "C" __global__ void lars_trust(float eta, double* sums, float* trust, u32 tensors) {
    u32 t = element();
    if (t >= tensors) return;
    sums += t * 2 * PARTS;
    double w_norm = sqrt(sum_root(sums, DEPTH));
    double u_norm = sqrt(sum_root(sums + PARTS, DEPTH));
    trust[t] = w_norm > 0.0 && u_norm > 0.0 ? (float)((double)eta * w_norm / u_norm) : 1.0f;
}

// Third stage: SGD's step with that trust. Traffic: 20 bytes per weight.
extern "C" __global__ void lars(float momentum, const float* grad, const float* lr,
                                const float* wd, const u32* ranges, const float* guard,
                                const float* trust, float* w, float* buffer) {
    Tensor tensor(ranges, blockIdx.y);
    if (element() >= tensor.len || is_held(guard)) return;
    float rate = *lr, decay = *wd, scale = trust[blockIdx.y];
    grad += tensor.first;
    w += tensor.first;
    buffer += tensor.first;
#pragma unroll 4
    for (u32 i = element(); i < tensor.len; i += gridDim.x * blockDim.x) {
        momentum_step(momentum, rate, decay, scale, grad[i], &w[i], &buffer[i]);
    }
}

// AdamW: first = beta1 first + (1 - beta1) g, second = beta2 second + (1 - beta2) g^2, and
// w = w (1 - lr wd) - lr (first / c1) / (sqrt(second) / sqrt(c2) + eps), with the bias corrections
// c1 = 1 - beta1^t and c2 = 1 - beta2^t in correction [2]; new1 and new2 are 1 - beta.
// Traffic: 28 bytes per weight.
extern "C" __global__ void adamw(float beta1, float new1, float beta2, float new2, float eps,
                                 const float* grad, const float* lr, const float* wd,
                                 const float* correction, const float* guard, float* w,
                                 float* first, float* second, u32 n) {
    u32 i = element();
    if (i >= n || is_held(guard)) return;
    float g = grad[i];
    float m = beta1 * first[i] + new1 * g;
    float v = beta2 * second[i] + new2 * g * g;
    first[i] = m;
    second[i] = v;
    float root = sqrtf(v) / sqrtf(correction[1]) + eps;
    w[i] = w[i] * (1.0f - *lr * *wd) - *lr * (m / correction[0]) / root;
}

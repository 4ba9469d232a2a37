// The teacher's moving average and the optimizers.
//
// w, grad, buffer .. are the n weights of one parameter and what belongs to them. Learning rate lr,
// weight decay wd and the average's share m change at every step and are read on the device, [1]
// each: so one recorded launch serves the whole training.
//
// Launch, unless a kernel says otherwise: one thread per element, blocks of 256.
// Traffic: each array is read once and, if it changes, written once.
#include "common.cuh"

// teacher = m teacher + (1 - m) student. Traffic: 12 bytes per weight.
extern "C" __global__ void ema(const float* m, const float* student, float* teacher, u32 n) {
    u32 i = element();
    if (i < n) teacher[i] = *m * teacher[i] + (1.0f - *m) * student[i];
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
                               float* w, float* buffer, u32 n) {
    u32 i = element();
    if (i < n) momentum_step(momentum, *lr, *wd, 1.0f, grad[i], &w[i], &buffer[i]);
}

// LARS: SGD on each of several tensors with a trust of its own, eta |w| / |u| with u = g + wd w.
// Tensor t is elements ranges[2t] .. ranges[2t+1] of w, grad and buffer.
//
// Launch, of the first and the third stage: blocks of 256 threads in a grid (PARTS, tensors). A
// tensor takes a block for each 2048 elements, PARTS at most; blocks beyond that end at once. So
// what is added to what depends on the tensor's length alone.
constexpr u32 PARTS = 128;
constexpr u32 MIN_PART = 2048;

// Where a thread works: elements i, i + step .. below `end`, of a tensor in `parts` parts.
struct Part {
    u32 parts, i, end, step;
};

__device__ inline Part part(const u32* ranges, u32 tensor) {
    u32 first = ranges[2 * tensor], end = ranges[2 * tensor + 1];
    u32 parts = min((end - first + MIN_PART - 1) / MIN_PART, PARTS);
    return {parts, first + element(), end, parts * blockDim.x};
}

// First stage: sums[t][0][block] = the block's share of |w|^2, sums[t][1][block] that of |u|^2.
// Traffic: 8 bytes per weight.
extern "C" __global__ void lars_norms(const float* grad, const float* wd, const u32* ranges,
                                      const float* w, float* sums) {
    u32 tensor = blockIdx.y;
    Part p = part(ranges, tensor);
    if (blockIdx.x >= p.parts) return;
    float decay = *wd, w_squares = 0.0f, u_squares = 0.0f;
    for (u32 i = p.i; i < p.end; i += p.step) {
        float u = grad[i] + decay * w[i];
        w_squares += w[i] * w[i];
        u_squares += u * u;
    }
    w_squares = block_sum(w_squares);
    u_squares = block_sum(u_squares);
    if (threadIdx.x == 0) {
        sums += tensor * 2 * PARTS + blockIdx.x;
        sums[0] = w_squares;
        sums[PARTS] = u_squares;
    }
}

// Second stage: trust[t] = eta |w| / |u| where both norms are above 0, else 1.
//
// Launch: one block of PARTS threads per tensor.
extern "C" __global__ void lars_trust(float eta, const u32* ranges, const float* sums,
                                      float* trust) {
    u32 tensor = blockIdx.x;
    bool used = threadIdx.x < part(ranges, tensor).parts;
    sums += tensor * 2 * PARTS + threadIdx.x;
    float w_norm = sqrtf(block_sum(used ? sums[0] : 0.0f));
    float u_norm = sqrtf(block_sum(used ? sums[PARTS] : 0.0f));
    if (threadIdx.x == 0) {
        trust[tensor] = w_norm > 0.0f && u_norm > 0.0f ? eta * w_norm / u_norm : 1.0f;
    }
}

// Third stage: SGD's step with that trust. Traffic: 20 bytes per weight.
extern "C" __global__ void lars(float momentum, const float* grad, const float* lr,
                                const float* wd, const u32* ranges, const float* trust, float* w,
                                float* buffer) {
    Part p = part(ranges, blockIdx.y);
    if (blockIdx.x >= p.parts) return;
    float rate = *lr, decay = *wd, scale = trust[blockIdx.y];
#pragma unroll 4
    for (u32 i = p.i; i < p.end; i += p.step) {
        momentum_step(momentum, rate, decay, scale, grad[i], &w[i], &buffer[i]);
    }
}

// AdamW: first = beta1 first + (1 - beta1) g, second = beta2 second + (1 - beta2) g^2, and
// w = w (1 - lr wd) - lr (first / c1) / (sqrt(second / c2) + eps), with the bias corrections
// c1 = 1 - beta1^t and c2 = 1 - beta2^t in correction [2]. Traffic: 28 bytes per weight.
extern "C" __global__ void adamw(float beta1, float beta2, float eps, const float* grad,
                                 const float* lr, const float* wd, const float* correction,
                                 float* w, float* first, float* second, u32 n) {
    u32 i = element();
    if (i >= n) return;
    float g = grad[i];
    float m = beta1 * first[i] + (1.0f - beta1) * g;
    float v = beta2 * second[i] + (1.0f - beta2) * g * g;
    first[i] = m;
    second[i] = v;
    float root = sqrtf(v / correction[1]) + eps;
    w[i] = w[i] * (1.0f - *lr * *wd) - *lr * (m / correction[0]) / root;
}

// The teacher's moving average and the optimizers.
//
// w, grad, buffer .. are the n weights of one parameter and what belongs to them. Learning rate lr,
// weight decay wd and the average's share m change at every step and are read on the device, [1]
// each: so one recorded launch serves the whole training.
//
// Launch: one thread per element, blocks of 256.
// Traffic: each array is read once and, if it changes, written once.
#include "common.cuh"

// teacher = m teacher + (1 - m) student. Traffic: 12 bytes per weight.
extern "C" __global__ void ema(const float* m, const float* student, float* teacher, u32 n) {
    u32 i = element();
    if (i < n) teacher[i] = *m * teacher[i] + (1.0f - *m) * student[i];
}

// buffer = momentum buffer + trust u, u = g + wd w; w = w - lr buffer
__device__ inline void momentum_step(float momentum, float lr, float trust, float u, float* w,
                                     float* buffer) {
    *buffer = momentum * *buffer + trust * u;
    *w -= lr * *buffer;
}

// SGD with momentum (heavy ball): trust = 1. Traffic: 20 bytes per weight.
extern "C" __global__ void sgd(float momentum, const float* lr, const float* wd, const float* grad,
                               float* w, float* buffer, u32 n) {
    u32 i = element();
    if (i < n) momentum_step(momentum, *lr, 1.0f, grad[i] + *wd * w[i], &w[i], &buffer[i]);
}

// LARS, first stage: parts[block] = the block's share of |w|^2, parts[blocks + block] that of
// |u|^2 with u = g + wd w. A fixed tree: see sum_parts in reduce.cu.
//
// Launch: blocks of 256 threads, at most 1024 of them: a number that depends on n alone.
// Traffic: 8 bytes per weight.
extern "C" __global__ void lars_norms(const float* wd, const float* grad, const float* w,
                                      float* parts, u32 n) {
    float w_squares = 0.0f, u_squares = 0.0f;
    for (size_t i = element(); i < n; i += gridDim.x * blockDim.x) {
        float u = grad[i] + *wd * w[i];
        w_squares += w[i] * w[i];
        u_squares += u * u;
    }
    w_squares = block_sum(w_squares);
    u_squares = block_sum(u_squares);
    if (threadIdx.x == 0) {
        parts[blockIdx.x] = w_squares;
        parts[gridDim.x + blockIdx.x] = u_squares;
    }
}

// Second stage: trust = eta |w| / |u| where both norms are above 0, else 1. Launch: one block.
extern "C" __global__ void lars_trust(float eta, const float* parts, float* trust, u32 blocks) {
    float w_squares = 0.0f, u_squares = 0.0f;
    for (u32 i = threadIdx.x; i < blocks; i += blockDim.x) {
        w_squares += parts[i];
        u_squares += parts[blocks + i];
    }
    float w_norm = sqrtf(block_sum(w_squares)), u_norm = sqrtf(block_sum(u_squares));
    if (threadIdx.x == 0) *trust = w_norm > 0.0f && u_norm > 0.0f ? eta * w_norm / u_norm : 1.0f;
}

// Third stage: SGD's step with that trust. Traffic: 20 bytes per weight.
extern "C" __global__ void lars(float momentum, const float* lr, const float* wd,
                                const float* trust, const float* grad, float* w, float* buffer,
                                u32 n) {
    u32 i = element();
    if (i < n) momentum_step(momentum, *lr, *trust, grad[i] + *wd * w[i], &w[i], &buffer[i]);
}

// AdamW: first = beta1 first + (1 - beta1) g, second = beta2 second + (1 - beta2) g^2, and
// w = w (1 - lr wd) - lr (first / c1) / (sqrt(second / c2) + eps), with the bias corrections
// c1 = 1 - beta1^t and c2 = 1 - beta2^t in correction [2]. Traffic: 28 bytes per weight.
extern "C" __global__ void adamw(float beta1, float beta2, float eps, const float* lr,
                                 const float* wd, const float* correction, const float* grad,
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

// One thread per element.
//
// x, y, dy, dx are [n]; dy is the gradient of the loss by y, dx that by x. A scalar that changes
// from step to step is read on the device, [1].
//
// Launch: blocks of 256 threads, ceil(n / 256) of them. Neighbouring threads touch neighbouring
// elements, so a warp moves 128 bytes at a time.
// Traffic: each input is read once and each output written once, 4 bytes per element. An H100
// moves about 3.3 TB/s and does 67 TFLOP/s, 80 operations per element moved: all of these wait for
// memory, and only fusing them with a neighbour makes them faster.
#include "bf16.cuh"
#include "guard.cuh"
#include "math.cuh"

// y = value
extern "C" __global__ void fill(float value, float* y, u32 n) {
    u32 i = element();
    if (i < n) y[i] = value;
}

// y = x, bit by bit: also for indices.
extern "C" __global__ void copy(const u32* x, u32* y, u32 n) {
    u32 i = element();
    if (i < n) y[i] = x[i];
}

// y = a + b; y may be a.
extern "C" __global__ void add(const float* a, const float* b, float* y, u32 n) {
    u32 i = element();
    if (i < n) y[i] = a[i] + b[i];
}

// The same of n groups of 4: where slots allow, since sums of gradients are a step's largest.
extern "C" __global__ void add_by_4(const float4* a, const float4* b, float4* y, u32 n) {
    u32 i = element();
    if (i >= n) return;
    float4 p = a[i], q = b[i];
    y[i] = make_float4(p.x + q.x, p.y + q.y, p.z + q.z, p.w + q.w);
}

// y = a b
extern "C" __global__ void mul(const float* a, const float* b, float* y, u32 n) {
    u32 i = element();
    if (i < n) y[i] = a[i] * b[i];
}

// y = x clamped to [low, high]; NaN compares false with everything and so comes through.
extern "C" __global__ void clamp(float low, float high, const float* x, float* y, u32 n) {
    u32 i = element();
    if (i < n) y[i] = x[i] < low ? low : x[i] > high ? high : x[i];
}

// dx = dy where low <= x <= high, else 0
extern "C" __global__ void clamp_backward(float low, float high, const float* x, const float* dy,
                                          float* dx, u32 n) {
    u32 i = element();
    if (i < n) dx[i] = low <= x[i] && x[i] <= high ? dy[i] : 0.0f;
}

// y = ln x
extern "C" __global__ void ln(const float* x, float* y, u32 n) {
    u32 i = element();
    if (i < n) y[i] = exact_ln(x[i]);
}

// dx = dy / x
extern "C" __global__ void ln_backward(const float* x, const float* dy, float* dx, u32 n) {
    u32 i = element();
    if (i < n) dx[i] = dy[i] / x[i];
}

// y = alpha x; y may be x.
extern "C" __global__ void scale(float alpha, const float* x, float* y, u32 n) {
    u32 i = element();
    if (i < n) y[i] = alpha * x[i];
}

// y = s x; y may be x.
extern "C" __global__ void scale_by(const float* s, const float* x, float* y, u32 n) {
    u32 i = element();
    if (i < n) y[i] = *s * x[i];
}

// acc = x + keep acc; just x where keep is 0, whatever acc holds.
extern "C" __global__ void accumulate(const float* keep, const float* x, const float* guard,
                                      float* acc, u32 n) {
    u32 i = element();
    if (i < n && !is_held(guard)) acc[i] = *keep == 0.0f ? x[i] : fmaf(*keep, acc[i], x[i]);
}

// y = max(x, 0), and NaN where x is: a fault upstream must stay visible.
extern "C" __global__ void relu(const float* x, float* y, u32 n) {
    u32 i = element();
    if (i < n) y[i] = x[i] < 0.0f ? 0.0f : x[i];
}

// dx = dy where y > 0, else 0
extern "C" __global__ void relu_backward(const float* y, const float* dy, float* dx, u32 n) {
    u32 i = element();
    if (i < n) dx[i] = y[i] > 0.0f ? dy[i] : 0.0f;
}

__device__ inline float gelu_of(float x) { return x * normal_cdf(x); }

__device__ inline float gelu_slope(float x) { return fmaf(x, normal_density(x), normal_cdf(x)); }

// y = x Phi(x)
extern "C" __global__ void gelu(const float* x, float* y, u32 n) {
    u32 i = element();
    if (i < n) y[i] = gelu_of(x[i]);
}

// dx = dy (Phi(x) + x phi(x))
extern "C" __global__ void gelu_backward(const float* x, const float* dy, float* dx, u32 n) {
    u32 i = element();
    if (i < n) dx[i] = dy[i] * gelu_slope(x[i]);
}

// s(x) = 1 / (1 + exp(-x))
__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + exact_exp(-x)); }

// y = x s(x)
extern "C" __global__ void silu(const float* x, float* y, u32 n) {
    u32 i = element();
    if (i < n) y[i] = x[i] * sigmoid(x[i]);
}

// dx = dy s(x) (1 + x (1 - s(x)))
extern "C" __global__ void silu_backward(const float* x, const float* dy, float* dx, u32 n) {
    u32 i = element();
    if (i >= n) return;
    float s = sigmoid(x[i]);
    dx[i] = dy[i] * (s * fmaf(x[i], 1.0f - s, 1.0f));
}

// y = sqrt x
extern "C" __global__ void square_root(const float* x, float* y, u32 n) {
    u32 i = element();
    if (i < n) y[i] = sqrtf(x[i]);
}

// dx = dy / (2 y)
extern "C" __global__ void square_root_backward(const float* y, const float* dy, float* dx, u32 n) {
    u32 i = element();
    if (i < n) dx[i] = dy[i] / (2.0f * y[i]);
}

// y[r,c] = x[r,c] + bias[c], with n = rows * columns; y may be x. The bias stays in the cache.
extern "C" __global__ void add_bias(const float* x, const float* bias, float* y, u32 n,
                                    u32 columns) {
    u32 i = element();
    if (i < n) y[i] = x[i] + bias[i % columns];
}

// y[r,c] = gelu(x[r,c] + bias[c])
extern "C" __global__ void bias_gelu(const float* x, const float* bias, float* y, u32 n,
                                     u32 columns) {
    u32 i = element();
    if (i < n) y[i] = gelu_of(x[i] + bias[i % columns]);
}

// dx[r,c] = dy[r,c] gelu'(x[r,c] + bias[c])
extern "C" __global__ void bias_gelu_backward(const float* x, const float* bias, const float* dy,
                                              float* dx, u32 n, u32 columns) {
    u32 i = element();
    if (i < n) dx[i] = dy[i] * gelu_slope(x[i] + bias[i % columns]);
}

// y[r,c] = max(x[r,c] + bias[c], 0), and NaN where that is; y may be x.
extern "C" __global__ void bias_relu(const float* x, const float* bias, float* y, u32 n,
                                     u32 columns) {
    u32 i = element();
    if (i >= n) return;
    float sum = x[i] + bias[i % columns];
    y[i] = sum < 0.0f ? 0.0f : sum;
}

// The same of x[r,c] + bias[c] + residual[r,c].
extern "C" __global__ void bias_add_relu(const float* x, const float* bias, const float* residual,
                                         float* y, u32 n, u32 columns) {
    u32 i = element();
    if (i >= n) return;
    float sum = x[i] + bias[i % columns] + residual[i];
    y[i] = sum < 0.0f ? 0.0f : sum;
}

// Some of these for bf16: a thread has 8 neighbours, a row has a multiple of 8; n counts threads.
using Eight = Neighbours<8, bf16>;

// Writes f(j) to the 8 neighbours of this thread.
template <class F> __device__ inline void write_8(bf16* y, F f) {
    Eight eight;
    for (u32 j = 0; j < 8; ++j) eight.of[j] = f(j);
    eight.store(y);
}

__device__ inline float relu_of(float x) { return x < 0.0f ? 0.0f : x; }

extern "C" __global__ void add_bf16(const bf16* a, const bf16* b, bf16* y, u32 n) {
    size_t i = 8 * (size_t)element();
    if (i >= 8 * (size_t)n) return;
    Eight p = Eight::at(a + i), q = Eight::at(b + i);
    write_8(y + i, [&](u32 j) { return p.of[j] + q.of[j]; });
}

extern "C" __global__ void relu_bf16(const bf16* x, bf16* y, u32 n) {
    size_t i = 8 * (size_t)element();
    if (i >= 8 * (size_t)n) return;
    Eight p = Eight::at(x + i);
    write_8(y + i, [&](u32 j) { return relu_of(p.of[j]); });
}

extern "C" __global__ void relu_backward_bf16(const bf16* y, const bf16* dy, bf16* dx, u32 n) {
    size_t i = 8 * (size_t)element();
    if (i >= 8 * (size_t)n) return;
    Eight p = Eight::at(y + i), g = Eight::at(dy + i);
    write_8(dx + i, [&](u32 j) { return p.of[j] > 0.0f ? g.of[j] : 0.0f; });
}

extern "C" __global__ void add_bias_bf16(const bf16* x, const float* bias, bf16* y, u32 n,
                                         u32 columns) {
    size_t i = 8 * (size_t)element();
    if (i >= 8 * (size_t)n) return;
    Eight p = Eight::at(x + i);
    bias += 8 * (element() % (columns / 8));
    write_8(y + i, [&](u32 j) { return p.of[j] + bias[j]; });
}

extern "C" __global__ void bias_relu_bf16(const bf16* x, const float* bias, bf16* y, u32 n,
                                          u32 columns) {
    size_t i = 8 * (size_t)element();
    if (i >= 8 * (size_t)n) return;
    Eight p = Eight::at(x + i);
    bias += 8 * (element() % (columns / 8));
    write_8(y + i, [&](u32 j) { return relu_of(p.of[j] + bias[j]); });
}

extern "C" __global__ void bias_add_relu_bf16(const bf16* x, const float* bias,
                                              const bf16* residual, bf16* y, u32 n, u32 columns) {
    size_t i = 8 * (size_t)element();
    if (i >= 8 * (size_t)n) return;
    Eight p = Eight::at(x + i), added = Eight::at(residual + i);
    bias += 8 * (element() % (columns / 8));
    write_8(y + i, [&](u32 j) { return relu_of(p.of[j] + bias[j] + added.of[j]); });
}

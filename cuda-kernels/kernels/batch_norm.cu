// Batch norm of x [rows, C] (rows = N H W, channels last), fused with the residual and the ReLU
// behind it.
//
// Forward:  y = relu((x - mean) inv_std weight + bias + residual), inv_std = 1 / sqrt(var + eps).
// Backward: g = dy where y > 0, xhat = (x - mean) inv_std,
//           dbias = sum of g, dweight = sum of g xhat, dresidual = g,
//           dx = weight inv_std (g - (dbias + xhat dweight) / rows).
//
// Statistics are sums over all rows, in a fixed tree of two stages: groups of rows, then the
// groups. A third kernel uses them element by element.
//
// Launch, unless a kernel says otherwise: 2-D blocks of 256 threads, threadIdx.x on channels (see
// common.cuh); blockIdx.x is a group of rows, blockIdx.y a tile of channels. A thread walks down
// its channel with a step of blockDim.y rows, so it keeps what belongs to the channel in registers.
// Traffic: forward x twice and y once, 12 bytes per element, and the residual once, 4 more; apart,
// residual and ReLU would cost 16 more. Backward x, y, dy twice and dx once, 28 bytes; 20 without
// ReLU. Where dresidual is wanted, the first pass writes it and the second reads it in place of y
// and dy: 28 bytes as well.
#include "common.cuh"

// Where a thread works: its channel c, and elements i, i + step .., `count` of them.
struct Walk {
    u32 c, count;
    size_t i, step;
};

// A thread beside the last channel has nothing to walk over, but stays for the barriers.
__device__ inline Walk walk(u32 rows, u32 channels, u32 rows_per_group) {
    u32 first = blockIdx.x * rows_per_group + threadIdx.y;
    u32 end = min((blockIdx.x + 1) * rows_per_group, rows);
    u32 c = blockIdx.y * blockDim.x + threadIdx.x;
    u32 count = c < channels ? steps(first, end, blockDim.y) : 0;
    return {c, count, (size_t)first * channels + c, (size_t)blockDim.y * channels};
}

// Mean and sum of squared distances from it, m2, of `count` numbers.
struct Moments {
    float count, mean, m2;
};

// Those of two sets together (Chan, Golub and LeVeque 1983). Nothing large is subtracted from
// anything large, so a mean far from 0 costs no digits, as sum(x^2) - sum(x)^2 / n would.
__device__ inline Moments merge(Moments a, Moments b) {
    if (b.count == 0.0f) return a;
    float count = a.count + b.count, share = b.count / count, delta = b.mean - a.mean;
    return {count, fmaf(delta, share, a.mean), a.m2 + b.m2 + delta * delta * a.count * share};
}

// Moments over threadIdx.y for each threadIdx.x, as sum_over_y; right where threadIdx.y is 0.
__device__ inline Moments merge_over_y(Moments m) {
    __shared__ Moments part[TILE_THREADS];
    u32 t = threadIdx.y * blockDim.x + threadIdx.x;
    part[t] = m;
    for (u32 half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half) part[t] = merge(part[t], part[t + half * blockDim.x]);
    }
    return part[t];
}

// First stage: mean and m2 of each group of rows; parts is [groups, 2, C].
// A thread takes one row after the other into its moments (Welford 1962).
extern "C" __global__ void statistics(const float* x, float* parts, u32 rows, u32 channels,
                                      u32 rows_per_group) {
    Walk w = walk(rows, channels, rows_per_group);
    Moments m = {0.0f, 0.0f, 0.0f};
#pragma unroll 4
    for (u32 k = 0; k < w.count; ++k, w.i += w.step) {
        float value = x[w.i], delta = value - m.mean;
        m.count += 1.0f;
        m.mean += __fdividef(delta, m.count);
        m.m2 = fmaf(delta, value - m.mean, m.m2);
    }
    m = merge_over_y(m);
    if (threadIdx.y == 0 && w.c < channels) {
        parts += (size_t)blockIdx.x * 2 * channels + w.c;
        parts[0] = m.mean;
        parts[channels] = m.m2;
    }
}

// Second stage: the batch's mean and inv_std from all groups, and the running statistics,
// running = running + momentum (batch - running), with the variance of n - 1.
//
// Launch: one block of up to 1024 threads per tile of channels, in blockIdx.y.
// Traffic: parts once.
extern "C" __global__ void finish_statistics(const float* parts, float* mean, float* inv_std,
                                             float* running_mean, float* running_var, u32 rows,
                                             u32 channels, u32 rows_per_group, u32 groups,
                                             float eps, float momentum) {
    u32 c = blockIdx.y * blockDim.x + threadIdx.x;
    Moments m = {0.0f, 0.0f, 0.0f};
    for (u32 i = threadIdx.y; i < groups && c < channels; i += blockDim.y) {
        const float* part = parts + (size_t)i * 2 * channels + c;
        float count = min(rows_per_group, rows - i * rows_per_group);
        m = merge(m, {count, part[0], part[channels]});
    }
    m = merge_over_y(m);
    if (threadIdx.y == 0 && c < channels) {
        mean[c] = m.mean;
        inv_std[c] = 1.0f / sqrtf(m.m2 / m.count + eps);
        running_mean[c] += momentum * (m.mean - running_mean[c]);
        running_var[c] += momentum * (m.m2 / (m.count - 1.0f) - running_var[c]);
    }
}

// For inference, mean = running_mean and inv_std = 1 / sqrt(running_var + eps); one thread per
// channel.
extern "C" __global__ void take_running(const float* running_mean, const float* running_var,
                                        float* mean, float* inv_std, u32 channels, float eps) {
    u32 c = element();
    if (c >= channels) return;
    mean[c] = running_mean[c];
    inv_std[c] = 1.0f / sqrtf(running_var[c] + eps);
}

// y = relu((x - mean) inv_std weight + bias + residual); without residual where it is null.
extern "C" __global__ void normalise(const float* x, const float* residual, const float* weight,
                                     const float* bias, const float* mean, const float* inv_std,
                                     float* y, u32 rows, u32 channels, u32 rows_per_group,
                                     u32 relu) {
    Walk w = walk(rows, channels, rows_per_group);
    if (w.count == 0) return;
    float center = mean[w.c], scale = weight[w.c] * inv_std[w.c], shift = bias[w.c];
#pragma unroll 1  // with two loads and more, full occupancy hides more than unrolling does
    for (u32 k = 0; k < w.count; ++k, w.i += w.step) {
        float z = fmaf(x[w.i] - center, scale, shift);
        if (residual != nullptr) z += residual[w.i];
        y[w.i] = relu && z < 0.0f ? 0.0f : z;  // NaN compares false and so comes through
    }
}

// g = dy, and 0 where the ReLU has cut: y <= 0. y is only looked at with ReLU.
__device__ inline float behind_relu(const float* y, const float* dy, size_t i, u32 relu) {
    return relu && y[i] <= 0.0f ? 0.0f : dy[i];
}

// First stage of the gradients: sums of g and of g (x - mean) for each group; parts is
// [groups, 2, C]. And dresidual = g unless it is null.
extern "C" __global__ void sum_gradients(const float* x, const float* y, const float* dy,
                                         const float* mean, float* parts, float* dresidual,
                                         u32 rows, u32 channels, u32 rows_per_group, u32 relu) {
    Walk w = walk(rows, channels, rows_per_group);
    float center = w.c < channels ? mean[w.c] : 0.0f;
    float sum_g = 0.0f, sum_gx = 0.0f;
#pragma unroll 1
    for (u32 k = 0; k < w.count; ++k, w.i += w.step) {
        float g = behind_relu(y, dy, w.i, relu);
        if (dresidual != nullptr) dresidual[w.i] = g;
        sum_g += g;
        sum_gx = fmaf(g, x[w.i] - center, sum_gx);
    }
    sum_g = sum_over_y(sum_g);
    sum_gx = sum_over_y(sum_gx);
    if (threadIdx.y == 0 && w.c < channels) {
        parts += (size_t)blockIdx.x * 2 * channels + w.c;
        parts[0] = sum_g;
        parts[channels] = sum_gx;
    }
}

// Second stage: dbias and dweight. Launch and traffic as finish_statistics.
extern "C" __global__ void finish_gradients(const float* parts, const float* inv_std,
                                            float* dweight, float* dbias, u32 channels,
                                            u32 groups) {
    u32 c = blockIdx.y * blockDim.x + threadIdx.x;
    float sum_g = 0.0f, sum_gx = 0.0f;
    for (u32 i = threadIdx.y; i < groups && c < channels; i += blockDim.y) {
        const float* part = parts + (size_t)i * 2 * channels + c;
        sum_g += part[0];
        sum_gx += part[channels];
    }
    sum_g = sum_over_y(sum_g);
    sum_gx = sum_over_y(sum_gx);
    if (threadIdx.y == 0 && c < channels) {
        dbias[c] = sum_g;
        dweight[c] = sum_gx * inv_std[c];
    }
}

// dx = weight inv_std (g - share (dbias + xhat dweight)); share is 1 / rows, and 0 in inference,
// where the statistics are constants.
extern "C" __global__ void gradient(const float* x, const float* y, const float* dy,
                                    const float* weight, const float* mean, const float* inv_std,
                                    const float* dweight, const float* dbias, float* dx, u32 rows,
                                    u32 channels, u32 rows_per_group, float share, u32 relu) {
    Walk w = walk(rows, channels, rows_per_group);
    if (w.count == 0) return;
    float center = mean[w.c], scale = weight[w.c] * inv_std[w.c];
    float shift = share == 0.0f ? 0.0f : -scale * dbias[w.c] * share;
    float slope = share == 0.0f ? 0.0f : -scale * inv_std[w.c] * dweight[w.c] * share;
#pragma unroll 1
    for (u32 k = 0; k < w.count; ++k, w.i += w.step) {
        float g = behind_relu(y, dy, w.i, relu);
        dx[w.i] = fmaf(slope, x[w.i] - center, fmaf(scale, g, shift));
    }
}

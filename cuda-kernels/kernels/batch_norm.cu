// Batch norm of x [rows, C] (rows = N H W, channels last), fused with the residual and the ReLU
// behind it.
//
// Forward:  y = relu((x - mean) inv_std weight + bias + residual), inv_std = 1 / sqrt(var + eps).
// Backward: g = dy where y > 0, xhat = (x - mean) inv_std,
//           dbias = sum of g, dweight = sum of g xhat, dresidual = g,
//           dx = weight inv_std (g - (dbias + xhat dweight) / rows).
//
// Statistics are sums over all rows, in two stages: groups of rows, then the groups in order, in
// f64. A third kernel uses them element by element.
//
// Launch of the first stage: 2-D blocks of up to 64 threads, threadIdx.x on channels; blockIdx.x is
// a group of rows, blockIdx.y a tile of channels. With few channels the rows of a group are dealt
// to blockDim.y chains (rows_at_once in tensor/src/order.rs), else there is one. Of the second: one
// thread per channel. Of the third: 2-D blocks of 256 threads, threadIdx.x on channels and
// threadIdx.y on rows. Threads walk down their channel with a step of blockDim.y rows, so they keep
// what belongs to the channel in registers.
// Traffic: forward x three times (the second time from a cache) and y once, 16 bytes per element,
// and the residual once, 4 more; apart, residual and ReLU would cost 16 more. Backward x, y, dy
// twice and dx once, 28 bytes; 20 without ReLU. Where dresidual is wanted, the first pass writes it
// and the second reads it in place of y and dy: 28 bytes as well.
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

constexpr u32 WIDE = 64;  // most threads of the first stage

// The chains of a channel as one, in every thread: from that of threadIdx.y = 0 on.
__device__ inline float sum_chains(float x) {
    __shared__ float chain[WIDE];
    __syncthreads();  // an earlier sum may still be read
    chain[threadIdx.y * blockDim.x + threadIdx.x] = x;
    __syncthreads();
    float sum = 0.0f;
    for (u32 y = 0; y < blockDim.y; ++y) sum += chain[y * blockDim.x + threadIdx.x];
    return sum;
}

// First stage: mean and sum of squared distances from it, for each group of rows; parts is
// [groups, 2, C].
extern "C" __global__ void __launch_bounds__(WIDE)
    statistics(const float* x, float* parts, u32 rows, u32 channels, u32 rows_per_group) {
    Walk w = walk(rows, channels, rows_per_group);
    float sum = 0.0f;
#pragma unroll 4
    for (u32 k = 0; k < w.count; ++k) sum += x[w.i + k * w.step];
    float share = 1.0f / (float)min(rows_per_group, rows - blockIdx.x * rows_per_group);
    float mean = sum_chains(sum) * share;
    float squares = 0.0f;
#pragma unroll 4
    for (u32 k = 0; k < w.count; ++k) {
        float distance = x[w.i + k * w.step] - mean;
        squares += distance * distance;
    }
    squares = sum_chains(squares);
    if (threadIdx.y == 0 && w.c < channels) {
        parts += (size_t)blockIdx.x * 2 * channels + w.c;
        parts[0] = mean;
        parts[channels] = squares;
    }
}

// Second stage: the batch's mean and inv_std from all groups, and the running statistics,
// running = running + momentum (batch - running), with the variance of n - 1.
//
// Two sets' means and squares are combined as by Chan, Golub and LeVeque (1983): nothing large is
// subtracted from anything large, so a mean far from 0 costs no digits, as sum(x^2) - sum(x)^2 / n
// would.
// Traffic: parts once.
extern "C" __global__ void finish_statistics(const float* parts, float* mean, float* inv_std,
                                             float* running_mean, float* running_var, u32 rows,
                                             u32 channels, u32 rows_per_group, u32 groups,
                                             float eps, float momentum) {
    u32 c = element();
    if (c >= channels) return;
    double count = 0.0, all_mean = 0.0, squares = 0.0;
    for (u32 i = 0; i < groups; ++i) {
        const float* part = parts + (size_t)i * 2 * channels + c;
        double n = min(rows_per_group, rows - i * rows_per_group);
        double delta = part[0] - all_mean;
        all_mean += delta * n / (count + n);
        squares += part[channels] + delta * delta * count * n / (count + n);
        count += n;
    }
    mean[c] = (float)all_mean;
    inv_std[c] = (float)(1.0 / sqrt(squares / count + eps));
    float unbiased = (float)(squares / (count - 1.0));
    running_mean[c] += momentum * (mean[c] - running_mean[c]);
    running_var[c] += momentum * (unbiased - running_var[c]);
}

// For inference, mean = running_mean and inv_std = 1 / sqrt(running_var + eps); one thread per
// channel.
extern "C" __global__ void take_running(const float* running_mean, const float* running_var,
                                        float* mean, float* inv_std, u32 channels, float eps) {
    u32 c = element();
    if (c >= channels) return;
    mean[c] = running_mean[c];
    inv_std[c] = (float)(1.0 / sqrt((double)running_var[c] + eps));
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
extern "C" __global__ void __launch_bounds__(WIDE)
    sum_gradients(const float* x, const float* y, const float* dy, const float* mean, float* parts,
                  float* dresidual, u32 rows, u32 channels, u32 rows_per_group, u32 relu) {
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
    sum_g = sum_chains(sum_g);
    sum_gx = sum_chains(sum_gx);
    if (threadIdx.y == 0 && w.c < channels) {
        parts += (size_t)blockIdx.x * 2 * channels + w.c;
        parts[0] = sum_g;
        parts[channels] = sum_gx;
    }
}

// Second stage: dbias and dweight. Traffic: parts once.
extern "C" __global__ void finish_gradients(const float* parts, const float* inv_std,
                                            float* dweight, float* dbias, u32 channels,
                                            u32 groups) {
    u32 c = element();
    if (c >= channels) return;
    double sum_g = 0.0, sum_gx = 0.0;
    for (u32 i = 0; i < groups; ++i) {
        const float* part = parts + (size_t)i * 2 * channels + c;
        sum_g += part[0];
        sum_gx += part[channels];
    }
    dbias[c] = (float)sum_g;
    dweight[c] = (float)(sum_gx * inv_std[c]);
}

// dx = weight inv_std (g - (dbias + xhat dweight) / rows); in inference the statistics are
// constants and the second term is 0.
extern "C" __global__ void gradient(const float* x, const float* y, const float* dy,
                                    const float* weight, const float* mean, const float* inv_std,
                                    const float* dweight, const float* dbias, float* dx, u32 rows,
                                    u32 channels, u32 rows_per_group, u32 training, u32 relu) {
    Walk w = walk(rows, channels, rows_per_group);
    if (w.count == 0) return;
    float center = mean[w.c], scale = weight[w.c] * inv_std[w.c];
    float through = training ? -scale : 0.0f, share = 1.0f / (float)rows;
    float shift = through * dbias[w.c] * share;
    float slope = through * inv_std[w.c] * dweight[w.c] * share;
#pragma unroll 1
    for (u32 k = 0; k < w.count; ++k, w.i += w.step) {
        float g = behind_relu(y, dy, w.i, relu);
        dx[w.i] = fmaf(slope, x[w.i] - center, fmaf(scale, g, shift));
    }
}

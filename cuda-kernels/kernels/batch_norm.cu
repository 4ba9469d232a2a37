// Batch norm of x [rows, C] (rows = N H W, channels last), fused with the residual and the ReLU
// behind it.
//
// Forward:  y = relu((x - mean) inv_std weight + bias + residual), inv_std = 1 / sqrt(var + eps).
// Backward: g = dy where y > 0, xhat = (x - mean) inv_std,
//           dbias = sum of g, dweight = sum of g xhat, dresidual = g,
//           dx = weight inv_std (g - (dbias + xhat dweight) / rows).
//
// Statistics are sums over all rows, in two stages: groups of rows, then the groups, in f64. A third
// kernel uses them element by element. Of a convolution on tensor cores, that one has done the first stage
// (tile_statistics.cuh).
//
// Launch of the first stage: 2-D blocks of up to 64 threads, threadIdx.x on channels; blockIdx.x is
// a group of rows, blockIdx.y a tile of channels. With few channels the rows of a group are dealt
// to blockDim.y chains (rows_at_once in tensor/src/order.rs), else there is one and 32 channels. Of the second: 2-D
// blocks of 256 threads, 8 channels by 32 chains of groups. Of the third: 2-D blocks of 256 threads,
// threadIdx.x on channels and threadIdx.y on rows. Threads walk down their channel with a step of blockDim.y rows, so they keep
// what belongs to the channel in registers; where channels are multiples of 4, each has 4 neighbours
// (the kernels named _by_4), or 8 of bf16. In the first stage bf16 come in pairs: a word to a thread.
// Traffic: forward x twice and y once, 12 bytes per element, and the residual once, 4 more; apart,
// residual and ReLU would cost 16 more. Backward x, y, dy
// twice and dx once, 28 bytes; 20 without ReLU. Where dresidual is wanted, the first pass writes it
// and the second reads it in place of y and dy: 28 bytes as well. bf16 halve all of that.
#include "async_copy.cuh"
#include "bf16.cuh"

// Where a thread works: its channel c, the first of N, and elements i, i + step .., `count` of them.
struct Walk {
    u32 c, count;
    size_t i, step;
};

// A thread beside the last channel has nothing to walk over, but stays for the barriers.
template <u32 N = 1> __device__ inline Walk walk(u32 rows, u32 channels, u32 rows_per_group) {
    u32 first = blockIdx.x * rows_per_group + threadIdx.y;
    u32 end = min((blockIdx.x + 1) * rows_per_group, rows);
    u32 c = (blockIdx.y * blockDim.x + threadIdx.x) * N;
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

// First stage: mean, which is the first row plus the mean distance from it, and sum of squared distances
// from the mean, for each group of rows; parts is [groups, 2, C]. The group's numbers are needed twice, so
// they are kept in shared memory: a word for each row of the group and thread of a row.
template <class T>
__device__ void statistics_of(const T* x, float* parts, u32 rows, u32 channels, u32 rows_per_group) {
    constexpr u32 N = 4 / sizeof(T);
    using Word = Neighbours<N, T>;
    extern __shared__ u32 kept[];
    Walk w = walk<N>(rows, channels, rows_per_group);
    u32* own = kept + threadIdx.y * blockDim.x + threadIdx.x;
    u32 step = blockDim.y * blockDim.x;
    for (u32 k = 0; k < w.count; ++k) copy_async<1>(shared_address(own + k * step), x + w.i + k * w.step, true);
    commit();
    wait_for_all_but<0>();
    __syncthreads();
    Word first = w.c < channels ? Word::at((const T*)(kept + threadIdx.x)) : Word{};
    float sum[N] = {}, mean[N], squares[N] = {};
#pragma unroll 8
    for (u32 k = 0; k < w.count; ++k) {
        auto word = Word::at((const T*)(own + k * step));
        for (u32 j = 0; j < N; ++j) sum[j] += word.of[j] - first.of[j];
    }
    float share = 1.0f / (float)min(rows_per_group, rows - blockIdx.x * rows_per_group);
    for (u32 j = 0; j < N; ++j) mean[j] = sum_chains(sum[j]) * share + first.of[j];
#pragma unroll 8
    for (u32 k = 0; k < w.count; ++k) {
        auto word = Word::at((const T*)(own + k * step));
        for (u32 j = 0; j < N; ++j) {
            float distance = word.of[j] - mean[j];
            squares[j] += distance * distance;
        }
    }
    parts += (size_t)blockIdx.x * 2 * channels + w.c;
    for (u32 j = 0; j < N; ++j) {
        float all = sum_chains(squares[j]);
        if (threadIdx.y == 0 && w.c < channels) parts[j] = mean[j], parts[channels + j] = all;
    }
}

extern "C" __global__ void __launch_bounds__(WIDE)
    statistics(const float* x, float* parts, u32 rows, u32 channels, u32 rows_per_group) {
    statistics_of(x, parts, rows, channels, rows_per_group);
}

extern "C" __global__ void __launch_bounds__(WIDE)
    statistics_bf16(const bf16* x, float* parts, u32 rows, u32 channels, u32 rows_per_group) {
    statistics_of(x, parts, rows, channels, rows_per_group);
}

constexpr u32 CHANNELS = 8, GROUP_CHAINS = 32;  // of a block of the second stage

// The channel of a thread of the second stage.
__device__ inline u32 finished_channel() { return blockIdx.x * CHANNELS + threadIdx.x; }

// The sum of f(i, a, b) over all groups i with the sums a and b, in every thread; f of no channel
// counts.
template <class F>
__device__ double sum_groups(const float* parts, u32 channels, u32 groups, F f) {
    __shared__ double chains[GROUP_CHAINS][CHANNELS];
    u32 c = finished_channel();
    double chain = 0.0;
    u32 count = c < channels ? steps(threadIdx.y, groups, GROUP_CHAINS) : 0;
#pragma unroll 8  // a block waits for all of its loads one after the other, but for those of a turn
    for (u32 k = 0; k < count; ++k) {
        u32 i = threadIdx.y + k * GROUP_CHAINS;
        const float* part = parts + (size_t)i * 2 * channels + c;
        chain += f(i, part[0], part[channels]);
    }
    __syncthreads();  // an earlier sum may still be read
    chains[threadIdx.y][threadIdx.x] = chain;
    __syncthreads();
    double sum = 0.0;
    for (u32 y = 0; y < GROUP_CHAINS; ++y) sum += chains[y][threadIdx.x];
    return sum;
}

// Second stage: the batch's mean and inv_std from all groups, and the running statistics,
// running = running + momentum (batch - running), with the variance of n - 1.
//
// n_i rows with mean m_i and squares s_i around it: m = sum n_i m_i / n, and the squares around m are
// sum (s_i + n_i (m_i - m)^2). Nothing large is subtracted from anything large, so a mean far from 0
// costs no digits, as sum(x^2) - sum(x)^2 / n would.
// Traffic: parts twice, the second time from a cache.
extern "C" __global__ void finish_statistics(const float* parts, float* mean, float* inv_std,
                                             float* running_mean, float* running_var, u32 rows,
                                             u32 channels, u32 rows_per_group, u32 groups,
                                             float eps, float momentum) {
    auto count = [&](u32 i) { return (double)min(rows_per_group, rows - i * rows_per_group); };
    double n = rows;
    double all = sum_groups(parts, channels, groups,
                            [&](u32 i, double mean, double) { return count(i) * mean; }) / n;
    double squares = sum_groups(parts, channels, groups, [&](u32 i, double mean, double squares) {
        double distance = mean - all;
        return squares + count(i) * (distance * distance);
    });
    u32 c = finished_channel();
    if (threadIdx.y > 0 || c >= channels) return;
    mean[c] = (float)all;
    inv_std[c] = (float)(1.0 / sqrt(squares / n + eps));
    float unbiased = (float)(squares / (n - 1.0));
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
template <u32 N, class T>
__device__ void normalise_by(const T* x, const T* residual, const float* weight, const float* bias,
                             const float* mean, const float* inv_std, T* y, u32 rows, u32 channels,
                             u32 rows_per_group, u32 relu) {
    Walk w = walk<N>(rows, channels, rows_per_group);
    if (w.count == 0) return;
    float center[N], scale[N], shift[N];
    for (u32 j = 0; j < N; ++j) {
        u32 c = w.c + j;
        center[j] = mean[c], scale[j] = weight[c] * inv_std[c], shift[j] = bias[c];
    }
#pragma unroll 1  // with two loads and more, full occupancy hides more than unrolling does
    for (u32 k = 0; k < w.count; ++k, w.i += w.step) {
        auto z = Neighbours<N, T>::at(x + w.i);
        for (u32 j = 0; j < N; ++j) z.of[j] = fmaf(z.of[j] - center[j], scale[j], shift[j]);
        if (residual != nullptr) {
            auto added = Neighbours<N, T>::at(residual + w.i);
            for (u32 j = 0; j < N; ++j) z.of[j] += added.of[j];
        }
        // NaN compares false and so comes through.
        for (u32 j = 0; j < N; ++j) z.of[j] = relu && z.of[j] < 0.0f ? 0.0f : z.of[j];
        z.store(y + w.i);
    }
}

#define NORMALISE(NAME, N, T)                                                                      \
    extern "C" __global__ void NAME(const T* x, const T* residual, const float* weight,            \
                                    const float* bias, const float* mean, const float* inv_std,    \
                                    T* y, u32 rows, u32 channels, u32 rows_per_group, u32 relu) {  \
        normalise_by<N>(x, residual, weight, bias, mean, inv_std, y, rows, channels,               \
                        rows_per_group, relu);                                                     \
    }

NORMALISE(normalise, 1, float)
NORMALISE(normalise_by_4, 4, float)
NORMALISE(normalise_bf16_by_8, 8, bf16)

// g is dy, and 0 where the ReLU has cut: y <= 0.
template <u32 N, class T>
__device__ inline void cut(Neighbours<N, T>& g, const Neighbours<N, T>& y) {
    for (u32 j = 0; j < N; ++j) g.of[j] = y.of[j] <= 0.0f ? 0.0f : g.of[j];
}

constexpr u32 AT_ONCE = 8;  // rows whose loads are under way at a time, see sum_gradients

// A thread's sums of g and of g (x - mean), for N channels.
template <u32 N, class T> struct GradientSums {
    const T *x, *y, *dy;
    T* dresidual;
    u32 relu;
    float center[N], g[N], gx[N];

    // Adds the next rows. All are loaded before the first is used.
    template <u32 ROWS> __device__ void add(Walk& w) {
        Neighbours<N, T> of_dy[ROWS], of_x[ROWS];
        for (u32 r = 0; r < ROWS; ++r) {
            of_dy[r] = Neighbours<N, T>::at(dy + w.i + r * w.step);
            of_x[r] = Neighbours<N, T>::at(x + w.i + r * w.step);
        }
        if (relu) {
            Neighbours<N, T> of_y[ROWS];
            for (u32 r = 0; r < ROWS; ++r) of_y[r] = Neighbours<N, T>::at(y + w.i + r * w.step);
            for (u32 r = 0; r < ROWS; ++r) cut(of_dy[r], of_y[r]);
        }
        for (u32 r = 0; r < ROWS; ++r, w.i += w.step) {
            if (dresidual != nullptr) of_dy[r].store(dresidual + w.i);
            for (u32 j = 0; j < N; ++j) {
                g[j] += of_dy[r].of[j];
                gx[j] = fmaf(of_dy[r].of[j], of_x[r].of[j] - center[j], gx[j]);
            }
        }
    }
};

// First stage of the gradients: sums of g and of g (x - mean) for each group; parts is
// [groups, 2, C]. And dresidual = g unless it is null. Blocks are small and may be few, so a thread has many
// loads under way.
template <class T>
__device__ void sum_gradients_of(const T* x, const T* y, const T* dy, const float* mean,
                                 float* parts, T* dresidual, u32 rows, u32 channels,
                                 u32 rows_per_group, u32 relu) {
    constexpr u32 N = 4 / sizeof(T);
    Walk w = walk<N>(rows, channels, rows_per_group);
    GradientSums<N, T> sums = {x, y, dy, dresidual, relu};
    for (u32 j = 0; j < N; ++j) sums.center[j] = w.c < channels ? mean[w.c + j] : 0.0f;
#pragma unroll 1
    for (u32 k = w.count / AT_ONCE; k > 0; --k) sums.template add<AT_ONCE>(w);
#pragma unroll 1
    for (u32 k = w.count % AT_ONCE; k > 0; --k) sums.template add<1>(w);
    parts += (size_t)blockIdx.x * 2 * channels + w.c;
    for (u32 j = 0; j < N; ++j) {
        float g = sum_chains(sums.g[j]), gx = sum_chains(sums.gx[j]);
        if (threadIdx.y == 0 && w.c < channels) parts[j] = g, parts[channels + j] = gx;
    }
}

#define SUM_GRADIENTS(NAME, T)                                                                     \
    extern "C" __global__ void __launch_bounds__(WIDE)                                             \
        NAME(const T* x, const T* y, const T* dy, const float* mean, float* parts, T* dresidual,   \
             u32 rows, u32 channels, u32 rows_per_group, u32 relu) {                               \
        sum_gradients_of(x, y, dy, mean, parts, dresidual, rows, channels, rows_per_group, relu);  \
    }

SUM_GRADIENTS(sum_gradients, float)
SUM_GRADIENTS(sum_gradients_bf16, bf16)

// Second stage: dbias and dweight. Traffic: parts once, from DRAM.
extern "C" __global__ void finish_gradients(const float* parts, const float* inv_std,
                                            float* dweight, float* dbias, u32 channels,
                                            u32 groups) {
    double sum_g = sum_groups(parts, channels, groups, [](u32, double g, double) { return g; });
    double sum_gx = sum_groups(parts, channels, groups, [](u32, double, double gx) { return gx; });
    u32 c = finished_channel();
    if (threadIdx.y > 0 || c >= channels) return;
    dbias[c] = (float)sum_g;
    dweight[c] = (float)(sum_gx * inv_std[c]);
}

// dx = weight inv_std (g - (dbias + xhat dweight) / rows); in inference the statistics are
// constants and the second term is 0.
template <u32 N, class T>
__device__ void gradient_by(const T* x, const T* y, const T* dy, const float* weight,
                            const float* mean, const float* inv_std, const float* dweight,
                            const float* dbias, T* dx, u32 rows, u32 channels, u32 rows_per_group,
                            u32 training, u32 relu) {
    Walk w = walk<N>(rows, channels, rows_per_group);
    if (w.count == 0) return;
    float center[N], scale[N], shift[N], slope[N], share = 1.0f / (float)rows;
    for (u32 j = 0; j < N; ++j) {
        u32 c = w.c + j;
        center[j] = mean[c], scale[j] = weight[c] * inv_std[c];
        float through = training ? -scale[j] : 0.0f;
        shift[j] = through * dbias[c] * share;
        slope[j] = through * inv_std[c] * dweight[c] * share;
    }
#pragma unroll 1
    for (u32 k = 0; k < w.count; ++k, w.i += w.step) {
        auto g = Neighbours<N, T>::at(dy + w.i), d = Neighbours<N, T>::at(x + w.i);
        if (relu) cut(g, Neighbours<N, T>::at(y + w.i));
        for (u32 j = 0; j < N; ++j) {
            d.of[j] = fmaf(slope[j], d.of[j] - center[j], fmaf(scale[j], g.of[j], shift[j]));
        }
        d.store(dx + w.i);
    }
}

#define GRADIENT(NAME, N, T)                                                                       \
    extern "C" __global__ void NAME(                                                               \
        const T* x, const T* y, const T* dy, const float* weight, const float* mean,               \
        const float* inv_std, const float* dweight, const float* dbias, T* dx, u32 rows,           \
        u32 channels, u32 rows_per_group, u32 training, u32 relu) {                                \
        gradient_by<N>(x, y, dy, weight, mean, inv_std, dweight, dbias, dx, rows, channels,        \
                       rows_per_group, training, relu);                                            \
    }

GRADIENT(gradient, 1, float)
GRADIENT(gradient_by_4, 4, float)
GRADIENT(gradient_bf16_by_8, 8, bf16)

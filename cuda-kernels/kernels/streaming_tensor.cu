// CARP's loss of streaming_loss.cu around products on tensor cores, which are those of conv2d_tensor.cu.
//
// Some blocks of the partition are a group, and its `count` = n N_B prototypes the rows of all matrices:
// w [count, D], the student's logits x [count, S] with S = V B, the teacher's q [count, 2 B], dw [count, D].
// Then all blocks of a group are one product each, and the sum over them is in that of dz:
//   x = w z^T    q = w_t z_t^T    dw = ds z    dz = ds^T w
// w and x are f32, or bf16 as the tensor cores read them.
//
// q becomes probabilities in f32, x becomes ds in place. Probabilities p of the student are not stored, but
// made from logits, each row's maximum and the factor behind its exponentials: rounded to bf16 themselves,
// near 1 / N_B they would lose what tells them apart, and H what is left of its terms.
#include "bf16.cuh"
#include "loss.cuh"

constexpr u32 WARPS = 8;  // of a block

// A number of each warp and lane, combined over the warps in order, lane by lane.
template <class Combine>
__device__ inline float over_warps(float (&of_warps)[WARPS][WARP], float x, Combine combine) {
    __syncthreads();  // earlier ones have been read
    of_warps[threadIdx.x / WARP][lane()] = x;
    __syncthreads();
    float result = of_warps[0][lane()];
    for (u32 warp = 1; warp < WARPS; ++warp) result = combine(result, of_warps[warp][lane()]);
    return result;
}

__device__ inline float sum_over_warps(float (&of_warps)[WARPS][WARP], float x) {
    return over_warps(of_warps, x, [](float a, float b) { return a + b; });
}

// What makes probabilities of a row's logits.
struct Scale {
    float max, factor;

    __device__ float probability(float logit) const { return exact_exp(logit - max) * factor; }
};

// The student's softmax: of each block and row, [n, S].
struct Scales {
    float *maxima, *factors;

    __device__ Scale of(u32 at) const { return {maxima[at], factors[at]}; }
};

constexpr u32 AT_ONCE = 8;  // prototypes that a thread loads before it uses the first

// f(c, number) of every eighth column c of a row below the end, from the warp's on.
template <class Row, class F> __device__ inline void every_eighth(const Row& row, u32 end, F f) {
    u32 c = threadIdx.x / WARP;
#pragma unroll 1
    for (; c + (AT_ONCE - 1) * WARPS < end; c += AT_ONCE * WARPS) {
        typename Row::Number numbers[AT_ONCE];
        row.load(c, numbers);
        for (u32 k = 0; k < AT_ONCE; ++k) f(c + k * WARPS, numbers[k]);
    }
#pragma unroll 1
    for (; c < end; c += WARPS) {
        typename Row::Number numbers[1];
        row.load(c, numbers);
        f(c, numbers[0]);
    }
}

// w = v / |v| of the group's prototypes, and |v|.
//
// Launch: a warp for each prototype. Traffic: v twice (the second time from a cache) and w once.
template <class T>
__device__ void prototypes(u32 count, u32 dim, const float* v, const u32* permutation, T* w,
                           float* lengths) {
    u32 row = row_of_warp();
    if (row >= count) return;
    v += (size_t)permutation[row] * dim;
    w += (size_t)row * dim;
    float length = sqrtf(row_dot(v, v, dim));
    if (lane() == 0) lengths[row] = length;
    for (u32 d = lane(); d < dim; d += WARP) store(&w[d], v[d] / length);
}

// A row's logits.
template <class T> struct Logits {
    using Number = float;
    bool is_student;
    u32 students, teachers;
    const T* x;
    const float* q;

    template <u32 N> __device__ void load(u32 c, float (&logits)[N]) const {
        if (is_student) {
            for (u32 k = 0; k < N; ++k) logits[k] = ::load(x + (size_t)(c + k * WARPS) * students);
        } else {
            for (u32 k = 0; k < N; ++k) logits[k] = q[(size_t)(c + k * WARPS) * teachers];
        }
    }
};

// Softmax of each row inside each block: the teacher's probabilities in place of its logits, of the
// student's what makes them.
//
// Launch: a block of 8 warps for 32 rows and each block of the partition: grid (ceil(R / 32), n). Lanes
// have neighbouring rows, every eighth prototype is a warp's.
template <class T>
__device__ void softmax(u32 students, u32 teachers, u32 size, const T* x, float* q,
                        const Scales& scales) {
    __shared__ float of_warps[WARPS][WARP];
    u32 row = blockIdx.x * WARP + lane(), block = blockIdx.y, warp = threadIdx.x / WARP;
    bool is_student = row < students;
    u32 end = row < students + teachers ? size : 0;
    x += (size_t)block * size * students + row;
    q += (size_t)block * size * teachers + (row - students);
    Logits<T> logits = {is_student, students, teachers, x, q};
    float max = -infinity();
    every_eighth(logits, end, [&](u32, float logit) { max = larger(max, logit); });
    max = over_warps(of_warps, max, [](float a, float b) { return larger(a, b); });
    float sum = 0.0f;
    every_eighth(logits, end, [&](u32, float logit) { sum += exact_exp(logit - max); });
    float factor = 1.0f / sum_over_warps(of_warps, sum);
    if (!is_student) {
        every_eighth(logits, end, [&](u32 c, float logit) {
            q[(size_t)c * teachers] = exact_exp(logit - max) * factor;
        });
    } else if (warp == 0) {
        scales.maxima[block * students + row] = max;
        scales.factors[block * students + row] = factor;
    }
}

// g of each prototype, and its part of the divergence, from the mean of its probabilities.
//
// Launch: a warp for each prototype, whose lanes have neighbouring rows.
template <class T>
__device__ void means(u32 count, u32 students, u32 teachers, u32 size, const T* x, const float* q,
                      const Scales& scales, float* g, float* divergences) {
    u32 c = row_of_warp();
    if (c >= count) return;
    x += (size_t)c * students;
    q += (size_t)c * teachers;
    float sum = 0.0f;
    u32 of_students = steps(lane(), students, WARP), of_teachers = steps(lane(), teachers, WARP);
#pragma unroll 4
    for (u32 k = 0; k < of_students; ++k) {
        u32 i = lane() + k * WARP;
        sum += scales.of(c / size * students + i).probability(load(x + i));
    }
#pragma unroll 4
    for (u32 k = 0; k < of_teachers; ++k) sum += q[lane() + k * WARP];
    sum = warp_sum(sum);
    float of_g, part = divergence(sum / (float)(students + teachers), (float)size, of_g);
    if (lane() == 0) {
        g[c] = of_g;
        divergences[c] = part;
    }
}

// What a student's row meets in a column: its logit, both of the teacher's, and g.
struct Column {
    float logit, q[2], g;
};

template <class T> struct Columns {
    using Number = Column;
    u32 students, teachers, batch;
    const T* x;
    const float *q, *g;

    template <u32 N> __device__ void load(u32 first, Column (&columns)[N]) const {
        for (u32 k = 0; k < N; ++k) {
            u32 c = first + k * WARPS;
            const float* of_teacher = q + (size_t)c * teachers;
            columns[k] = {::load(x + (size_t)c * students), {of_teacher[0], of_teacher[batch]}, g[c]};
        }
    }
};

// The gradient of each student row in place of its logits, and its sum of -ln d, [n, S].
//
// Launch: as of softmax, for S rows.
template <class T>
__device__ void gradients(u32 views, u32 batch, u32 size, float terms, float by_entropy, T* x,
                          const float* q, const Scales& scales, const float* g,
                          double* negative_logs) {
    __shared__ float of_warps[WARPS][WARP];
    u32 students = views * batch, teachers = 2 * batch;
    u32 row = blockIdx.x * WARP + lane(), block = blockIdx.y, warp = threadIdx.x / WARP;
    u32 end = row < students ? size : 0, at = block * students + row;
    x += (size_t)block * size * students + row;
    q += (size_t)block * size * teachers + row % batch;
    g += block * size;
    Scale scale = end > 0 ? scales.of(at) : Scale{};
    Columns<T> columns = {students, teachers, batch, x, q, g};
    float d[2] = {}, mean_g = 0.0f;
    every_eighth(columns, end, [&](u32, const Column& column) {
        float p = scale.probability(column.logit);
        for (u32 j = 0; j < 2; ++j) d[j] = fmaf(p, column.q[j], d[j]);
        mean_g = fmaf(p, column.g, mean_g);
    });
    for (u32 j = 0; j < 2; ++j) d[j] = sum_over_warps(of_warps, d[j]);
    mean_g = sum_over_warps(of_warps, mean_g);
    RowTerms row_terms(row / batch, d, mean_g, terms);
    if (end > 0 && warp == 0) negative_logs[at] = row_terms.negative_log;
    every_eighth(columns, end, [&](u32 c, const Column& column) {
        float p = scale.probability(column.logit);
        store(x + (size_t)c * students,
              row_terms.gradient(p, column.q[0], column.q[1], column.g, by_entropy));
    });
}

// The kernels by what w and x are in memory.
#define GROUP(T, SUFFIX)                                                                           \
    extern "C" __global__ void group_prototypes_##SUFFIX(u32 count, u32 dim, const float* v,       \
                                                         const u32* permutation, T* w,             \
                                                         float* lengths) {                         \
        prototypes<T>(count, dim, v, permutation, w, lengths);                                     \
    }                                                                                              \
    extern "C" __global__ void group_softmax_##SUFFIX(u32 students, u32 teachers, u32 size,        \
                                                      const T* x, float* q, float* maxima,         \
                                                      float* factors) {                            \
        softmax<T>(students, teachers, size, x, q, {maxima, factors});                             \
    }                                                                                              \
    extern "C" __global__ void group_divergence_##SUFFIX(                                          \
        u32 count, u32 students, u32 teachers, u32 size, const T* x, const float* q,               \
        float* maxima, float* factors, float* g, float* divergences) {                             \
        means<T>(count, students, teachers, size, x, q, {maxima, factors}, g, divergences);        \
    }                                                                                              \
    extern "C" __global__ void group_gradient_##SUFFIX(                                            \
        u32 views, u32 batch, u32 size, float terms, float by_entropy, T* x, const float* q,       \
        float* maxima, float* factors, const float* g, double* negative_logs) {                    \
        gradients<T>(views, batch, size, terms, by_entropy, x, q, {maxima, factors}, g,            \
                     negative_logs);                                                               \
    }

GROUP(float, f32)
GROUP(bf16, bf16)

// dv = (dw - w <w, dw>) / |v|, into the prototype's row, with w = v / |v| as it was before it was rounded.
//
// Launch: a warp for each prototype.
extern "C" __global__ void group_prototypes_backward(u32 count, u32 dim, const float* v,
                                                     const float* lengths, const float* dw,
                                                     const u32* permutation,
                                                     float* grad_prototypes) {
    u32 row = row_of_warp();
    if (row >= count) return;
    v += (size_t)permutation[row] * dim;
    dw += (size_t)row * dim;
    float* grad = grad_prototypes + (size_t)permutation[row] * dim;
    float length = lengths[row], along = row_dot(v, dw, dim) / length;
    for (u32 d = lane(); d < dim; d += WARP) grad[d] = (dw[d] - v[d] / length * along) / length;
}

// The sums of -ln d and of the divergences of each block, [2], added to those of its place in the groups
// before if it `adds`; all in f64, since H near 0 is the small rest of large terms.
//
// Launch: a warp for each block.
extern "C" __global__ void group_sums(u32 blocks, u32 students, u32 size, u32 adds,
                                      const double* negative_logs, const float* divergences,
                                      double* sums) {
    u32 block = row_of_warp();
    if (block >= blocks) return;
    double c = 0.0, h = 0.0;
    u32 rows = steps(lane(), students, WARP), columns = steps(lane(), size, WARP);
    negative_logs += block * students + lane();
    divergences += block * size + lane();
#pragma unroll 8
    for (u32 k = 0; k < rows; ++k) c += negative_logs[k * WARP];
#pragma unroll 8
    for (u32 k = 0; k < columns; ++k) h += divergences[k * WARP];
    for (u32 d = WARP / 2; d > 0; d /= 2) {
        c += __shfl_xor_sync(FULL, c, d);
        h += __shfl_xor_sync(FULL, h, d);
    }
    if (lane() > 0) return;
    sums += 2 * block;
    sums[0] = adds ? sums[0] + c : c;
    sums[1] = adds ? sums[1] + h : h;
}

// CARP's loss inside one block of the partition: what its two kernels share.
//
// With the softmax p_i (student view i) and q_j (teacher view j) inside the block of N_B
// prototypes, eps = 2^-23, and sums over P blocks and B images:
//   d_ij = <p_i, q_j>
//   C = 1/(|S| P B) sum of -ln clamp(d_ij), S all i != j, |S| = 2V - 2
//   m = 1/R sum of p_i and q_j over all rows, R = (V + 2) B
//   H = 1/P sum over blocks of (ln N_B + sum over c of m[c] ln clamp(m[c]))
// where clamp is to [eps, 1 - eps]. The gradient by the student's logits s_i:
//   dC/ds_i[c] = 1/(|S| P B) sum over j of A_ij p_i[c] (1 - q_j[c] / d_ij)
//   dH/ds_i[c] = 1/(P R) p_i[c] (g[c] - <p_i, g>),  g[c] = ln clamp(m[c]) + [m[c] not clamped]
// with A_ij = 1 where d_ij was not clamped, else 0.
#pragma once
#include "math.cuh"
#include "rows.cuh"

constexpr float EPS = 1.1920929e-7f;

// NaN compares false with everything and so comes through.
__device__ inline float clamped(float x) { return x < EPS ? EPS : x > 1.0f - EPS ? 1.0f - EPS : x; }
__device__ inline bool is_inside(float x) { return EPS <= x && x <= 1.0f - EPS; }

// A row's probabilities from its logits, in place; a warp.
__device__ inline void softmax_in_place(float* x, u32 size) {
    // A lane only comes back to what it wrote itself.
    float max = row_max(x, size);
    for (u32 c = lane(); c < size; c += WARP) x[c] = exact_exp(x[c] - max);
    float scale = 1.0f / row_sum(x, size);
    for (u32 c = lane(); c < size; c += WARP) x[c] *= scale;
}

// A column's part of H, and g. As m ln(N_B clamp(m)): near the uniform the logarithm is near 0,
// which keeps its digits. ln N_B inside g changes nothing, as g - <p, g> does not see constants.
__device__ inline float divergence(float mean, float size, float& g) {
    float log = exact_ln(clamped(mean) * size);
    g = is_inside(mean) ? log + 1.0f : log;
    return mean * log;
}

// A row's part of C, and the factors of its gradient; a warp.
struct RowTerms {
    double negative_log;  // sum over j of -ln clamp(d_ij)
    float unclamped;      // sum over j of A_ij / (|S| P B)
    float factor[2];      // A_ij / (d_ij |S| P B)
    float mean_g;         // <p, g>

    __device__ RowTerms(u32 view, const float* p, const float* q0, const float* q1, const float* g,
                        u32 size, float terms)
        : RowTerms(view, {row_dot(p, q0, size), row_dot(p, q1, size)}, row_dot(p, g, size), terms) {}
    // From d_i0 and d_i1.
    __device__ RowTerms(u32 view, const float (&d)[2], float mean_g, float terms)
        : negative_log(0.0), unclamped(0.0f), mean_g(mean_g) {
        for (u32 j = 0; j < 2; ++j) {
            factor[j] = 0.0f;
            if (j == view) continue;
            negative_log -= exact_ln(clamped(d[j]));
            if (is_inside(d[j])) {
                factor[j] = 1.0f / (d[j] * terms);
                unclamped += 1.0f / terms;
            }
        }
    }
    // Of one column, with 1/(P R) = by_entropy.
    __device__ float gradient(float p, float q0, float q1, float g, float by_entropy) const {
        return p * fmaf(g - mean_g, by_entropy, unclamped - factor[0] * q0 - factor[1] * q1);
    }
};

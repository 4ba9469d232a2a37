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
#include "common.cuh"

constexpr float EPS = 1.1920929e-7f;

// NaN compares false with everything and so comes through.
__device__ inline float clamped(float x) { return x < EPS ? EPS : x > 1.0f - EPS ? 1.0f - EPS : x; }
__device__ inline bool is_inside(float x) { return EPS <= x && x <= 1.0f - EPS; }

// A column's part of H, and g. As m ln(N_B clamp(m)): near the uniform the logarithm is near 0,
// which keeps its digits. ln N_B inside g changes nothing, as g - <p, g> does not see constants.
__device__ inline float divergence(float mean, float size, float& g) {
    float log = logf(clamped(mean) * size);
    g = is_inside(mean) ? log + 1.0f : log;
    return mean * log;
}

// A row's part of C, and the factors of its gradient.
struct RowTerms {
    float negative_log;  // sum over j of -ln clamp(d_ij)
    float unclamped;     // sum over j of A_ij / (|S| P B)
    float factor[2];     // A_ij / (d_ij |S| P B)

    __device__ RowTerms(u32 view, const float (&d)[2], float terms)
        : negative_log(0.0f), unclamped(0.0f) {
        for (u32 j = 0; j < 2; ++j) {
            factor[j] = 0.0f;
            if (j == view) continue;
            negative_log -= logf(clamped(d[j]));
            if (is_inside(d[j])) {
                factor[j] = 1.0f / (d[j] * terms);
                unclamped += 1.0f / terms;
            }
        }
    }
    // Of one column, from its p, q_0, q_1 and g - <p, g>, the latter with 1/(P R) = by_entropy.
    __device__ float gradient(float p, float q0, float q1, float g, float by_entropy) const {
        return p * fmaf(g, by_entropy, unclamped - factor[0] * q0 - factor[1] * q1);
    }
};

// Sum of x over the 32 lanes, in every lane. Sums that end up in the loss are kept in f64: H near
// 0 is the small rest of large terms.
__device__ inline double warp_sum(double x) {
    for (u32 d = WARP / 2; d > 0; d /= 2) x += __shfl_xor_sync(FULL, x, d);
    return x;
}

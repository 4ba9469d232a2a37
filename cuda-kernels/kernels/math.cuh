// exp, ln, erf of f32 to the bit as on the CPU: line by line those of tensor/src/math.rs, which
// says how they work and how exact they are. CUDA's own would differ: they use the card's
// approximations.
#pragma once

// 1.5 * 2^23: adding it rounds to an integer, which is then in the lowest bits.
constexpr float ROUND = 12582912.0f;

template <int N> __device__ inline float polynomial(float x, const float (&coefficients)[N]) {
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < N; ++i) sum = fmaf(sum, x, coefficients[i]);
    return sum;
}

// 2^n for n in -126..127.
__device__ inline float power_of_two(int n) { return __int_as_float((n + 127) << 23); }

__device__ inline float exact_exp(float x) {
    const float LOG2_E = 1.44269504f;
    x = x > 89.0f ? 89.0f : x;
    x = x < -105.0f ? -105.0f : x;
    float shifted = fmaf(x, LOG2_E, ROUND), n = shifted - ROUND;
    float r = fmaf(n, -0.69314575f, x);
    r = fmaf(n, -1.4286068e-6f, r);
    const float C[] = {1.9875691e-4f, 1.3982e-3f, 8.333452e-3f, 4.1665796e-2f, 1.6666665e-1f, 0.5f};
    float e = fmaf(r * r, polynomial(r, C), r) + 1.0f;
    int power = __float_as_int(shifted) - __float_as_int(ROUND), half = power >> 1;
    return e * power_of_two(half) * power_of_two(power - half);
}

__device__ inline float exact_ln(float x) {
    const int SQRT_HALF = 0x3f3504f3;
    bool is_subnormal = x < 1.17549435e-38f;
    float scaled = is_subnormal ? x * 8388608.0f : x;
    int offset = __float_as_int(scaled) - SQRT_HALF;
    float e = (float)((offset >> 23) - (is_subnormal ? 23 : 0));
    float f = __int_as_float((offset & 0x007fffff) + SQRT_HALF) - 1.0f;
    const float C[] = {7.0376836e-2f,  -1.151461e-1f,  1.1676999e-1f, -1.2420141e-1f, 1.4249323e-1f,
                       -1.6668058e-1f, 2.0000715e-1f, -2.4999994e-1f, 3.333333e-1f};
    float p = polynomial(f, C), square = f * f;
    float rest = fmaf(e, -2.1219444e-4f, f * square * p);
    rest = fmaf(square, -0.5f, rest);
    float y = fmaf(e, 0.6933594f, f + rest);
    y = x == __int_as_float(0x7f800000) ? x : y;
    y = x == 0.0f ? __int_as_float(0xff800000) : y;
    return x < 0.0f || x != x ? __int_as_float(0x7fc00000) : y;
}

__device__ inline float exact_erf(float x) {
    float t = fabsf(x);
    const float Q[] = {7.898127e-5f,  -8.024326e-4f, 5.19005e-3f,  -2.6854806e-2f,
                       1.1283612e-1f, -3.761263e-1f, 1.2837917e-1f};
    float small = fmaf(polynomial(x * x, Q), x, x);
    const float G[] = {-2.1117397e-5f, 4.3454987e-4f, -4.17069e-3f,  2.511645e-2f,
                       -1.0827255e-1f, -6.333563e-1f, -1.1295091f, 1.7325729e-4f};
    float g = polynomial(t > 4.0f ? 4.0f : t, G);
    float large = copysignf(1.0f - exact_exp(g), x);
    return t < 1.0f ? small : large;
}

// Phi(x) = (1 + erf(x / sqrt 2)) / 2, the distribution function of the standard normal.
__device__ inline float normal_cdf(float x) {
    const float SQRT_HALF = 0.707106781f;
    return fmaf(0.5f, exact_erf(x * SQRT_HALF), 0.5f);
}

// phi(x) = exp(-x^2 / 2) / sqrt(2 pi), its density.
__device__ inline float normal_density(float x) {
    const float FACTOR = 0.3989423f;
    return FACTOR * exact_exp(-0.5f * x * x);
}

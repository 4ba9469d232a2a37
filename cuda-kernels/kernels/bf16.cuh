// bf16: the upper half of an f32. In memory only; kernels compute in f32.
#pragma once
#include "common.cuh"

struct bf16 {
    unsigned short bits;
};

// The numbers of a pair in a word.
__device__ inline float low_of(u32 pair) { return __uint_as_float(pair << 16); }
__device__ inline float high_of(u32 pair) { return __uint_as_float(pair & 0xffff0000); }

// Both rounded to the nearest, ties to even.
__device__ inline u32 to_pair(float low, float high) {
    u32 pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

// A number in memory.
__device__ inline float load(const float* x) { return *x; }
__device__ inline float load(const bf16* x) { return low_of(x->bits); }
__device__ inline void store(float* y, float value) { *y = value; }
__device__ inline void store(bf16* y, float value) { y->bits = to_pair(value, 0.0f); }

// N neighbours, read and written at once.
template <u32 N, class T = float> struct __align__(4 * N) Neighbours {
    float of[N];

    __device__ static Neighbours at(const T* x) { return *(const Neighbours*)x; }
    __device__ void store(T* x) const { *(Neighbours*)x = *this; }
};

template <u32 N> struct Neighbours<N, bf16> {
    struct __align__(2 * N) Pairs {
        u32 of[N / 2];
    };
    float of[N];

    __device__ static Neighbours at(const bf16* x) {
        Pairs pairs = *(const Pairs*)x;
        Neighbours result;
        for (u32 j = 0; j < N; ++j) {
            result.of[j] = j % 2 ? high_of(pairs.of[j / 2]) : low_of(pairs.of[j / 2]);
        }
        return result;
    }
    __device__ void store(bf16* x) const {
        Pairs pairs;
        for (u32 j = 0; j < N; j += 2) pairs.of[j / 2] = to_pair(of[j], of[j + 1]);
        *(Pairs*)x = pairs;
    }
};

// The matrix of patches of an image, which the convolutions read in place (conv2d.cu says what for).
#pragma once
#include "common.cuh"

// Division of a number below 2^31 by one that is known at launch: n / d = (high half of n * magic
// + n) >> shift, with shift = ceil(log2 d), magic = floor(2^32 (2^shift - d) / d) + 1.
struct Divisor {
    u32 d, magic, shift;

    __device__ u32 quotient(u32 n) const { return (__umulhi(n, magic) + n) >> shift; }
    __device__ u32 split(u32& n) const {  // n becomes the rest
        u32 quotient = this->quotient(n);
        n -= quotient * d;
        return quotient;
    }
};

// Where a window lies: the pixel of its tap (0, 0), possibly outside the image.
struct Pixel {
    u32 image;  // offset of the image
    int h, w;
};

// A tap's pixel, seen from there, and its channel.
struct Tap {
    int h, w;
    u32 c;
};

// So far outside that no tap comes back: rows and columns beyond the matrix of patches.
constexpr int FAR = 1 << 29;

// The matrix of patches of an image of T. Pixel (n,p,q) of the matrix has its window at
// (p * stride + shift_h, q * stride + shift_w); tap (r,s,c) lies r down and s to the right.
template <class T> struct WindowsOf {
    const T* x;
    u32 pixels, taps;                 // rows and columns of the matrix
    u32 height, width;                // of the image
    int stride, shift_h, shift_w;
    Divisor pq, q, c, s;              // channels of the image: c.d

    __device__ Pixel pixel(u32 i) const {
        u32 q = i, n = pq.split(q), p = this->q.split(q);
        int h = i < pixels ? (int)p * stride + shift_h : FAR;
        return {n * height * width * c.d, h, (int)q * stride + shift_w};
    }
    __device__ Tap tap(u32 j) const {
        u32 c = j, s = this->c.split(c), r = this->s.split(s);
        return {j < taps ? (int)r : FAR, (int)s, c};
    }
    __device__ T load(const Pixel& pixel, const Tap& tap) const {
        u32 h = pixel.h + tap.h, w = pixel.w + tap.w;  // below 0 wraps to a large number
        return h < height && w < width ? x[pixel.image + (h * width + w) * c.d + tap.c] : T{};
    }
};
using Windows = WindowsOf<float>;

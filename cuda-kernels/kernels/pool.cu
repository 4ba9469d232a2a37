// Pools over channels-last images x [N,H,W,C]; y is [N,P,Q,C].
//
// The window of output (p,q) covers rows p stride - padding .. + kernel of the image, cut at its
// edges, and columns likewise. In the gradients every pixel of x asks which windows cover it: so
// one thread owns each dx and no two threads add to the same place.
//
// Launch: one thread per element of what is written, channels
// fastest: a warp reads 32 neighbours of a pixel at a time. The kernels named _bf16 have images in bf16.
#include "bf16.cuh"

struct Sizes {
    u32 h, w, c, p, q, kernel, stride, padding;
};

// first .. end of a range.
struct Range {
    u32 first, end;
};

// Rows (or columns) of an image of `size` that the window at `out` covers.
__device__ inline Range covered(Sizes s, u32 out, u32 size) {
    u32 start = out * s.stride, end = start + s.kernel - s.padding;
    return {start > s.padding ? start - s.padding : 0, min(end, size)};
}

// Windows, of `count`, that cover row (or column) `at`: start <= at + padding < start + kernel.
__device__ inline Range covering(Sizes s, u32 at, u32 count) {
    u32 place = at + s.padding;
    u32 first = place < s.kernel ? 0 : (place - s.kernel) / s.stride + 1;
    return {first, min(place / s.stride + 1, count)};
}

// Image, row, column and channel of element i of an [N,rows,columns,C].
struct Place {
    u32 n, row, column, c;
};

__device__ inline Place place(u32 i, u32 rows, u32 columns, u32 channels) {
    u32 pixel = i / channels;
    return {pixel / columns / rows, pixel / columns % rows, pixel % columns, i % channels};
}

// y = the largest of each window, argmax = its pixel row * W + column, the first on a tie; a NaN
// wins. Traffic: x once (windows overlap, but in the cache), y and argmax once.
template <class T> __device__ void max_pool2d_of(const T* x, T* y, u32* argmax, u32 n, Sizes s) {
    u32 i = element();
    if (i >= n) return;
    Place at = place(i, s.p, s.q, s.c);
    Range rows = covered(s, at.row, s.h), columns = covered(s, at.column, s.w);
    x += (size_t)at.n * s.h * s.w * s.c + at.c;
    float best = -infinity();
    u32 best_at = rows.first * s.w + columns.first;
    for (u32 row = rows.first; row < rows.end; ++row) {
        for (u32 column = columns.first; column < columns.end; ++column) {
            u32 pixel = row * s.w + column;
            float value = load(x + (size_t)pixel * s.c);
            if (value > best || value != value) {
                best = value;
                best_at = pixel;
            }
        }
    }
    store(y + i, best);
    argmax[i] = best_at;
}

// dx = the sum of dy over the windows whose argmax is this pixel.
// Traffic: dy and argmax once (each is looked at by up to kernel^2 pixels, in the cache), dx once.
template <class T>
__device__ void max_pool2d_backward_of(const T* dy, const u32* argmax, T* dx, u32 n, Sizes s) {
    u32 i = element();
    if (i >= n) return;
    Place at = place(i, s.h, s.w, s.c);
    Range ps = covering(s, at.row, s.p), qs = covering(s, at.column, s.q);
    u32 pixel = at.row * s.w + at.column;
    size_t image = (size_t)at.n * s.p * s.q * s.c + at.c;
    float sum = 0.0f;
    for (u32 p = ps.first; p < ps.end; ++p) {
        for (u32 q = qs.first; q < qs.end; ++q) {
            size_t out = image + (size_t)(p * s.q + q) * s.c;
            if (argmax[out] == pixel) sum += load(dy + out);
        }
    }
    store(dx + i, sum);
}

// y = the sum of each window / kernel^2, padding counted as zeros. Traffic: x once, y once.
template <class T> __device__ void avg_pool2d_of(const T* x, T* y, u32 n, Sizes s) {
    u32 i = element();
    if (i >= n) return;
    Place at = place(i, s.p, s.q, s.c);
    Range rows = covered(s, at.row, s.h), columns = covered(s, at.column, s.w);
    x += (size_t)at.n * s.h * s.w * s.c + at.c;
    float sum = 0.0f;
    for (u32 row = rows.first; row < rows.end; ++row) {
        for (u32 column = columns.first; column < columns.end; ++column) {
            sum += load(x + (size_t)(row * s.w + column) * s.c);
        }
    }
    store(y + i, sum * (1.0f / (float)(s.kernel * s.kernel)));
}

// dx = the sum of dy / kernel^2 over the windows that cover the pixel. Traffic: dy once, dx once.
template <class T> __device__ void avg_pool2d_backward_of(const T* dy, T* dx, u32 n, Sizes s) {
    u32 i = element();
    if (i >= n) return;
    Place at = place(i, s.h, s.w, s.c);
    Range ps = covering(s, at.row, s.p), qs = covering(s, at.column, s.q);
    dy += (size_t)at.n * s.p * s.q * s.c + at.c;
    float sum = 0.0f, share = 1.0f / (float)(s.kernel * s.kernel);
    for (u32 p = ps.first; p < ps.end; ++p) {
        for (u32 q = qs.first; q < qs.end; ++q) {
            sum += share * load(dy + (size_t)(p * s.q + q) * s.c);
        }
    }
    store(dx + i, sum);
}

// y[n,c] = the mean over the pixels of x[n,pixel,c]. Traffic: x once; y is small beside it.
template <class T>
__device__ void global_avg_pool_of(const T* x, float* y, u32 n, u32 pixels, u32 channels) {
    u32 i = element();
    if (i >= n) return;
    x += (size_t)(i / channels) * pixels * channels + i % channels;
    float sum = 0.0f;
#pragma unroll 4
    for (u32 pixel = 0; pixel < pixels; ++pixel) sum += load(x + (size_t)pixel * channels);
    y[i] = sum * (1.0f / (float)pixels);
}

// dx = dy / pixels at every pixel; n = elements of dx. Traffic: dx once; dy is small beside it.
template <class T>
__device__ void global_avg_pool_backward_of(const float* dy, T* dx, u32 n, u32 pixels, u32 channels) {
    u32 i = element();
    if (i >= n) return;
    float mean = dy[(size_t)(i / channels / pixels) * channels + i % channels];
    store(dx + i, (1.0f / (float)pixels) * mean);
}

#define SIZES u32 h, u32 w, u32 c, u32 p, u32 q, u32 kernel, u32 stride, u32 padding

#define POOLS(SUFFIX, T)                                                                           \
    extern "C" __global__ void max_pool2d##SUFFIX(const T* x, T* y, u32* argmax, u32 n, SIZES) {   \
        max_pool2d_of(x, y, argmax, n, {h, w, c, p, q, kernel, stride, padding});                  \
    }                                                                                              \
    extern "C" __global__ void max_pool2d_backward##SUFFIX(const T* dy, const u32* argmax, T* dx,  \
                                                           u32 n, SIZES) {                         \
        max_pool2d_backward_of(dy, argmax, dx, n, {h, w, c, p, q, kernel, stride, padding});       \
    }                                                                                              \
    extern "C" __global__ void avg_pool2d##SUFFIX(const T* x, T* y, u32 n, SIZES) {                \
        avg_pool2d_of(x, y, n, {h, w, c, p, q, kernel, stride, padding});                          \
    }                                                                                              \
    extern "C" __global__ void avg_pool2d_backward##SUFFIX(const T* dy, T* dx, u32 n, SIZES) {     \
        avg_pool2d_backward_of(dy, dx, n, {h, w, c, p, q, kernel, stride, padding});               \
    }                                                                                              \
    extern "C" __global__ void global_avg_pool##SUFFIX(const T* x, float* y, u32 n, u32 pixels,    \
                                                       u32 channels) {                             \
        global_avg_pool_of(x, y, n, pixels, channels);                                             \
    }                                                                                              \
    extern "C" __global__ void global_avg_pool_backward##SUFFIX(const float* dy, T* dx, u32 n,     \
                                                                u32 pixels, u32 channels) {        \
        global_avg_pool_backward_of(dy, dx, n, pixels, channels);                                  \
    }

POOLS(, float)
POOLS(_bf16, bf16)

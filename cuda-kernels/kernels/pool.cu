// Pools over channels-last images x [N,H,W,C]; y is [N,P,Q,C].
//
// The window of output (p,q) covers rows p stride - padding .. + kernel of the image, cut at its
// edges, and columns likewise. In the gradients every pixel of x asks which windows cover it: so
// one thread owns each dx and no two threads add to the same place.
//
// Launch, unless a kernel says otherwise: one thread per element of what is written, channels
// fastest: a warp reads 128 neighbouring bytes of a pixel at a time.
#include "common.cuh"

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
extern "C" __global__ void max_pool2d(const float* x, float* y, u32* argmax, u32 n,
                                    u32 h, u32 w, u32 c, u32 p, u32 q, u32 kernel,
                                    u32 stride, u32 padding) {
    Sizes s = {h, w, c, p, q, kernel, stride, padding};
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
            float value = x[(size_t)pixel * s.c];
            if (value > best || value != value) {
                best = value;
                best_at = pixel;
            }
        }
    }
    y[i] = best;
    argmax[i] = best_at;
}

// dx = the sum of dy over the windows whose argmax is this pixel.
// Traffic: dy and argmax once (each is looked at by up to kernel^2 pixels, in the cache), dx once.
extern "C" __global__ void max_pool2d_backward(const float* dy, const u32* argmax, float* dx, u32 n,
                                             u32 h, u32 w, u32 c, u32 p, u32 q, u32 kernel,
                                             u32 stride, u32 padding) {
    Sizes s = {h, w, c, p, q, kernel, stride, padding};
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
            if (argmax[out] == pixel) sum += dy[out];
        }
    }
    dx[i] = sum;
}

// y = the sum of each window / kernel^2, padding counted as zeros. Traffic: x once, y once.
extern "C" __global__ void avg_pool2d(const float* x, float* y, u32 n,
                                    u32 h, u32 w, u32 c, u32 p, u32 q, u32 kernel,
                                    u32 stride, u32 padding) {
    Sizes s = {h, w, c, p, q, kernel, stride, padding};
    u32 i = element();
    if (i >= n) return;
    Place at = place(i, s.p, s.q, s.c);
    Range rows = covered(s, at.row, s.h), columns = covered(s, at.column, s.w);
    x += (size_t)at.n * s.h * s.w * s.c + at.c;
    float sum = 0.0f;
    for (u32 row = rows.first; row < rows.end; ++row) {
        for (u32 column = columns.first; column < columns.end; ++column) {
            sum += x[(size_t)(row * s.w + column) * s.c];
        }
    }
    y[i] = sum * (1.0f / (float)(s.kernel * s.kernel));
}

// dx = the sum of dy / kernel^2 over the windows that cover the pixel. Traffic: dy once, dx once.
extern "C" __global__ void avg_pool2d_backward(const float* dy, float* dx, u32 n,
                                             u32 h, u32 w, u32 c, u32 p, u32 q, u32 kernel,
                                             u32 stride, u32 padding) {
    Sizes s = {h, w, c, p, q, kernel, stride, padding};
    u32 i = element();
    if (i >= n) return;
    Place at = place(i, s.h, s.w, s.c);
    Range ps = covering(s, at.row, s.p), qs = covering(s, at.column, s.q);
    dy += (size_t)at.n * s.p * s.q * s.c + at.c;
    float sum = 0.0f, share = 1.0f / (float)(s.kernel * s.kernel);
    for (u32 p = ps.first; p < ps.end; ++p) {
        for (u32 q = qs.first; q < qs.end; ++q) sum += share * dy[(size_t)(p * s.q + q) * s.c];
    }
    dx[i] = sum;
}

// y[n,c] = the mean over the pixels of x[n,pixel,c]. Traffic: x once; y is small beside it.
extern "C" __global__ void global_avg_pool(const float* x, float* y, u32 n, u32 pixels,
                                           u32 channels) {
    u32 i = element();
    if (i >= n) return;
    x += (size_t)(i / channels) * pixels * channels + i % channels;
    float sum = 0.0f;
#pragma unroll 4
    for (u32 pixel = 0; pixel < pixels; ++pixel) sum += x[(size_t)pixel * channels];
    y[i] = sum * (1.0f / (float)pixels);
}

// dx = dy / pixels at every pixel; n = elements of dx. Traffic: dx once; dy is small beside it.
extern "C" __global__ void global_avg_pool_backward(const float* dy, float* dx, u32 n, u32 pixels,
                                                    u32 channels) {
    u32 i = element();
    if (i >= n) return;
    dx[i] = (1.0f / (float)pixels) * dy[(size_t)(i / channels / pixels) * channels + i % channels];
}

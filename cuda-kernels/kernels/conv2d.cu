// Convolution of channels-last images as implicit GEMM.
//
// y[n,p,q,o] = sum over r,s,c of x[n, p*stride + r - padding, q*stride + s - padding, c] w[o,r,s,c]
//
// x is [N,H,W,C], w is [O,R,S,C], y is [N,P,Q,O]; pixels outside are 0. With a row for each output
// pixel (n,p,q) and a column for each tap (r,s,c), x gives a matrix of patches, and
//   forward             Y[NPQ, O]  = patches[NPQ, RSC] W^T[RSC, O]
//   gradient by weight  dW[O, RSC] = dY^T[O, NPQ] patches[NPQ, RSC]
//   gradient by input   dX[NHW, C] = patches of dY[NHW, RSO] W'[RSO, C], W' = w with o before r,s
// The patches never exist in memory: the loads of a panel (tile.cuh) work out where an element of
// the matrix lies in the image. Channels are innermost, so neighbours along a row of patches are
// neighbours in memory. Each element takes divisions by Q, P Q, C and S, so these are done by a
// multiplication and a shift whose constants come with the launch.
//
// A convolution of 1x1 and stride 1 is a product in gemm.cu; winograd.cu has another algorithm for
// 3x3.
//
// Traffic of each: as of a GEMM of those sizes, tile.cuh; R S times as much as x would need, but a
// pixel's R S reads come close together, from caches.
#include "tile.cuh"
#include "windows.cuh"

// Patches as A: row i of the tile is a pixel, p a tap.
struct PatchRows {
    Windows windows;
    u32 first;
    static constexpr bool along_p = true;

    typedef Pixel Line;
    __device__ Line line(u32 i) const { return windows.pixel(first + i); }
    __device__ float load(const Line& line, u32 p) const {
        return windows.load(line, windows.tap(p));
    }
};

// Patches as B: column j of the tile is a tap, p a pixel.
struct PatchColumns {
    Windows windows;
    u32 first;
    static constexpr bool along_p = false;

    typedef Tap Line;
    __device__ Line line(u32 j) const { return windows.tap(first + j); }
    __device__ float load(const Line& line, u32 p) const {
        return windows.load(windows.pixel(p), line);
    }
};

// Y = patches W^T.
//
// Launch: a block for each M x N tile of Y: grid (ceil(NPQ / M), ceil(O / N)), M N / 16 threads.
// Windows: of x, stride the convolution's, shift = -padding.
template <u32 M, u32 N>
__device__ void forward(const Windows& windows, u32 outputs, const float* weight, float* y) {
    __shared__ Panels<M, N> panels;
    u32 first_pixel = blockIdx.x * M, first_output = blockIdx.y * N, taps = windows.taps;
    Tile<M, N> tile;
    tile.multiply(panels, PatchRows{windows, first_pixel},
                  Strided{weight, first_output, outputs, taps, 1, true}, 0, taps);
    for (u32 u = 0; u < 4; ++u) {
        u32 i = first_pixel + tile.row(u), o = first_output + tile.column(0);
        if (i < windows.pixels && o < outputs) {
            store4(&y[(size_t)i * outputs + o], tile.sum[u], outputs - o);
        }
    }
}

// dW = dY^T patches.
//
// Launch: dW is small and the pixels are many, so these are cut into `parts` of `part` each, a
// block for each M x N tile of dW and each part: grid (ceil(O / M), ceil(RSC / N), parts). Part z
// is written to the z-th [O,RSC] behind dw; gemm_sum_parts adds them up in order. A part goes
// through `segment` pixels at a time, and through these in chains of `chain`, whose sums are added
// in order.
// Windows: as forward.
template <u32 M, u32 N>
__device__ void grad_weight(const Windows& windows, u32 outputs, u32 part, u32 segment, u32 chain,
                            const float* dy, float* dw) {
    __shared__ Panels<M, N> panels;
    u32 first_output = blockIdx.x * M, first_tap = blockIdx.y * N, taps = windows.taps;
    u32 first = blockIdx.z * part, end = min(first + part, windows.pixels);
    Tile<M, N> tile;
    for (u32 at = first; at < end; at += segment) {
        tile.add_chains(panels, Strided{dy, first_output, outputs, 1, outputs, false},
                        PatchColumns{windows, first_tap}, at, min(at + segment, end), chain,
                        at > first);
    }
    dw += (size_t)blockIdx.z * outputs * taps;
    for (u32 u = 0; u < 4; ++u) {
        u32 o = first_output + tile.row(u), j = first_tap + tile.column(0);
        if (o < outputs && j < taps) store4(&dw[(size_t)o * taps + j], tile.sum[u], taps - j);
    }
}

// The weights as B of the gradient by input: p is a tap (r', s', o) of dY's windows, j a channel c
// of x, and the element w[o, last_r - stride r', last_s - stride s', c].
struct WeightTaps {
    const float* weight;
    u32 first, channels;           // first channel of the tile, C
    u32 last, s, stride;           // last_r * S + last_s, S, the convolution's stride
    u32 per_output;                // R S C
    Divisor outputs, taps_across;  // O; the number of s'
    static constexpr bool along_p = false;

    typedef u32 Line;
    __device__ Line line(u32 j) const { return first + j; }
    __device__ float load(Line c, u32 p) const {
        u32 o = p, s_taken = outputs.split(o), r_taken = taps_across.split(s_taken);
        u32 tap = last - stride * (r_taken * s + s_taken);
        return c < channels ? weight[o * per_output + tap * channels + c] : 0.0f;
    }
};

// dX = patches of dY, W'.
//
// Pixel h of x is seen by output p through tap r where p * stride + r - padding = h: only every
// stride-th r, which ones depends on h modulo the stride. So the pixels of x are taken in stride^2
// phases, those with h = phase_h and w = phase_w modulo the stride. With h = phase_h + stride h',
// last_r = the largest such r, r = last_r - stride r':
//   p = h' + r' + (phase_h + padding - last_r) / stride
// a convolution of stride 1 over dY, without a product by a zero that striding put in. The outputs
// that saw a pixel are added in their order, r from the last to the first.
//
// Launch: once per phase: grid (ceil(N H' W' / M), ceil(C / N)). A phase without taps writes 0.
// Windows: of dy, stride 1, pixels (n,h',w'), shift as above.
template <u32 M, u32 N>
__device__ void grad_input(const Windows& windows, u32 x_height, u32 x_width, u32 phase_h,
                           u32 phase_w, WeightTaps weights, float* dx) {
    __shared__ Panels<M, N> panels;
    u32 first_pixel = blockIdx.x * M, channels = weights.channels;
    weights.first = blockIdx.y * N;
    Tile<M, N> tile;
    tile.multiply(panels, PatchRows{windows, first_pixel}, weights, 0, windows.taps);
    for (u32 u = 0; u < 4; ++u) {
        u32 i = first_pixel + tile.row(u), c = weights.first + tile.column(0);
        if (i >= windows.pixels || c >= channels) continue;
        u32 w = i, n = windows.pq.split(w), h = windows.q.split(w);
        h = phase_h + weights.stride * h;
        w = phase_w + weights.stride * w;
        size_t pixel = ((size_t)n * x_height + h) * x_width + w;
        store4(&dx[pixel * channels + c], tile.sum[u], channels - c);
    }
}

// The kernels by tile: narrow ones for few channels, of which a square tile would be mostly empty.

extern "C" __global__ void __launch_bounds__(256)
    conv2d_64x64(u32 pixels, u32 taps, u32 height, u32 width, u32 stride, u32 shift_h,
        u32 shift_w, u32 pq, u32 pq_magic, u32 pq_shift, u32 q, u32 q_magic, u32 q_shift, u32 c,
        u32 c_magic, u32 c_shift, u32 s, u32 s_magic, u32 s_shift, u32 outputs,
        const float* x, const float* weight, float* y) {
    Windows windows{x, pixels, taps, height, width, (int)stride, (int)shift_h, (int)shift_w,
                       {pq, pq_magic, pq_shift}, {q, q_magic, q_shift},
                       {c, c_magic, c_shift}, {s, s_magic, s_shift}};
    forward<64, 64>(windows, outputs, weight, y);
}

extern "C" __global__ void __launch_bounds__(64)
    conv2d_64x16(u32 pixels, u32 taps, u32 height, u32 width, u32 stride, u32 shift_h,
        u32 shift_w, u32 pq, u32 pq_magic, u32 pq_shift, u32 q, u32 q_magic, u32 q_shift, u32 c,
        u32 c_magic, u32 c_shift, u32 s, u32 s_magic, u32 s_shift, u32 outputs,
        const float* x, const float* weight, float* y) {
    Windows windows{x, pixels, taps, height, width, (int)stride, (int)shift_h, (int)shift_w,
                       {pq, pq_magic, pq_shift}, {q, q_magic, q_shift},
                       {c, c_magic, c_shift}, {s, s_magic, s_shift}};
    forward<64, 16>(windows, outputs, weight, y);
}

extern "C" __global__ void __launch_bounds__(256)
    conv2d_grad_weight_64x64(u32 pixels, u32 taps, u32 height, u32 width, u32 stride, u32 shift_h,
        u32 shift_w, u32 pq, u32 pq_magic, u32 pq_shift, u32 q, u32 q_magic, u32 q_shift, u32 c,
        u32 c_magic, u32 c_shift, u32 s, u32 s_magic, u32 s_shift, u32 outputs,
        u32 part, u32 segment, u32 chain, const float* x, const float* dy, float* dw) {
    Windows windows{x, pixels, taps, height, width, (int)stride, (int)shift_h, (int)shift_w,
                       {pq, pq_magic, pq_shift}, {q, q_magic, q_shift},
                       {c, c_magic, c_shift}, {s, s_magic, s_shift}};
    grad_weight<64, 64>(windows, outputs, part, segment, chain, dy, dw);
}

extern "C" __global__ void __launch_bounds__(64)
    conv2d_grad_weight_16x64(u32 pixels, u32 taps, u32 height, u32 width, u32 stride, u32 shift_h,
        u32 shift_w, u32 pq, u32 pq_magic, u32 pq_shift, u32 q, u32 q_magic, u32 q_shift, u32 c,
        u32 c_magic, u32 c_shift, u32 s, u32 s_magic, u32 s_shift, u32 outputs,
        u32 part, u32 segment, u32 chain, const float* x, const float* dy, float* dw) {
    Windows windows{x, pixels, taps, height, width, (int)stride, (int)shift_h, (int)shift_w,
                       {pq, pq_magic, pq_shift}, {q, q_magic, q_shift},
                       {c, c_magic, c_shift}, {s, s_magic, s_shift}};
    grad_weight<16, 64>(windows, outputs, part, segment, chain, dy, dw);
}

extern "C" __global__ void __launch_bounds__(256, 3)
    conv2d_grad_input_64x64(u32 pixels, u32 taps, u32 height, u32 width, u32 stride, u32 shift_h,
        u32 shift_w, u32 pq, u32 pq_magic, u32 pq_shift, u32 q, u32 q_magic, u32 q_shift, u32 c,
        u32 c_magic, u32 c_shift, u32 s, u32 s_magic, u32 s_shift, u32 x_height,
        u32 x_width, u32 channels, u32 phase_h, u32 phase_w, u32 kernel_w, u32 last_tap,
        u32 conv_stride, u32 per_output, const float* dy, const float* weight, float* dx) {
    Windows windows{dy, pixels, taps, height, width, (int)stride, (int)shift_h, (int)shift_w,
                       {pq, pq_magic, pq_shift}, {q, q_magic, q_shift},
                       {c, c_magic, c_shift}, {s, s_magic, s_shift}};
    WeightTaps weights{weight, 0, channels, last_tap, kernel_w, conv_stride, per_output,
                       windows.c, windows.s};
    grad_input<64, 64>(windows, x_height, x_width, phase_h, phase_w, weights, dx);
}

extern "C" __global__ void __launch_bounds__(64)
    conv2d_grad_input_64x16(u32 pixels, u32 taps, u32 height, u32 width, u32 stride, u32 shift_h,
        u32 shift_w, u32 pq, u32 pq_magic, u32 pq_shift, u32 q, u32 q_magic, u32 q_shift, u32 c,
        u32 c_magic, u32 c_shift, u32 s, u32 s_magic, u32 s_shift, u32 x_height,
        u32 x_width, u32 channels, u32 phase_h, u32 phase_w, u32 kernel_w, u32 last_tap,
        u32 conv_stride, u32 per_output, const float* dy, const float* weight, float* dx) {
    Windows windows{dy, pixels, taps, height, width, (int)stride, (int)shift_h, (int)shift_w,
                       {pq, pq_magic, pq_shift}, {q, q_magic, q_shift},
                       {c, c_magic, c_shift}, {s, s_magic, s_shift}};
    WeightTaps weights{weight, 0, channels, last_tap, kernel_w, conv_stride, per_output,
                       windows.c, windows.s};
    grad_input<64, 16>(windows, x_height, x_width, phase_h, phase_w, weights, dx);
}

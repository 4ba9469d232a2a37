// The convolutions of conv2d.cu on tensor cores, by the products of tensor_core.cuh.
//
//   forward             Y[NPQ, O]  = patches[NPQ, RSC] W^T[RSC, O]
//   gradient by input   dX[NHW, C] = patches of dY[NHW, RSO] W'[RSO, C]: forward, W' made before
//   gradient by weight  dW[O, RSC] = dY^T[O, NPQ] patches[NPQ, RSC]
//
// An element's place in the image takes divisions by Q, P Q, C and S. A thread copies the same tap of
// several pixels, so it divides once per slab and not per element: what belongs to a pixel is in a
// table in shared memory, or in another lane's registers. An element outside the image has a place,
// too, but nothing is read there.
//
// Kernels by tile, and by how many neighbours are copied at once: 4 if channels and outputs are
// multiples of 4, else single words.
#include "tensor_core.cuh"
#include "windows.cuh"

extern __shared__ __align__(16) float shared[];

// Panels of which neighbours along p are neighbours in memory: row i has 32 floats, in 8 chunks of 16
// bytes, chunk c at place c ^ (i % 8). So the 8 rows that ldmatrix reads at once, and the 8 chunks of
// a row that are written at once, lie in different banks.
constexpr u32 ROW_DEPTH = 32, ROW_STAGES = 3;

__device__ inline u32 swizzled(u32 i, u32 p) {
    return i * ROW_DEPTH + ((p / 4) ^ (i % 8)) * 4 + p % 4;
}

// Where a row of patches begins: the place in x, and the pixel; and its row of the result.
struct __align__(16) Row {
    u32 place;
    int h, w;
    u32 result;
};

// The places in x are sums of one of a pixel and one of a tap; below 0 they wrap.
__device__ inline u32 place_of(const Windows& windows, const Pixel& pixel) {
    return pixel.image + (pixel.h * (int)windows.width + pixel.w) * (int)windows.c.d;
}
__device__ inline u32 place_of(const Windows& windows, const Tap& tap) {
    return (tap.h * (int)windows.width + tap.w) * (int)windows.c.d + tap.c;
}

// Results lie at every step-th pixel of an image, from (phase_h, phase_w) on.
struct Results {
    float* y;
    u32 columns, height, width, step, phase_h, phase_w;

    __device__ u32 row(const Windows& windows, u32 i) const {
        u32 w = i, n = windows.pq.split(w), h = windows.q.split(w);
        return (n * height + phase_h + step * h) * width + phase_w + step * w;
    }
};

// Y = patches B^T, B [columns, taps].
//
// Launch: a block of 128 threads for each M x N tile of Y: grid (ceil(pixels / M), ceil(columns / N)),
// with ROW_STAGES (M + N) rows of 128 bytes of shared memory.
template <u32 M, u32 N, u32 FLOATS, Precision PRECISION>
__device__ void convolve(const Windows& windows, const float* b, const Results& results) {
    constexpr u32 ROWS = M / 32, COLUMNS = N / 16;
    // A pass of all threads copies PASS rows.
    constexpr u32 ACROSS = ROW_DEPTH / FLOATS, PASS = THREADS / ACROSS;
    __shared__ Row rows[M];
    float* panel_a = shared;
    float* panel_b = shared + ROW_STAGES * M * ROW_DEPTH;
    u32 first_row = blockIdx.x * M, first_column = blockIdx.y * N, taps = windows.taps;
    for (u32 i = threadIdx.x; i < M; i += THREADS) {
        Pixel pixel = windows.pixel(first_row + i);
        u32 result = results.row(windows, first_row + i);
        rows[i] = {place_of(windows, pixel), pixel.h, pixel.w, result};
    }
    __syncthreads();

    u32 across = threadIdx.x % ACROSS * FLOATS, down = threadIdx.x / ACROSS;
    auto fetch = [&](u32 slab, u32 stage) {
        u32 p = slab * ROW_DEPTH + across;
        Tap tap = windows.tap(p);
        u32 place = place_of(windows, tap);
        float* to = panel_a + stage * M * ROW_DEPTH;
#pragma unroll 8
        for (u32 n = 0; n < M / PASS; ++n) {
            Row row = rows[down + n * PASS];
            u32 h = row.h + tap.h, w = row.w + tap.w;  // below 0 wraps to a large number
            bool inside = h < windows.height && w < windows.width;
            copy_async<FLOATS>(to + swizzled(down + n * PASS, across),
                               windows.x + (row.place + place), inside);
        }
        to = panel_b + stage * N * ROW_DEPTH;
        u32 left = p < taps ? results.columns - first_column : 0;
#pragma unroll 8
        for (u32 n = 0; n < N / PASS; ++n) {
            u32 j = down + n * PASS;
            copy_async<FLOATS>(to + swizzled(j, across), b + ((first_column + j) * taps + p),
                               j < left);
        }
    };

    Place<M, N> place;
    u32 lane = threadIdx.x % WARP;
    Sums<ROWS, COLUMNS> sums;
    auto multiply = [&](u32 stage) {
        const float* left = panel_a + stage * M * ROW_DEPTH;
        const float* right = panel_b + stage * N * ROW_DEPTH;
        auto load = [&](u32 depth, u32(&a)[ROWS][4], u32(&b)[COLUMNS][2]) {
#pragma unroll
            for (u32 u = 0; u < ROWS; ++u) {
                // Rows 0-7 and 8-15 at depths 0-3, then both at depths 4-7.
                u32 i = place.row + 16 * u + lane % 16;
                load_blocks(a[u], left + swizzled(i, depth + lane / 16 * 4));
            }
#pragma unroll
            for (u32 v = 0; v < COLUMNS; v += 2) {
                // Columns 0-7 at depths 0-3 and 4-7, then columns 8-15.
                u32 j = place.column + 8 * v + lane / 16 * 8 + lane % 8;
                u32 block[4];
                load_blocks(block, right + swizzled(j, depth + lane / 8 % 2 * 4));
                for (u32 e = 0; e < 4; ++e) b[v + e / 2][e % 2] = block[e];
            }
        };
        multiply_slab<PRECISION, ROW_DEPTH>(sums, load);
    };
    pipeline<ROW_STAGES>((taps + ROW_DEPTH - 1) / ROW_DEPTH, fetch, multiply);

    for (u32 u = 0; u < ROWS; ++u) {
        for (u32 e = 0; e < 4; e += 2) {
            u32 i = place.row + 16 * u + place.g + e / 2 * 8;
            if (first_row + i >= windows.pixels) continue;
            float* y = results.y + (size_t)rows[i].result * results.columns;
            for (u32 v = 0; v < COLUMNS; ++v) {
                u32 j = first_column + place.column + 8 * v + 2 * place.t;
                store2<FLOATS>(y + j, sums.d[u][v][e], sums.d[u][v][e + 1],
                               results.columns > j ? results.columns - j : 0);
            }
        }
    }
}

// Panels of which neighbours along i are neighbours in memory: the 8 floats behind each row put the 4
// rows of 8 that a warp reads at once in different banks.
constexpr u32 COLUMN_DEPTH = 16, COLUMN_STAGES = 4, COLUMN_PAD = 8;

// dW = dY^T patches.
//
// Launch: the pixels are cut into `parts` of `part` each, a block of 128 threads for each M x N tile of
// dW and each part: grid (ceil(O / M), ceil(RSC / N), parts), with COLUMN_STAGES COLUMN_DEPTH (M + N +
// 16) floats of shared memory. Part z is written to the z-th [O,RSC] behind dw; gemm_sum_parts adds
// them up in order.
template <u32 M, u32 N, u32 FLOATS, Precision PRECISION>
__device__ void grad_weight(const Windows& windows, u32 outputs, u32 part, const float* dy,
                            float* dw) {
    constexpr u32 ROWS = M / 32, COLUMNS = N / 16;
    constexpr u32 PITCH_A = M + COLUMN_PAD, PITCH_B = N + COLUMN_PAD;
    float* panel_a = shared;
    float* panel_b = shared + COLUMN_STAGES * COLUMN_DEPTH * PITCH_A;
    u32 first_output = blockIdx.x * M, first_tap = blockIdx.y * N, taps = windows.taps;
    u32 first = blockIdx.z * part, end = min(first + part, windows.pixels);

    // What is copied of every pixel: outputs of dy, and taps of its patch.
    constexpr u32 ACROSS_A = M / FLOATS, ACROSS_B = N / FLOATS;
    constexpr u32 PASS_A = THREADS / ACROSS_A, PASS_B = THREADS / ACROSS_B;
    u32 i = threadIdx.x % ACROSS_A * FLOATS, j = threadIdx.x % ACROSS_B * FLOATS;
    Tap tap = windows.tap(first_tap + j);
    u32 place_of_tap = place_of(windows, tap);
    bool has_outputs = first_output + i < outputs;
    auto fetch = [&](u32 slab, u32 stage) {
        u32 p = first + slab * COLUMN_DEPTH, left = has_outputs ? end - p : 0;
        float* to = panel_a + stage * COLUMN_DEPTH * PITCH_A + i;
#pragma unroll 4
        for (u32 n = 0; n < COLUMN_DEPTH / PASS_A; ++n) {
            u32 k = threadIdx.x / ACROSS_A + n * PASS_A;
            copy_async<FLOATS>(to + k * PITCH_A, dy + ((p + k) * outputs + first_output + i),
                               k < left);
        }
        to = panel_b + stage * COLUMN_DEPTH * PITCH_B + j;
        // Lane k has the slab's pixel k.
        u32 own = p + threadIdx.x % COLUMN_DEPTH;
        Pixel pixel = windows.pixel(own < end ? own : windows.pixels);
        u32 place = place_of(windows, pixel);
#pragma unroll 4
        for (u32 n = 0; n < COLUMN_DEPTH / PASS_B; ++n) {
            u32 k = threadIdx.x / ACROSS_B + n * PASS_B;
            u32 h = __shfl_sync(FULL, pixel.h, k) + tap.h, w = __shfl_sync(FULL, pixel.w, k) + tap.w;
            bool inside = h < windows.height && w < windows.width;
            const float* from = windows.x + (__shfl_sync(FULL, place, k) + place_of_tap);
            copy_async<FLOATS>(to + k * PITCH_B, from, inside);
        }
    };

    Place<M, N> place;
    Sums<ROWS, COLUMNS> sums;
    auto multiply = [&](u32 stage) {
        const float* left = panel_a + stage * COLUMN_DEPTH * PITCH_A + place.row + place.g;
        const float* right = panel_b + stage * COLUMN_DEPTH * PITCH_B + place.column + place.g;
        auto load = [&](u32 depth, u32(&a)[ROWS][4], u32(&b)[COLUMNS][2]) {
#pragma unroll
            for (u32 e = 0; e < 4; ++e) {
                const float* from = left + (depth + place.t + e / 2 * 4) * PITCH_A + e % 2 * 8;
#pragma unroll
                for (u32 u = 0; u < ROWS; ++u) a[u][e] = __float_as_uint(from[16 * u]);
            }
#pragma unroll
            for (u32 e = 0; e < 2; ++e) {
                const float* from = right + (depth + place.t + e * 4) * PITCH_B;
#pragma unroll
                for (u32 v = 0; v < COLUMNS; ++v) b[v][e] = __float_as_uint(from[8 * v]);
            }
        };
        multiply_slab<PRECISION, COLUMN_DEPTH>(sums, load);
    };
    u32 slabs = first < end ? (end - first + COLUMN_DEPTH - 1) / COLUMN_DEPTH : 0;
    pipeline<COLUMN_STAGES>(slabs, fetch, multiply);

    dw += (size_t)blockIdx.z * outputs * taps;
    for (u32 u = 0; u < ROWS; ++u) {
        for (u32 e = 0; e < 4; e += 2) {
            u32 o = first_output + place.row + 16 * u + place.g + e / 2 * 8;
            if (o >= outputs) continue;
            for (u32 v = 0; v < COLUMNS; ++v) {
                u32 j = first_tap + place.column + 8 * v + 2 * place.t;
                store2<FLOATS>(dw + (size_t)o * taps + j, sums.d[u][v][e], sums.d[u][v][e + 1],
                               taps > j ? taps - j : 0);
            }
        }
    }
}

// W' [C, R' S' O] for a phase of the gradient by input (conv2d.cu): row c has w[o, r, s, c] at (r', s',
// o), with r = last_r - stride r' and s = last_s - stride s'.
//
// Launch: a block of 32 x 8 threads for each 32 x 32 tile of O and C and each (r', s'): grid (ceil(O /
// 32), ceil(C / 32), R' S'). Traffic: 8 bytes per element; the tile is turned in shared memory, so both
// sides are read and written along neighbours.
extern "C" __global__ void turn_weights(u32 outputs, u32 channels, u32 taps_across, u32 taps,
                                        u32 kernel_w, u32 last_tap, u32 stride, u32 per_output,
                                        const float* weight, float* turned) {
    __shared__ float tile[WARP][WARP + 1];
    u32 first_o = blockIdx.x * WARP, first_c = blockIdx.y * WARP;
    u32 r = blockIdx.z / taps_across, s = blockIdx.z % taps_across;
    u32 tap = last_tap - stride * (r * kernel_w + s);
    for (u32 i = threadIdx.y; i < WARP; i += blockDim.y) {
        u32 o = first_o + i, c = first_c + threadIdx.x;
        if (o < outputs && c < channels) {
            tile[i][threadIdx.x] = weight[(size_t)o * per_output + tap * channels + c];
        }
    }
    __syncthreads();
    for (u32 i = threadIdx.y; i < WARP; i += blockDim.y) {
        u32 o = first_o + threadIdx.x, c = first_c + i;
        if (o < outputs && c < channels) {
            turned[((size_t)c * taps + blockIdx.z) * outputs + o] = tile[threadIdx.x][i];
        }
    }
}

// The kernels by tile, neighbours copied at once, and precision.

#define CONVOLVE(NAME, M, N, FLOATS, PRECISION)                                                    \
    extern "C" __global__ void __launch_bounds__(THREADS, 2)                                       \
        NAME(u32 pixels, u32 taps, u32 height, u32 width, u32 stride, u32 shift_h, u32 shift_w,    \
             u32 pq, u32 pq_magic, u32 pq_shift, u32 q, u32 q_magic, u32 q_shift, u32 c,           \
             u32 c_magic, u32 c_shift, u32 s, u32 s_magic, u32 s_shift, u32 columns,               \
             u32 y_height, u32 y_width, u32 step, u32 phase_h, u32 phase_w, const float* x,        \
             const float* b, float* y) {                                                           \
        Windows windows{x, pixels, taps, height, width, (int)stride, (int)shift_h, (int)shift_w,   \
                        {pq, pq_magic, pq_shift}, {q, q_magic, q_shift},                           \
                        {c, c_magic, c_shift}, {s, s_magic, s_shift}};                             \
        convolve<M, N, FLOATS, PRECISION>(                                                         \
            windows, b, {y, columns, y_height, y_width, step, phase_h, phase_w});                  \
    }

#define GRAD_WEIGHT(NAME, M, N, FLOATS, PRECISION)                                                 \
    extern "C" __global__ void __launch_bounds__(THREADS, 2)                                       \
        NAME(u32 pixels, u32 taps, u32 height, u32 width, u32 stride, u32 shift_h, u32 shift_w,    \
             u32 pq, u32 pq_magic, u32 pq_shift, u32 q, u32 q_magic, u32 q_shift, u32 c,           \
             u32 c_magic, u32 c_shift, u32 s, u32 s_magic, u32 s_shift, u32 outputs, u32 part,     \
             const float* x, const float* dy, float* dw) {                                         \
        Windows windows{x, pixels, taps, height, width, (int)stride, (int)shift_h, (int)shift_w,   \
                        {pq, pq_magic, pq_shift}, {q, q_magic, q_shift},                           \
                        {c, c_magic, c_shift}, {s, s_magic, s_shift}};                             \
        grad_weight<M, N, FLOATS, PRECISION>(windows, outputs, part, dy, dw);                      \
    }

CONVOLVE(conv2d_tf32_128x128, 128, 128, 4, TF32)
CONVOLVE(conv2d_tf32_128x64, 128, 64, 4, TF32)
CONVOLVE(conv2d_tf32_words, 128, 64, 1, TF32)
CONVOLVE(conv2d_bf16_128x128, 128, 128, 4, BF16)
CONVOLVE(conv2d_bf16_128x64, 128, 64, 4, BF16)
CONVOLVE(conv2d_bf16_words, 128, 64, 1, BF16)

GRAD_WEIGHT(conv2d_grad_weight_tf32_128x128, 128, 128, 4, TF32)
GRAD_WEIGHT(conv2d_grad_weight_tf32_64x128, 64, 128, 4, TF32)
GRAD_WEIGHT(conv2d_grad_weight_tf32_words, 64, 128, 1, TF32)
GRAD_WEIGHT(conv2d_grad_weight_bf16_128x128, 128, 128, 4, BF16)
GRAD_WEIGHT(conv2d_grad_weight_bf16_64x128, 64, 128, 4, BF16)
GRAD_WEIGHT(conv2d_grad_weight_bf16_words, 64, 128, 1, BF16)

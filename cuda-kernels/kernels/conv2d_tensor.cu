// The convolutions of conv2d.cu on tensor cores, by the products of tensor_core.cuh.
//
//   forward             Y[NPQ, O]  = patches[NPQ, RSC] W^T[RSC, O]
//   gradient by input   dX[NHW, C] = patches of dY[NHW, RSO] W'[RSO, C]: forward, W' made before
//   gradient by weight  dW[O, RSC] = dY^T[O, NPQ] patches[NPQ, RSC]
//
// An element's place in the image takes divisions by Q, P Q, C and S (patch_slabs.cuh says how they are
// saved). An element outside the image has a place, too, but nothing is read there.
//
// Kernels by tile, and by how patches are copied: slabs within one tap of 32 channels each, or any taps,
// 4 neighbours or single words at a time.
#include "packed_weights.cuh"
#include "patch_slabs.cuh"

extern __shared__ __align__(128) float shared[];

// Results lie at every step-th pixel of an image, from (phase_h, phase_w) on.
struct Results {
    float* y;
    u32 columns, height, width, step, phase_h, phase_w;

    __device__ u32 row(const Windows& windows, u32 i) const {
        u32 w = i, n = windows.pq.split(w), h = windows.q.split(w);
        return (n * height + phase_h + step * h) * width + phase_w + step * w;
    }
};

// Y = patches B^T with B packed, [columns, taps]. Each of the 4 warps has a quarter of the rows and all
// columns: patches, which are rounded when they are read, are read once.
//
// Launch: a block of 128 threads for each M x N tile of Y: grid (ceil(pixels / M), ceil(columns / N)),
// with STAGES times SLABS times M rows of 128 bytes and N of 16 CHUNKS bytes of shared memory. B has
// `padded` columns, a multiple of N.
template <u32 M, u32 N, u32 FLOATS, Precision PRECISION, template <u32, u32, u32> class Patches>
__device__ void convolve(const Windows& windows, const void* packed, u32 padded,
                         const Results& results) {
    using Format = Packed<PRECISION>;
    constexpr u32 ROWS = M / 64, COLUMNS = N / 8, CHUNKS = Format::CHUNKS, SLABS = Format::SLABS;
    constexpr u32 ROW_BYTES = 8 * CHUNK, COLUMN_BYTES = CHUNKS * CHUNK;
    constexpr u32 COLUMNS_AT = SLABS * M * ROW_BYTES;
    constexpr u32 STAGE_BYTES = COLUMNS_AT + SLABS * N * COLUMN_BYTES;
    u32 panels = shared_address(shared), lane = threadIdx.x % WARP;
    u32 first_row = blockIdx.x * M, first_column = blockIdx.y * N;
    Patches<M, SLABS, FLOATS> patches(windows, first_row);
    Weights<N, PRECISION> weights(packed, first_column, padded);
    auto fetch = [&](u32 i, u32 stage) {
        patches.fetch(i, panels + stage);
#pragma unroll
        for (u32 slab = 0; slab < SLABS; ++slab) {
            weights.fetch(panels + stage + COLUMNS_AT + slab * N * COLUMN_BYTES);
        }
    };

    // Rows 0-7 and 8-15 in one chunk, then both in the next; columns 0-7 in two chunks, then 8-15.
    u32 warp_row = threadIdx.x / WARP * (M / 4);
    u32 left[4], right[CHUNKS / 2];
    for (u32 step = 0; step < 4; ++step) {
        left[step] = kept(panels + chunk_at<8>(warp_row + lane % 16, 2 * step + lane / 16));
    }
    for (u32 step = 0; step < CHUNKS / 2; ++step) {
        u32 chunk = 2 * step + lane / 8 % 2;
        right[step] = kept(panels + COLUMNS_AT + chunk_at<CHUNKS>(lane / 16 * 8 + lane % 8, chunk));
    }
    Sums<ROWS, COLUMNS> sums;
    auto multiply_slab = [&](u32 rows_at, u32 columns_at) {
        auto load_rows = [&](u32 step, u32(&a)[ROWS][4]) {
#pragma unroll
            for (u32 u = 0; u < ROWS; ++u) {
                load_blocks(a[u], left[step] + rows_at + u * 16 * ROW_BYTES);
            }
        };
        auto load_columns = [&](u32 step, u32(&b)[COLUMNS][2]) {
#pragma unroll
            for (u32 v = 0; v < COLUMNS; v += 2) {
                u32 block[4];
                load_blocks(block, right[step] + columns_at + v * 8 * COLUMN_BYTES);
                for (u32 e = 0; e < 4; ++e) b[v + e / 2][e % 2] = block[e];
            }
        };
#pragma unroll
        for (u32 step = 0; step < CHUNKS / 2; ++step) {
            u32 a[ROWS][4], b[COLUMNS][2];
            load_columns(step, b);
            if (PRECISION == TF32) {
                load_rows(step, a);
                cut_rows(a);
                sums.add_tf32(a, b);
            } else {
                u32 halves[2][ROWS][4];
                load_rows(2 * step, halves[0]);
                load_rows(2 * step + 1, halves[1]);
                pair_rows(a, halves);
                sums.add_bf16(a, b);
            }
        }
    };
    auto multiply = [&](u32 stage) {
#pragma unroll
        for (u32 slab = 0; slab < SLABS; ++slab) {
            multiply_slab(stage + slab * M * ROW_BYTES, stage + slab * N * COLUMN_BYTES);
        }
    };
    constexpr u32 DEPTH = SLABS * ROW_DEPTH;
    pipeline<Format::STAGES, STAGE_BYTES>((windows.taps + DEPTH - 1) / DEPTH, fetch, multiply);

#pragma unroll
    for (u32 u = 0; u < ROWS; ++u) {
#pragma unroll
        for (u32 e = 0; e < 4; e += 2) {
            u32 i = first_row + warp_row + 16 * u + lane / 4 + e / 2 * 8;
            if (i >= windows.pixels) continue;
            float* y = results.y + (size_t)results.row(windows, i) * results.columns;
#pragma unroll
            for (u32 v = 0; v < COLUMNS; ++v) {
                u32 j = first_column + 8 * v + 2 * (lane % 4);
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

    // A thread copies of one pixel every eighth group of outputs of dy, and of taps of its patch.
    constexpr u32 ACROSS = THREADS / COLUMN_DEPTH, STEP = ACROSS * FLOATS;
    u32 k = threadIdx.x / ACROSS, across = threadIdx.x % ACROSS * FLOATS;
    u32 to_a = shared_address(panel_a + k * PITCH_A + across);
    u32 to_b = shared_address(panel_b + k * PITCH_B + across);
    Tap taps_of[N / STEP];
    u32 places[N / STEP];
#pragma unroll
    for (u32 n = 0; n < N / STEP; ++n) {
        taps_of[n] = windows.tap(first_tap + across + n * STEP);
        places[n] = place_of(windows, taps_of[n]);
    }
    const float* from_dy = dy + (size_t)(first + k) * outputs + first_output + across;
    u32 outputs_left = outputs > first_output + across ? outputs - first_output - across : 0;
    auto fetch = [&](u32 slab, u32 stage) {
        u32 p = first + slab * COLUMN_DEPTH + k;
        bool is_pixel = p < end;
#pragma unroll
        for (u32 n = 0; n < M / STEP; ++n) {
            copy_async<FLOATS>(to_a + (stage * COLUMN_DEPTH * PITCH_A + n * STEP) * 4,
                               from_dy + n * STEP, is_pixel && n * STEP < outputs_left);
        }
        from_dy += COLUMN_DEPTH * outputs;
        Pixel pixel = windows.pixel(is_pixel ? p : windows.pixels);
        u32 place = place_of(windows, pixel);
#pragma unroll
        for (u32 n = 0; n < N / STEP; ++n) {
            u32 h = pixel.h + taps_of[n].h, w = pixel.w + taps_of[n].w;
            bool inside = h < windows.height && w < windows.width;
            copy_async<FLOATS>(to_b + (stage * COLUMN_DEPTH * PITCH_B + n * STEP) * 4,
                               windows.x + (place + places[n]), inside);
        }
    };

    // A lane reads four neighbours at once, so row g of the instruction's 8, of u and of a half, is row
    // 4 g and the next three, then 32 further on; likewise the columns.
    u32 warp = threadIdx.x / WARP, g = threadIdx.x % WARP / 4, t = threadIdx.x % 4;
    u32 warp_row = warp / 2 * (M / 2), warp_column = warp % 2 * (N / 2);
    Sums<ROWS, COLUMNS> sums;
    auto multiply = [&](u32 stage) {
        const float* left = panel_a + stage * COLUMN_DEPTH * PITCH_A + warp_row + 4 * g;
        const float* right = panel_b + stage * COLUMN_DEPTH * PITCH_B + warp_column + 4 * g;
        auto load = [&](u32 depth, u32(&a)[ROWS][4], u32(&b)[COLUMNS][2]) {
#pragma unroll
            for (u32 e = 0; e < 2; ++e) {
                u32 p = depth + t + e * 4;
#pragma unroll
                for (u32 u = 0; u < ROWS; u += 2) {
                    uint4 four = *(const uint4*)(left + p * PITCH_A + 16 * u);
                    a[u][2 * e] = four.x, a[u][2 * e + 1] = four.y;
                    a[u + 1][2 * e] = four.z, a[u + 1][2 * e + 1] = four.w;
                }
#pragma unroll
                for (u32 v = 0; v < COLUMNS; v += 4) {
                    uint4 four = *(const uint4*)(right + p * PITCH_B + 8 * v);
                    b[v][e] = four.x, b[v + 1][e] = four.y;
                    b[v + 2][e] = four.z, b[v + 3][e] = four.w;
                }
            }
        };
        if (PRECISION == TF32) {
#pragma unroll
            for (u32 depth = 0; depth < COLUMN_DEPTH; depth += 8) {
                u32 a[ROWS][4], b[COLUMNS][2];
                load(depth, a, b);
                cut_rows(a);
                for (u32 v = 0; v < COLUMNS; ++v) {
                    for (u32 e = 0; e < 2; ++e) b[v][e] = to_cut(b[v][e]);
                }
                sums.add_tf32(a, b);
            }
        } else {
            u32 a[2][ROWS][4], b[2][COLUMNS][2], rows[ROWS][4], columns[COLUMNS][2];
            load(0, a[0], b[0]);
            load(8, a[1], b[1]);
            pair_rows(rows, a);
            for (u32 v = 0; v < COLUMNS; ++v) {
                for (u32 e = 0; e < 2; ++e) columns[v][e] = to_bf16x2(b[e][v][0], b[e][v][1]);
            }
            sums.add_bf16(rows, columns);
        }
    };
    u32 slabs = first < end ? (end - first + COLUMN_DEPTH - 1) / COLUMN_DEPTH : 0;
    pipeline<COLUMN_STAGES, 1>(slabs, fetch, multiply);

    dw += (size_t)blockIdx.z * outputs * taps;
#pragma unroll
    for (u32 row = 0; row < 2 * ROWS; ++row) {
        u32 o = first_output + warp_row + row / 4 * 32 + 4 * g + row % 4;
        if (o >= outputs) continue;
#pragma unroll
        for (u32 e = 0; e < 2; ++e) {
#pragma unroll
            for (u32 v = 0; v < COLUMNS; v += 4) {
                u32 j = first_tap + warp_column + 8 * v + 4 * (2 * t + e);
                float four[4];
                for (u32 k = 0; k < 4; ++k) four[k] = sums.d[row / 2][v + k][row % 2 * 2 + e];
                float* at = dw + (size_t)o * taps + j;
                u32 left = taps > j ? taps - j : 0;
                store2<FLOATS>(at, four[0], four[1], left);
                store2<FLOATS>(at + 2, four[2], four[3], left > 2 ? left - 2 : 0);
            }
        }
    }
}

#define WEIGHTS(PRECISION, SUFFIX)                                                                 \
    extern "C" __global__ void pack_weights_##SUFFIX(u32 taps, u32 columns, u32 padded,            \
                                                     const float* weight, void* packed) {          \
        pack_weights<PRECISION>(taps, columns, padded, weight, packed);                            \
    }                                                                                              \
    extern "C" __global__ void turn_weights_##SUFFIX(                                              \
        u32 outputs, u32 channels, u32 taps_across, u32 taps, u32 kernel_w, u32 last_tap,          \
        u32 stride, u32 per_output, u32 padded, const float* weight, void* packed) {               \
        turn_weights<PRECISION>(outputs, channels, taps_across, taps, kernel_w, last_tap, stride,  \
                                per_output, padded, weight, packed);                               \
    }

WEIGHTS(TF32, tf32)
WEIGHTS(BF16, bf16)

// The kernels by tile, how they copy patches, and precision.

#define CONVOLVE(NAME, M, N, FLOATS, PRECISION, PATCHES)                                                   \
    extern "C" __global__ void __launch_bounds__(THREADS, 2)                                       \
        NAME(u32 pixels, u32 taps, u32 height, u32 width, u32 stride, u32 shift_h, u32 shift_w,    \
             u32 pq, u32 pq_magic, u32 pq_shift, u32 q, u32 q_magic, u32 q_shift, u32 c,           \
             u32 c_magic, u32 c_shift, u32 s, u32 s_magic, u32 s_shift, u32 columns,               \
             u32 padded, u32 y_height, u32 y_width, u32 step, u32 phase_h, u32 phase_w,            \
             const float* x, const void* packed, float* y) {                                       \
        Windows windows{x, pixels, taps, height, width, (int)stride, (int)shift_h, (int)shift_w,   \
                        {pq, pq_magic, pq_shift}, {q, q_magic, q_shift},                           \
                        {c, c_magic, c_shift}, {s, s_magic, s_shift}};                             \
        convolve<M, N, FLOATS, PRECISION, PATCHES>(                                                \
            windows, packed, padded, {y, columns, y_height, y_width, step, phase_h, phase_w});     \
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


CONVOLVE(conv2d_tf32_128x128, 128, 128, 4, TF32, WholeSlabs)
CONVOLVE(conv2d_tf32_128x64, 128, 64, 4, TF32, WholeSlabs)
CONVOLVE(conv2d_tf32_fours, 128, 64, 4, TF32, AnySlabs)
CONVOLVE(conv2d_tf32_words, 128, 64, 1, TF32, AnySlabs)
CONVOLVE(conv2d_bf16_128x128, 128, 128, 4, BF16, WholeSlabs)
CONVOLVE(conv2d_bf16_128x64, 128, 64, 4, BF16, WholeSlabs)
CONVOLVE(conv2d_bf16_fours, 128, 64, 4, BF16, AnySlabs)
CONVOLVE(conv2d_bf16_words, 128, 64, 1, BF16, AnySlabs)

GRAD_WEIGHT(conv2d_grad_weight_tf32_128x128, 128, 128, 4, TF32)
GRAD_WEIGHT(conv2d_grad_weight_tf32_64x128, 64, 128, 4, TF32)
GRAD_WEIGHT(conv2d_grad_weight_tf32_words, 64, 128, 1, TF32)
GRAD_WEIGHT(conv2d_grad_weight_bf16_128x128, 128, 128, 4, BF16)
GRAD_WEIGHT(conv2d_grad_weight_bf16_64x128, 64, 128, 4, BF16)
GRAD_WEIGHT(conv2d_grad_weight_bf16_words, 64, 128, 1, BF16)

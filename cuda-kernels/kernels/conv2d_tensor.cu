// The convolutions of conv2d.cu on tensor cores, by the products of tensor_core.cuh.
//
//   forward             Y[NPQ, O]  = patches[NPQ, RSC] W^T[RSC, O]
//   gradient by input   dX[NHW, C] = patches of dY[NHW, RSO] W'[RSO, C]: forward, W' made before
//   gradient by weight  dW[O, RSC] = dY^T[O, NPQ] patches[NPQ, RSC]
//
// An element's place in the image takes divisions by Q, P Q, C and S (patch_slabs.cuh says how they are
// saved). An element outside the image has a place, too, but nothing is read there.
//
// Kernels by tile, and by how patches are copied: slabs within one tap of 32 channels each, or 64 in bf16,
// or any taps, 16 bytes or single words at a time.
#include "packed_weights.cuh"
#include "tensor_grad_weight.cuh"
#include "tile_gradients.cuh"
#include "tile_statistics.cuh"

// Results lie at every step-th pixel of an image, from (phase_h, phase_w) on; in bf16 if `halves`.
struct Results {
    void* y;
    u32 halves, columns, height, width, step, phase_h, phase_w;

    template <class T> __device__ u32 row(const WindowsOf<T>& windows, u32 i) const {
        u32 w = i, n = windows.pq.split(w), h = windows.q.split(w);
        return (n * height + phase_h + step * h) * width + phase_w + step * w;
    }

    // How many columns from j on are inside, and where they lie.
    __device__ u32 left(u32 j) const { return columns > j ? columns - j : 0; }
    __device__ size_t at(u32 row, u32 j) const { return (size_t)row * columns + j; }

    // Four neighbours of a row from column j on; `whole`: rows are whole groups of four, and aligned. bf16
    // always are.
    __device__ void store(u32 row, u32 j, const float (&x)[4], bool whole) const {
        if (!halves) {
            store_row((float*)y + at(row, j), x, left(j), whole);
        } else if (left(j) > 0) {
            Neighbours<4, bf16>{{x[0], x[1], x[2], x[3]}}.store((bf16*)y + at(row, j));
        }
    }
};

// Y = patches B^T with B packed, [columns, taps]. Where patches are rounded when they are read, each of the
// 4 warps has a quarter of the rows and all columns, so that they are read once; else half of both. Unless
// `parts` is null, batch norm's sums of each M pixels go there, [groups, 2, columns], of what y keeps of them:
// those of its gradient if there is something `behind` the convolution.
//
// Launch: a block of 128 threads for each M x N tile of Y: grid (ceil(pixels / M), ceil(columns / N)),
// with STAGES times SLABS times M rows of 128 bytes and N of 16 CHUNKS bytes of shared memory. B has
// `padded` columns, a multiple of N.
template <u32 M, u32 N, u32 NEIGHBOURS, Precision PRECISION,
          template <u32, u32, u32, class> class Patches>
__device__ void convolve(const WindowsOf<typename Packed<PRECISION>::Image>& windows,
                         const void* packed, u32 padded, const Results& results, const Behind& behind,
                         float* parts) {
    using Format = Packed<PRECISION>;
    constexpr u32 WARPS_ACROSS = PRECISION == BF16 ? 2 : 1, WARPS_DOWN = 4 / WARPS_ACROSS;
    constexpr u32 ROWS = M / WARPS_DOWN / 16, COLUMNS = N / WARPS_ACROSS / 8;
    constexpr u32 CHUNKS = Format::CHUNKS, SLABS = Format::SLABS;
    constexpr u32 ROW_BYTES = 8 * CHUNK, COLUMN_BYTES = CHUNKS * CHUNK;
    constexpr u32 COLUMNS_AT = SLABS * M * ROW_BYTES;
    constexpr u32 STAGE_BYTES = COLUMNS_AT + SLABS * N * COLUMN_BYTES;
    u32 panels = shared_address(shared), lane = threadIdx.x % WARP;
    u32 first_row = blockIdx.x * M, first_column = blockIdx.y * N;
    Patches<M, SLABS, NEIGHBOURS, typename Format::Image> patches(windows, first_row);
    Weights<N, PRECISION> weights(packed, first_column, padded);
    auto fetch = [&](u32 i, u32 stage) {
        patches.fetch(i, panels + stage);
#pragma unroll
        for (u32 slab = 0; slab < SLABS; ++slab) {
            weights.fetch(panels + stage + COLUMNS_AT + slab * N * COLUMN_BYTES);
        }
    };

    // Rows 0-7 and 8-15 in one chunk, then both in the next; columns 0-7 in two chunks, then 8-15.
    u32 warp_row = threadIdx.x / WARP / WARPS_ACROSS * (M / WARPS_DOWN);
    u32 warp_column = threadIdx.x / WARP % WARPS_ACROSS * (N / WARPS_ACROSS);
    u32 left[4], right[CHUNKS / 2];
    for (u32 step = 0; step < 4; ++step) {
        left[step] = kept(panels + chunk_at<8>(warp_row + lane % 16, 2 * step + lane / 16));
    }
    for (u32 step = 0; step < CHUNKS / 2; ++step) {
        u32 chunk = 2 * step + lane / 8 % 2;
        u32 column = warp_column + lane / 16 * 8 + lane % 8;
        right[step] = kept(panels + COLUMNS_AT + chunk_at<CHUNKS>(column, chunk));
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
            if (PRECISION == BF16) {
                load_rows(step, a);
                sums.add_bf16(a, b);
            } else if (PRECISION == TF32) {
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
    constexpr u32 DEPTH = SLABS * Format::DEPTH;
    pipeline<Format::STAGES, STAGE_BYTES>((windows.taps + DEPTH - 1) / DEPTH, fetch, multiply);

    bool whole = NEIGHBOURS > 1 && results.columns % 4 == 0;
    u32 rows = min(M, windows.pixels - first_row);
    if (behind.x != nullptr) {
        using Tile = TileRows<M, N>;
        static_assert(sizeof(Tile) <= Format::STAGES * STAGE_BYTES, "the stages' memory holds it");
        Tile& tile = *(Tile*)shared;
        __syncthreads();  // the stages have been used by all
#pragma unroll
        for (u32 u = 0; u < ROWS; ++u) {
#pragma unroll
            for (u32 v = 0; v < COLUMNS; v += 2) {
#pragma unroll
                for (u32 e = 0; e < 4; e += 2) {
                    const float(&even)[4] = sums.d[u][v], (&odd)[4] = sums.d[u][v + 1];
                    u32 i = warp_row + 16 * u + lane / 4 + e / 2 * 8;
                    u32 j = warp_column + 8 * v + 4 * (lane % 4);
                    tile.put(i, j, {even[e], even[e + 1], odd[e], odd[e + 1]});
                }
            }
        }
        __syncthreads();
        auto place = [&](u32 i) { return results.row(windows, first_row + i); };
        parts += (size_t)blockIdx.x * 2 * results.columns;
        if (results.halves) {
            tile.template finish<bf16>(results, behind, rows, first_column, place, whole, parts);
        } else {
            tile.template finish<float>(results, behind, rows, first_column, place, whole, parts);
        }
        return;
    }

#pragma unroll
    for (u32 u = 0; u < ROWS; ++u) {
#pragma unroll
        for (u32 e = 0; e < 4; e += 2) {
            u32 i = first_row + warp_row + 16 * u + lane / 4 + e / 2 * 8;
            if (i >= windows.pixels) continue;
            u32 row = results.row(windows, i);
#pragma unroll
            for (u32 v = 0; v < COLUMNS; v += 2) {
                const float(&even)[4] = sums.d[u][v], (&odd)[4] = sums.d[u][v + 1];
                float four[4] = {even[e], even[e + 1], odd[e], odd[e + 1]};
                u32 j = first_column + warp_column + 8 * v + 4 * (lane % 4);
                results.store(row, j, four, whole);
            }
        }
    }

    if (parts == nullptr) return;
    using Statistics = TileStatistics<M, N, WARPS_DOWN>;
    static_assert(sizeof(Statistics) <= STAGE_BYTES, "a stage's memory holds it");
    Statistics& statistics = *(Statistics*)shared;
    if (results.halves) round_sums(sums);
    u32 of_warp = min(M / WARPS_DOWN, rows - min(rows, warp_row));
    __syncthreads();  // the stages have been used by all
    statistics.put(sums, warp_row / (M / WARPS_DOWN), warp_column, of_warp);
    __syncthreads();
    u32 j = first_column + threadIdx.x;
    if (threadIdx.x < N && j < results.columns) {
        float* at = parts + (size_t)blockIdx.x * 2 * results.columns + j;
        statistics.store(threadIdx.x, rows, at, at + results.columns);
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
WEIGHTS(ROUNDED, rounded)
WEIGHTS(BF16, bf16)

// The parameters that say what the windows of x are.
#define WINDOWS                                                                                    \
    u32 pixels, u32 taps, u32 height, u32 width, u32 stride, u32 shift_h, u32 shift_w, u32 pq,     \
        u32 pq_magic, u32 pq_shift, u32 q, u32 q_magic, u32 q_shift, u32 c, u32 c_magic,           \
        u32 c_shift, u32 s, u32 s_magic, u32 s_shift
#define WINDOWS_OF(x)                                                                              \
    {                                                                                              \
        x, pixels, taps, height, width, (int)stride, (int)shift_h, (int)shift_w,                   \
            {pq, pq_magic, pq_shift}, {q, q_magic, q_shift}, {c, c_magic, c_shift},                \
            {s, s_magic, s_shift}                                                                  \
    }

// The kernels by tile, how they copy patches, and precision.

#define CONVOLVE(NAME, M, N, NEIGHBOURS, PRECISION, PATCHES)                                       \
    extern "C" __global__ void __launch_bounds__(THREADS, 2)                                       \
        NAME(WINDOWS, u32 columns, u32 padded, u32 y_height, u32 y_width, u32 step, u32 phase_h,   \
             u32 phase_w, u32 halves, const Packed<PRECISION>::Image* x, const void* packed,       \
             void* y, float* parts, const void* norm_x, const void* norm_y, const void* added,     \
             const float* mean) {                                                                  \
        convolve<M, N, NEIGHBOURS, PRECISION, PATCHES>(                                            \
            WINDOWS_OF(x), packed, padded,                                                         \
            {y, halves, columns, y_height, y_width, step, phase_h, phase_w},                       \
            {norm_x, norm_y, added, mean}, parts);                                                 \
    }

#define GRAD_WEIGHT(NAME, M, N, FLOATS, PRECISION, G)                                              \
    extern "C" __global__ void __launch_bounds__(THREADS, 2)                                       \
        NAME(WINDOWS, u32 outputs, u32 part, const float* x, const G* dy, float* dw) {             \
        grad_weight<M, N, FLOATS, PRECISION>(WINDOWS_OF(x), outputs, part, dy, dw);                \
    }

#define GRAD_WEIGHT_TURNED(NAME, M, N, TOGETHER)                                                   \
    extern "C" __global__ void __launch_bounds__(THREADS, 2)                                       \
        NAME(WINDOWS, u32 outputs, u32 part, const bf16* x, const bf16* dy, float* dw) {           \
        grad_weight_turned<M, N, TOGETHER>(WINDOWS_OF(x), outputs, part, dy, dw);                  \
    }

CONVOLVE(conv2d_tf32_128x128, 128, 128, 4, TF32, WholeSlabs)
CONVOLVE(conv2d_tf32_128x64, 128, 64, 4, TF32, WholeSlabs)
CONVOLVE(conv2d_tf32_fours, 128, 64, 4, TF32, AnySlabs)
CONVOLVE(conv2d_tf32_words, 128, 64, 1, TF32, AnySlabs)
CONVOLVE(conv2d_bf16_128x128, 128, 128, 8, BF16, WholeSlabs)
CONVOLVE(conv2d_bf16_128x64, 128, 64, 8, BF16, WholeSlabs)
CONVOLVE(conv2d_bf16_eights, 128, 64, 8, BF16, AnySlabs)
CONVOLVE(conv2d_rounded_128x128, 128, 128, 4, ROUNDED, WholeSlabs)
CONVOLVE(conv2d_rounded_128x64, 128, 64, 4, ROUNDED, WholeSlabs)
CONVOLVE(conv2d_rounded_fours, 128, 64, 4, ROUNDED, AnySlabs)
CONVOLVE(conv2d_rounded_words, 128, 64, 1, ROUNDED, AnySlabs)

GRAD_WEIGHT(conv2d_grad_weight_tf32_128x128, 128, 128, 4, TF32, float)
GRAD_WEIGHT(conv2d_grad_weight_tf32_64x128, 64, 128, 4, TF32, float)
GRAD_WEIGHT(conv2d_grad_weight_tf32_words, 64, 128, 1, TF32, float)
GRAD_WEIGHT(conv2d_grad_weight_rounded_128x128, 128, 128, 4, ROUNDED, float)
GRAD_WEIGHT(conv2d_grad_weight_rounded_64x128, 64, 128, 4, ROUNDED, float)
GRAD_WEIGHT(conv2d_grad_weight_rounded_words, 64, 128, 1, ROUNDED, float)
GRAD_WEIGHT(conv2d_grad_weight_rounded_stem, 64, 128, 1, ROUNDED, bf16)
GRAD_WEIGHT_TURNED(conv2d_grad_weight_bf16_128x128, 128, 128, 4)
GRAD_WEIGHT_TURNED(conv2d_grad_weight_bf16_64x128, 64, 128, 4)
GRAD_WEIGHT_TURNED(conv2d_grad_weight_bf16_eights, 64, 128, 1)

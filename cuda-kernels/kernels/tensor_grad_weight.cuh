// The gradient of a convolution by its weight on tensor cores, from panels of f32 and from panels of bf16.
#pragma once
#include "patch_slabs.cuh"
#include "tensor_core.cuh"

extern __shared__ __align__(128) float shared[];

// Panels of which neighbours along i are neighbours in memory: the 8 floats or 32 bf16 behind each row put
// the rows that a warp reads at once in different banks.
constexpr u32 COLUMN_DEPTH = 16, COLUMN_STAGES = 4;
template <class T> constexpr u32 COLUMN_PAD = 8;
template <> constexpr u32 COLUMN_PAD<bf16> = 32;

// The bits of four neighbours as f32.
__device__ inline uint4 four_at(const float* x) { return *(const uint4*)x; }
__device__ inline uint4 four_at(const bf16* x) {
    uint2 pairs = *(const uint2*)x;
    return make_uint4(pairs.x << 16, pairs.x & 0xffff0000, pairs.y << 16, pairs.y & 0xffff0000);
}

// dW = dY^T patches, of f32, or dY of bf16.
//
// Launch: the pixels are cut into `parts` of `part` each, a block of 128 threads for each M x N tile of
// dW and each part: grid (ceil(O / M), ceil(RSC / N), parts), with COLUMN_STAGES COLUMN_DEPTH times M + N
// numbers and their padding in shared memory. Part z is written to the z-th [O,RSC] behind dw; gemm_sum_parts adds
// them up in order.
template <u32 M, u32 N, u32 FLOATS, Precision PRECISION, class G>
__device__ void grad_weight(const Windows& windows, u32 outputs, u32 part, const G* dy, float* dw) {
    constexpr u32 ROWS = M / 32, COLUMNS = N / 16;
    constexpr u32 PITCH_A = M + COLUMN_PAD<G>, PITCH_B = N + COLUMN_PAD<float>;
    G* panel_a = (G*)shared;
    float* panel_b = (float*)(panel_a + COLUMN_STAGES * COLUMN_DEPTH * PITCH_A);
    u32 first_output = blockIdx.x * M, first_tap = blockIdx.y * N, taps = windows.taps;
    u32 first = blockIdx.z * part, end = min(first + part, windows.pixels);

    // A thread copies of one pixel every eighth group of outputs of dy, and of taps of its patch.
    constexpr u32 ACROSS = THREADS / COLUMN_DEPTH, STEP = ACROSS * FLOATS;
    constexpr u32 OUTPUTS = sizeof(G) == 2 ? PER_CHUNK<G> : FLOATS, STEP_A = ACROSS * OUTPUTS;
    u32 k = threadIdx.x / ACROSS, across = threadIdx.x % ACROSS * FLOATS;
    u32 across_a = threadIdx.x % ACROSS * OUTPUTS;
    u32 to_a = shared_address(panel_a + k * PITCH_A + across_a);
    u32 to_b = shared_address(panel_b + k * PITCH_B + across);
    Tap taps_of[N / STEP];
    u32 places[N / STEP];
#pragma unroll
    for (u32 n = 0; n < N / STEP; ++n) {
        taps_of[n] = windows.tap(first_tap + across + n * STEP);
        places[n] = place_of(windows, taps_of[n]);
    }
    const G* from_dy = dy + (size_t)(first + k) * outputs + first_output + across_a;
    u32 outputs_left = outputs > first_output + across_a ? outputs - first_output - across_a : 0;
    auto fetch = [&](u32 slab, u32 stage) {
        u32 p = first + slab * COLUMN_DEPTH + k;
        bool is_pixel = p < end;
#pragma unroll
        for (u32 n = 0; n < M / STEP_A; ++n) {
            copy_async<OUTPUTS * sizeof(G) / 4>(
                to_a + (stage * COLUMN_DEPTH * PITCH_A + n * STEP_A) * sizeof(G),
                from_dy + n * STEP_A, is_pixel && n * STEP_A < outputs_left);
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
        const G* left = panel_a + stage * COLUMN_DEPTH * PITCH_A + warp_row + 4 * g;
        const float* right = panel_b + stage * COLUMN_DEPTH * PITCH_B + warp_column + 4 * g;
        auto load = [&](u32 depth, u32(&a)[ROWS][4], u32(&b)[COLUMNS][2]) {
#pragma unroll
            for (u32 e = 0; e < 2; ++e) {
                u32 p = depth + t + e * 4;
#pragma unroll
                for (u32 u = 0; u < ROWS; u += 2) {
                    uint4 four = four_at(left + p * PITCH_A + 16 * u);
                    a[u][2 * e] = four.x, a[u][2 * e + 1] = four.y;
                    a[u + 1][2 * e] = four.z, a[u + 1][2 * e + 1] = four.w;
                }
#pragma unroll
                for (u32 v = 0; v < COLUMNS; v += 4) {
                    uint4 four = four_at(right + p * PITCH_B + 8 * v);
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
                store_row(dw + (size_t)o * taps + j, four, taps > j ? taps - j : 0, FLOATS > 1);
            }
        }
    }
}

// Panels of bf16 in swizzled rows of a pixel each, which ldmatrix turns.
constexpr u32 TURNED_DEPTH = 64, TURNED_STAGES = 3;

// The same of bf16. Of a thread's chunks of a patch TOGETHER are of one tap: 4 where channels are a multiple
// of 64, else 1.
//
// Launch: likewise, with TURNED_STAGES TURNED_DEPTH (M + N) numbers of shared memory.
template <u32 M, u32 N, u32 TOGETHER>
__device__ void grad_weight_turned(const WindowsOf<bf16>& windows, u32 outputs, u32 part,
                                   const bf16* dy, float* dw) {
    constexpr u32 ROWS = M / 32, COLUMNS = N / 16, ACROSS = THREADS / TURNED_DEPTH, STEP = ACROSS * 8;
    constexpr u32 BYTES_A = 2 * M, BYTES_B = 2 * N, COLUMNS_AT = TURNED_DEPTH * BYTES_A;
    constexpr u32 STAGE_BYTES = COLUMNS_AT + TURNED_DEPTH * BYTES_B;
    u32 panels = shared_address(shared), lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    u32 first_output = blockIdx.x * M, first_tap = blockIdx.y * N, taps = windows.taps;
    u32 first = blockIdx.z * part, end = min(first + part, windows.pixels);

    // A thread copies every second chunk of a pixel. Eight lanes write to four rows, two apart and so
    // turned to different banks.
    u32 k = warp * 16 + lane / 16 * 8 + lane / 2 % 4 * 2 + lane / 8 % 2, across = lane % ACROSS * 8;
    u32 to = (lane % ACROSS ^ k % 8) * CHUNK;
    u32 to_a = kept(panels + k * BYTES_A + to), to_b = kept(panels + COLUMNS_AT + k * BYTES_B + to);
    constexpr u32 TAPS = N / STEP / TOGETHER;
    Tap taps_of[TAPS];
    u32 places[TAPS];
#pragma unroll
    for (u32 n = 0; n < TAPS; ++n) {
        taps_of[n] = windows.tap(first_tap + across + n * TOGETHER * STEP);
        places[n] = place_of(windows, taps_of[n]);
    }
    const bf16* from_dy = dy + (size_t)(first + k) * outputs + first_output + across;
    u32 outputs_left = outputs > first_output + across ? outputs - first_output - across : 0;
    // Chunk c + 2 n of 8 is where c is, with bits turned.
    constexpr u32 ROUND = 8 / ACROSS;
    auto place = [](u32 at, u32 n) { return (at ^ n % ROUND * ACROSS * CHUNK) + n / ROUND * 8 * CHUNK; };
    auto fetch = [&](u32 slab, u32 stage) {
        u32 p = first + slab * TURNED_DEPTH + k;
        bool is_pixel = p < end;
#pragma unroll
        for (u32 n = 0; n < M / STEP; ++n) {
            copy_async<4>(place(to_a + stage, n), from_dy + n * STEP,
                          is_pixel && n * STEP < outputs_left);
        }
        from_dy += TURNED_DEPTH * outputs;
        Pixel pixel = windows.pixel(is_pixel ? p : windows.pixels);
        u32 from = place_of(windows, pixel);
#pragma unroll
        for (u32 n = 0; n < TAPS; ++n) {
            u32 h = pixel.h + taps_of[n].h, w = pixel.w + taps_of[n].w;
            bool inside = h < windows.height && w < windows.width;
            const bf16* tap = windows.x + (from + places[n]);
#pragma unroll
            for (u32 i = 0; i < TOGETHER; ++i) {
                copy_async<4>(place(to_b + stage, n * TOGETHER + i), tap + i * STEP, inside);
            }
        }
    };

    // Rows 0-7 and 8-15 of the first 8 depths, then both of the next; columns 0-7 of both, then 8-15.
    u32 warp_row = warp / 2 * (M / 2), warp_column = warp % 2 * (N / 2);
    u32 left[ROWS], right[COLUMNS / 2];
    for (u32 u = 0; u < ROWS; ++u) {
        u32 depth = lane / 16 * 8 + lane % 8, chunk = (warp_row + 16 * u) / 8 + lane / 8 % 2;
        left[u] = kept(panels + depth * BYTES_A + (chunk ^ lane % 8) * CHUNK);
    }
    for (u32 v = 0; v < COLUMNS / 2; ++v) {
        u32 depth = lane / 8 % 2 * 8 + lane % 8, chunk = (warp_column + 16 * v) / 8 + lane / 16;
        right[v] = kept(panels + COLUMNS_AT + depth * BYTES_B + (chunk ^ lane % 8) * CHUNK);
    }
    Sums<ROWS, COLUMNS> sums;
    auto multiply = [&](u32 stage) {
#pragma unroll
        for (u32 depth = 0; depth < TURNED_DEPTH; depth += 16) {
            u32 a[ROWS][4], b[COLUMNS][2];
#pragma unroll
            for (u32 u = 0; u < ROWS; ++u) load_turned(a[u], left[u] + stage + depth * BYTES_A);
#pragma unroll
            for (u32 v = 0; v < COLUMNS; v += 2) {
                u32 block[4];
                load_turned(block, right[v / 2] + stage + depth * BYTES_B);
                for (u32 e = 0; e < 4; ++e) b[v + e / 2][e % 2] = block[e];
            }
            sums.add_bf16(a, b);
        }
    };
    u32 slabs = first < end ? (end - first + TURNED_DEPTH - 1) / TURNED_DEPTH : 0;
    pipeline<TURNED_STAGES, STAGE_BYTES>(slabs, fetch, multiply);

    dw += (size_t)blockIdx.z * outputs * taps;
#pragma unroll
    for (u32 u = 0; u < ROWS; ++u) {
#pragma unroll
        for (u32 e = 0; e < 4; e += 2) {
            u32 o = first_output + warp_row + 16 * u + lane / 4 + e / 2 * 8;
            if (o >= outputs) continue;
#pragma unroll
            for (u32 v = 0; v < COLUMNS; ++v) {
                u32 j = first_tap + warp_column + 8 * v + 2 * (lane % 4);
                float two[2] = {sums.d[u][v][e], sums.d[u][v][e + 1]};
                store_row(dw + (size_t)o * taps + j, two, taps > j ? taps - j : 0, true);
            }
        }
    }
}

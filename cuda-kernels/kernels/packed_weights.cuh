// Weights as tensor cores read them: rounded and packed once, for all blocks of a convolution.
#pragma once
#include "slabs.cuh"
#include "tensor_core.cuh"

// How the weights lie in memory: a slab of DEPTH taps after the other, in it a row for each column, rounded
// and padded with zeros to whole stages and tiles. Pairs of bf16 are depths t and t + 4 where those of
// images are. STAGES times SLABS are under way or in use at a time.
template <Precision PRECISION> struct Packed;
template <> struct Packed<TF32> {
    using Number = u32;
    using Image = float;
    static constexpr u32 DEPTH = 32, CHUNKS = 8, SLABS = 1, STAGES = 3;
    __device__ static u32 rounded(float x) { return to_tf32(__float_as_uint(x)); }
    __device__ static u32 depth(u32 place) { return place; }
};
template <> struct Packed<ROUNDED> {
    using Number = unsigned short;
    using Image = float;
    static constexpr u32 DEPTH = 32, CHUNKS = 4, SLABS = 2, STAGES = 2;
    __device__ static Number rounded(float x) { return to_pair(x, 0.0f); }
    __device__ static u32 depth(u32 place) { return place & ~7 | place % 2 * 4 | place / 2 % 4; }
};
template <> struct Packed<BF16> {
    using Number = unsigned short;
    using Image = bf16;
    static constexpr u32 DEPTH = 64, CHUNKS = 8, SLABS = 1, STAGES = 3;
    __device__ static Number rounded(float x) { return to_pair(x, 0.0f); }
    __device__ static u32 depth(u32 place) { return place; }
};

// The column of a row. A lane has of 8 columns of an instruction two, 2 t and 2 t + 1, and of the next 8 as
// well: these are four neighbours, so that it writes them at once.
__device__ inline u32 packed_column(u32 row) {
    return row & ~15 | row % 8 / 2 * 4 | row / 8 % 2 * 2 | row % 2;
}

// Where a number of a row lies, in numbers.
template <Precision PRECISION> __device__ inline size_t packed_at(u32 row, u32 place, u32 padded) {
    constexpr u32 DEPTH = Packed<PRECISION>::DEPTH;
    return ((size_t)(place / DEPTH) * padded + row) * DEPTH + place % DEPTH;
}

// Copies slabs of N columns of packed weights, of which each warp has a part in a row.
template <u32 N, Precision PRECISION> struct Weights {
    static constexpr u32 CHUNKS = Packed<PRECISION>::CHUNKS, COUNT = N * CHUNKS / THREADS;
    const uint4* b;  // this thread's middle chunk of the next slab
    u32 slab_chunks, to;

    __device__ Weights(const void* packed, u32 first_column, u32 padded) {
        u32 i = threadIdx.x / WARP * COUNT * WARP + threadIdx.x % WARP;
        b = (const uint4*)packed + first_column * CHUNKS + i + COUNT / 2 * WARP;
        slab_chunks = padded * CHUNKS;
        to = kept(chunk_at<CHUNKS>(i / CHUNKS, i % CHUNKS));
    }

    __device__ void fetch(u32 panel) {
#pragma unroll
        for (u32 n = 0; n < COUNT; ++n) {
            // A warp's rows turn by 4 chunks from one copy to the next, or by none.
            u32 turn = CHUNKS == 8 ? n % 2 * 4 * CHUNK : 0;
            copy_async<4>(panel + (to ^ turn) + n * WARP * CHUNK, b + (int)((n - COUNT / 2) * WARP), true);
        }
        b += slab_chunks;
    }
};

// Packs W [columns, taps].
//
// Launch: a block of 32 x 8 threads for each 32 taps and columns: grid (ceil(taps / 32), padded / 32).
// Traffic: 8 bytes per element, 6 as bf16.
template <Precision PRECISION>
__device__ void pack_weights(u32 taps, u32 columns, u32 padded, const float* weight, void* packed) {
    using Format = Packed<PRECISION>;
    u32 place = blockIdx.x * WARP + threadIdx.x, p = Format::depth(place);
    for (u32 i = threadIdx.y; i < WARP; i += blockDim.y) {
        u32 row = blockIdx.y * WARP + i, j = packed_column(row);
        float x = p < taps && j < columns ? weight[(size_t)j * taps + p] : 0.0f;
        ((typename Format::Number*)packed)[packed_at<PRECISION>(row, place, padded)] = Format::rounded(x);
    }
}

// Packs W' [C, R' S' O] for a phase of the gradient by input (conv2d.cu): row c has w[o, r, s, c] at
// (r', s', o), with r = last_r - stride r' and s = last_s - stride s'.
//
// Launch: likewise: grid (ceil(taps / 32), padded / 32). The tile is turned in shared memory, so both
// sides are read and written along neighbours.
template <Precision PRECISION>
__device__ void turn_weights(u32 outputs, u32 channels, u32 taps_across, u32 taps, u32 kernel_w,
                             u32 last_tap, u32 stride, u32 per_output, u32 padded,
                             const float* weight, void* packed) {
    using Format = Packed<PRECISION>;
    __shared__ float tile[WARP][WARP + 1];
    for (u32 i = threadIdx.y; i < WARP; i += blockDim.y) {
        u32 p = blockIdx.x * WARP + i, c = blockIdx.y * WARP + threadIdx.x;
        u32 o = p % outputs, r = p / outputs / taps_across, s = p / outputs % taps_across;
        u32 tap = last_tap - stride * (r * kernel_w + s);
        bool inside = p < taps && c < channels;
        tile[i][threadIdx.x] = inside ? weight[(size_t)o * per_output + tap * channels + c] : 0.0f;
    }
    __syncthreads();
    for (u32 i = threadIdx.y; i < WARP; i += blockDim.y) {
        float x = tile[Format::depth(threadIdx.x)][packed_column(i)];
        size_t at = packed_at<PRECISION>(blockIdx.y * WARP + i, blockIdx.x * WARP + threadIdx.x, padded);
        ((typename Format::Number*)packed)[at] = Format::rounded(x);
    }
}
